"""When a peer that is asked for a sign of life, and gives none, has to be given up.

Any frame is a sign of life. Silence is counted from the first ping that nothing has followed, and
only while we were able to listen: what the event loop lost to a stall (a slow call, a debugger, a
stopped process) is given back.
"""

from __future__ import annotations

JITTER = 0.1
"""A beat comes up to this part of the interval early, so that beats of many peers stay apart.

Never late: a frozen peer must be found within interval + timeout.
"""


MAX_UNANSWERED = 16
"""Pings that are remembered until they are answered: a slow line may be several behind."""


class Liveness:
    """The heartbeat of one connection, as arithmetic.

    All times are in seconds on one steady clock; *stalled* is what that clock has counted in all
    while the event loop was not running.

    Attributes:
        rtt: The last measured round trip; ``None`` before the first.
    """

    __slots__ = ("_asked_at", "_nonce", "_stalled", "_unanswered", "interval", "rtt", "timeout")

    def __init__(self, interval: float, timeout: float) -> None:
        self.interval = interval
        self.timeout = timeout
        self.rtt: float | None = None
        self._nonce = 0
        self._unanswered: list[tuple[int, float]] = []
        self._asked_at: float | None = None  # the first ping that nothing has followed
        self._stalled = 0.0

    def first_delay(self, chance: float) -> float:
        """Seconds to the first beat; *chance* is in [0, 1). Spreads a crowd that came at once."""
        return self.interval * chance

    def next_delay(self, chance: float) -> float:
        """Seconds from one beat to the next."""
        return self.interval * (1 - JITTER * chance)

    def expect(self, now: float, stalled: float, last_heard: float) -> None:
        """From *now* on a sign of life is expected, if none was before."""
        if self._asked_at is None or last_heard >= self._asked_at:
            self._asked_at = now
            self._stalled = stalled

    def ping(self, now: float) -> int:
        """A ping goes out at *now*; returns its nonce."""
        self._nonce += 1
        self._unanswered = [*self._unanswered[1 - MAX_UNANSWERED :], (self._nonce, now)]
        return self._nonce

    def answered(self, nonce: object, now: float) -> bool:
        """An answer came; false if nobody asked for this one."""
        for index, (known, asked_at) in enumerate(self._unanswered):
            if known == nonce and type(nonce) is int:
                # Whoever answers a ping will not come back to earlier ones.
                del self._unanswered[: index + 1]
                self.rtt = round(now - asked_at, 6)
                return True
        return False

    def answered_latest(self, now: float) -> bool:
        """The latest ping was answered, or an earlier one, if answers carry no nonce.

        False if nobody asked.

        In that case the round trip is too short by whole intervals. The other way round, one ping
        that was never answered would make every later one too long.
        """
        if not self._unanswered:
            return False
        self.rtt = round(now - self._unanswered[-1][1], 6)
        self._unanswered = []
        return True

    def patience(self, now: float, stalled: float, last_heard: float) -> float | None:
        """Seconds until the peer has to be given up, 0 or less: now. ``None``: all is well."""
        if self._asked_at is None:
            return None
        if last_heard >= self._asked_at:
            self._asked_at = None
            return None
        return self._asked_at + self.timeout + (stalled - self._stalled) - now

    def silent_for(self, now: float, last_heard: float) -> float:
        """Seconds since the last sign of life."""
        return now - last_heard
