"""The limits on what one client sends: the size of a frame, and how many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core import events
from .core.codes import CloseCode
from .core.disconnects import DisconnectKind
from .core.inbox import frame_size
from .core.rate import TokenBucket, default_burst
from .observers import notify

if TYPE_CHECKING:
    from .connection import Connection
    from .core.inbox import Message


class Inbound:
    """Looks at every frame of one client before anybody else does.

    What goes beyond a limit closes the connection. Nothing that comes afterwards is looked at.
    Time in which we did not listen is not the client's: it could go on sending meanwhile.
    """

    __slots__ = ("_bucket", "_connection", "_is_over", "_stalled")

    def __init__(self, connection: Connection) -> None:
        limits = connection.policies.limits
        self._connection = connection
        self._is_over = False
        self._stalled = 0.0
        self._bucket: TokenBucket | None = None
        if limits.rate is not None:
            burst = limits.burst or default_burst(limits.rate)
            self._bucket = TokenBucket(limits.rate, burst, connection.loop.time())
            connection.wheel.watch(self)
            self._stalled = connection.wheel.stalled

    def admits(self, message: Message) -> bool:
        """Whether a frame that has come may be looked at: none after the end, none too long."""
        limit = self._connection.policies.limits.message_bytes
        if limit is not None and frame_size(message) > limit and not self._is_over:
            self._exceed("message size", CloseCode.TOO_BIG, limit)
        return not self._is_over

    def counts(self) -> bool:
        """Count a frame against the rate; false if it is one too many.

        Every frame but answers to our own pings: nobody is to be closed for giving them.
        """
        bucket, connection = self._bucket, self._connection
        if bucket is not None and not self._is_over:
            self.excuse(0.0)
            if not bucket.spend(connection.loop.time()):
                self._exceed("rate", CloseCode.RATE_LIMITED, connection.policies.limits.rate or 0.0)
        return not self._is_over

    def excuse(self, seconds: float) -> None:
        """We have not listened for so long, for a reason of ours; a stalled loop is found here."""
        if self._bucket is None:
            return
        wheel, now = self._connection.wheel, self._connection.loop.time()
        # Frames may be read before the wheel has noticed that they had to wait.
        stalled = wheel.stalled + wheel.find_lateness(now)
        lost, self._stalled = max(seconds, stalled - self._stalled), stalled
        if lost > 0:
            self._bucket.excuse(lost, now)

    def stop(self) -> None:
        """The connection is over."""
        self._is_over = True
        self._connection.wheel.unwatch(self)

    def _exceed(self, cause: str, code: CloseCode, limit: float) -> None:
        connection = self._connection
        self._is_over = True
        connection.close_soon(code.value, DisconnectKind.ERROR)
        # Last: an observer that raises changes nothing.
        notify(events.LimitExceeded(**connection.who, cause=cause, code=code.value, limit=limit))


def make_inbound(connection: Connection) -> Inbound | None:
    """What looks at the frames of a client that is about to be accepted, if there are limits."""
    limits = connection.policies.limits
    if limits.message_bytes is None and limits.rate is None:
        return None
    return Inbound(connection)
