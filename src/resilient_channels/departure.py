"""The limits on a connection's way out: for the handshake, and for handlers that outlive it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core import events
from .core.codes import CloseCode
from .core.disconnects import DisconnectKind
from .core.link import State
from .crowds import leave
from .observers import notify
from .watchdog import watchdog

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .connection import Connection
    from .wheel import PatientDeadline

HANDLER_SHARE = 0.75
"""The part of ``TEARDOWN.timeout`` that a handler may use after its connection ended."""

ABANDON_SHARE = 0.85
"""The part after which the cleanup no longer waits for a handler that ignores cancellation."""


class Departure:
    """When a handshake has to be decided, and how long a handler may outlive its connection.

    Attributes:
        since: When nothing could be written any more, on the loop's clock.
        was_cut_off: Whether we cancelled the task that runs the consumer.
    """

    __slots__ = (
        "_connection", "_is_finished", "_task", "_timeout", "_timers", "since", "was_cut_off",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._timeout = connection.policies.teardown.timeout
        self._timers: tuple[PatientDeadline, ...] = ()
        self._task: asyncio.Task[object] | None = None
        self.since: float | None = None
        self.was_cut_off = False
        self._is_finished = False

    def watch(self, task: asyncio.Task[object]) -> None:
        """The consumer begins its work in *task*, with the handshake."""
        self._task = task
        watchdog.attend(self._connection.loop)
        timeout = self._connection.policies.handshake.timeout
        if timeout is not None:
            self._set(timeout, self._handshake_expired)

    def accepted(self) -> None:
        """The handshake is decided."""
        for timer in self._timers:
            timer.cancel()
        self._timers = ()

    def begin(self) -> None:
        """The connection is over: what was read is still handled, within limits."""
        if self.since is not None:
            return
        self.since = self._connection.loop.time()
        leave(self._connection)
        self._connection.intake.finish()
        if self._connection.gate.line is not None:
            self._connection.gate.line.end()
        if self._is_finished:
            return
        patience = self._timeout * HANDLER_SHARE
        self._set(patience, lambda: self._cut_off(patience))
        self._set(self._timeout * ABANDON_SHARE, self._connection.abandon)

    def finish(self) -> None:
        """The cleanup has begun, and has limits of its own."""
        self._is_finished = True
        for timer in self._timers:
            timer.cancel()

    def take_back(self) -> bool:
        """Take our cancellation back; true if nobody else cancelled the task."""
        return self.was_cut_off and self._task is not None and self._task.uncancel() == 0

    def _set(self, seconds: float, callback: Callable[[], None]) -> None:
        timer = self._connection.wheel.patiently_after(seconds, callback)
        self._timers = (*self._timers, timer)

    def _cut_off(self, after: float) -> None:
        """Cancel the handler that still runs *after* so many seconds."""
        connection = self._connection
        self.was_cut_off = True
        connection.intake.finish(discard=True)
        if connection.handling is not None:
            notify(events.HandlerCutOff(**connection.who, handler=connection.handling, after=after))
        if self._task is not None:
            self._task.cancel()

    def _handshake_expired(self) -> None:
        connection = self._connection
        if connection.link.state is not State.CONNECTING:
            return
        connection.refusal = "timeout"
        connection.close_soon(CloseCode.NORMAL, DisconnectKind.TIMEOUT)
        if connection.handling is not None:
            self._cut_off(connection.policies.handshake.timeout or 0.0)
