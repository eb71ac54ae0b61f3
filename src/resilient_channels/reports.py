"""What the parts of a connection report, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core import events
from .core.codes import CloseCode
from .core.disconnects import DisconnectKind
from .observers import notify

if TYPE_CHECKING:
    import asyncio

    from .intake import Intake


class Reports:
    """The part of a connection that hears of trouble.

    Attributes:
        is_listening: Whether frames are being read; not while handlers are far behind.
    """

    __slots__ = ("is_listening",)

    loop: asyncio.AbstractEventLoop
    intake: Intake
    is_listening: bool

    @property
    def who(self) -> dict[str, str]:
        """What every event of this connection says of it."""
        raise NotImplementedError

    def give_up(self, code: int, event: events.ConnectionEvent) -> None:
        """Nothing will come of waiting for this peer any longer."""
        raise NotImplementedError

    def close_soon(self, code: int, kind: DisconnectKind) -> None:
        """Close from a timer."""
        raise NotImplementedError

    # --- the way out ---------------------------------------------------------------------------

    def send_dropped(self) -> None:
        """A frame was not written because the connection is over."""
        notify(events.SendDropped(**self.who))

    def send_timed_out(self, deadline: float) -> None:
        """The server did not take a frame in time: the peer does not read."""
        event = events.SendTimedOut(**self.who, deadline=deadline)
        self.give_up(CloseCode.SLOW_CONSUMER.value, event)

    # --- the way in ----------------------------------------------------------------------------

    def stopped_listening(self) -> None:
        """Nothing is read for a while, so silence says nothing about the peer."""
        self.is_listening = False

    def listens_again(self) -> None:
        """Reading goes on; the peer's silence is counted from now."""
        self.is_listening = True
        self.intake.last_heard = self.loop.time()

    def inbox_full(self, full_for: float) -> None:
        """Handlers have been slower than the client for a while."""
        notify(events.InboxFull(**self.who, full_for=full_for, frames=len(self.intake)))

    def inbox_stuck(self) -> None:
        """Handlers have been slower than the client for too long."""
        self.close_soon(CloseCode.OVERLOAD, DisconnectKind.ERROR)

    def peer_lost(self, silent_for: float, rtt: float | None) -> None:
        """The peer gave no sign of life in time."""
        event = events.HeartbeatLost(**self.who, silent_for=round(silent_for, 3), rtt=rtt)
        self.give_up(CloseCode.HEARTBEAT_TIMEOUT.value, event)

    def tell_step(self, step: str) -> None:
        """At DEBUG a connection tells the story of its end."""
        notify(events.ConnectionStep(**self.who, step=step))
