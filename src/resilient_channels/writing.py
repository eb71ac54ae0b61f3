"""Handing messages to the server: within a deadline, and with the failures of servers sorted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from . import blocking, compat
from .core.link import Link, State
from .core.outcomes import SendOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .wheel import Wheel

FINAL_CLOSE_TIMEOUT = 1.0
"""Seconds that the close frame for a peer we have given up may block."""


class Owner(Protocol):
    """Whom the writer tells what it learns."""

    def went_over(self) -> None: ...
    def last_heard(self) -> float: ...
    def send_timed_out(self, deadline: float) -> None: ...


class Writer:
    """Writes the messages of one connection.

    Attributes:
        owner: The connection.
        is_servers_own: Whether frames go straight to the server, with nothing around its ``send``.
    """

    __slots__ = (
        "_deadline", "_link", "_loop", "_send", "_waits", "_wheel", "is_servers_own", "owner",
    )  # fmt: skip

    def __init__(
        self, owner: Owner, link: Link, send: compat.Send, wheel: Wheel, deadline: float | None
    ) -> None:
        self.owner = owner
        self._link = link
        self._send = send
        self._wheel = wheel
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._waits: tuple[blocking.Patience, ...] = ()
        self.is_servers_own = compat.is_servers_own(send)

    async def say(self, text: str) -> SendOutcome:
        """Write a text frame of our own, if the connection is open. Not counted as sent."""
        return await self.write({"type": "websocket.send", "text": text})

    def begin(self, message: Mapping[str, Any]) -> tuple[blocking.Steps, Any] | None:
        """Hand *message* to the server up to its first wait; ``None`` if there was none.

        What is returned is for :meth:`finish`, what is raised for :meth:`judge`.
        """
        return blocking.begin(self._send(message))

    async def close_abandoned(self, code: int) -> None:
        """Try to tell a peer that was given up. Bounded, and fails in silence."""
        try:
            async with asyncio.timeout(FINAL_CLOSE_TIMEOUT):
                await self._send(close_frame(code))
        except Exception:  # noqa: BLE001  # servers raise five different classes here
            return

    def release(self) -> None:
        """The peer was given up: whoever waits for it to take a frame need not wait any longer."""
        for patience in self._waits:
            patience.end()

    async def write(self, message: Mapping[str, Any]) -> SendOutcome:
        """Write a frame, if the connection is open."""
        if self._link.state is not State.OPEN:
            return SendOutcome.CLOSED
        return await self._write(message)

    async def _write(self, message: Mapping[str, Any]) -> SendOutcome:
        """Hand *message* to the server, within the deadline."""
        try:
            waiting = self.begin(message)
        except Exception as error:  # noqa: BLE001  # sorted there
            return self.judge(error)
        return SendOutcome.SENT if waiting is None else await self.finish(*waiting)

    async def finish(self, steps: blocking.Steps, wait: Any) -> SendOutcome:
        """Wait for a server that does not take a message at once."""
        patience = None
        if self._deadline is not None:
            # Who talks is alive, and may take its time; but not to hear that it is closed.
            heard = self.owner.last_heard if self._link.state is State.OPEN else _never
            patience = blocking.Patience(self._wheel, self._deadline, heard)
            self._waits = (*self._waits, patience)
        try:
            await blocking.finish(steps, wait)
        except asyncio.CancelledError:
            if patience is None or not patience.take_back():
                raise
            self._forget(patience)
            self.owner.send_timed_out(patience.seconds)
            return SendOutcome.TIMED_OUT
        except Exception as error:  # noqa: BLE001  # sorted there
            return self.judge(error)
        finally:
            if patience is not None:
                patience.cancel()
                self._forget(patience)
        return SendOutcome.SENT

    def _forget(self, patience: blocking.Patience) -> None:
        self._waits = tuple(other for other in self._waits if other is not patience)

    def judge(self, error: Exception) -> SendOutcome:
        """The server refused a message: because the peer is gone, or for a reason of its own."""
        if not compat.says_gone(error):
            raise error
        if self._link.peer_left():
            self.owner.went_over()
        return SendOutcome.CLOSED


def _never() -> float:
    return 0.0


def close_frame(code: int | None) -> dict[str, Any]:
    frame: dict[str, Any] = {"type": "websocket.close"}
    return frame if code is None else {**frame, "code": int(code)}
