"""The one way out: every message to the server passes here, whoever sends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from . import compat
from .core.codes import CloseCode, check_close_frame
from .core.disconnects import DisconnectKind
from .core.link import Link, State
from .core.outcomes import SendOutcome
from .exceptions import ConnectionClosed
from .turns import current_ticket, is_in_handler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .wheel import Deadline, DeadlineQueue

FINAL_CLOSE_TIMEOUT = 1.0
"""Seconds that the close frame for a peer we have given up may block."""


class Owner(Protocol):
    """Whom the gate tells what it learns."""

    def opened(self) -> None: ...
    def went_over(self) -> None: ...
    def send_dropped(self) -> None: ...
    def send_timed_out(self, deadline: float) -> None: ...


class SendGate:
    """Passes messages to the server while the connection lives, and knows what became of each.

    Nothing is written once the connection is over. What a sender learns then depends on who it
    is: ``safe_send`` gets an outcome, a handler goes on (as it does on three of four servers
    today), and anybody else gets :class:`ConnectionClosed`, so that endless senders end.

    Attributes:
        last_heard: When the peer last gave a sign of life, on the loop's clock.
    """

    def __init__(
        self, owner: Owner, link: Link, send: compat.Send, deadlines: DeadlineQueue | None
    ) -> None:
        self._owner = owner
        self._link = link
        self._send = send
        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._is_denying = False
        self.last_heard = self._loop.time()

    async def send(self, message: Mapping[str, Any]) -> None:
        """The ASGI ``send`` that the consumer gets. May be awaited on any thread's loop."""
        if asyncio.get_running_loop() is not self._loop:
            await self._hop(message)
        elif message["type"] == "websocket.send" and self._link.state is State.OPEN:
            outcome = await self._write(message)
            if outcome is SendOutcome.SENT:
                self._link.sent += 1
            else:
                await self._tell(outcome)
        else:
            await self._pass_lifecycle(message)

    async def close(self, code: int | None, reason: str, kind: DisconnectKind) -> None:
        """Close for a reason of our own. Waits for the server at most the send deadline."""
        if self._link.close(code, reason, kind):
            self._owner.went_over()
            await self._write(_close_frame(code, reason))

    async def close_abandoned(self, code: int) -> None:
        """Try to tell a peer that was given up. Bounded, and fails in silence."""
        try:
            async with asyncio.timeout(FINAL_CLOSE_TIMEOUT):
                await self._send(_close_frame(code, ""))
        except Exception:  # noqa: BLE001  # servers raise five different classes here
            return

    async def deny(self, status: int) -> None:
        """Refuse the handshake with an HTTP response of our own (ASGI denial response)."""
        if self._link.close(CloseCode.ABNORMAL, "", DisconnectKind.ERROR):
            self._owner.went_over()
            start = {"type": "websocket.http.response.start", "status": status, "headers": []}
            await self._write(start)
            await self._write({"type": "websocket.http.response.body", "body": b""})

    # --- everything but frames on an open connection ---------------------------------------

    async def _hop(self, message: Mapping[str, Any]) -> None:
        coroutine = self.send(message)
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError as error:  # the server's loop is closed
            coroutine.close()
            raise ConnectionClosed(self._link.info) from error
        await asyncio.wrap_future(future)

    async def _pass_lifecycle(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.close":
            await self._pass_close(message)
        elif self._is_denying and kind == "websocket.http.response.body":
            await self._write(message)
        elif self._link.is_over:
            if not self._link.unsent:
                self._owner.send_dropped()
            await self._tell(SendOutcome.CLOSED)
        elif kind == "websocket.accept":
            await self._pass_accept(message)
        elif kind == "websocket.http.response.start":
            self._is_denying = True
            self._link.close(CloseCode.ABNORMAL)
            self._owner.went_over()
            await self._write(message)
        else:
            # Too early, or unknown: the server knows best what to say about it.
            await self._send(message)

    async def _pass_accept(self, message: Mapping[str, Any]) -> None:
        outcome = await self._write(message)
        if outcome is not SendOutcome.SENT:
            await self._tell(outcome)
        elif self._link.accept(self._loop.time()):
            self._owner.opened()

    async def _pass_close(self, message: Mapping[str, Any]) -> None:
        # Closing what is closed, or a peer that has gone, is what the caller wanted anyway.
        outcome = SendOutcome.CLOSED
        if not self._link.is_over:
            code, reason = message.get("code"), message.get("reason")
            if self._link.state is State.OPEN:
                check_close_frame(code, reason)  # before, it is a refusal without a frame
            # Before the server is asked, so that no other task's frame can slip in between.
            self._link.close(code, reason or "")
            try:
                outcome = await self._write(message)
            except Exception:
                self._link.reopen()
                raise
            self._owner.went_over()
        _report(outcome)

    # --- writing -----------------------------------------------------------------------------

    async def _write(self, message: Mapping[str, Any]) -> SendOutcome:
        """Hand *message* to the server, within the deadline."""
        deadline = None
        if self._deadlines is not None:
            deadline = _SendDeadline(self, self._deadlines)
        try:
            await self._send(message)
        except asyncio.CancelledError:
            if deadline is None or not deadline.caused_cancellation():
                raise
            self._owner.send_timed_out(deadline.seconds)
            return SendOutcome.TIMED_OUT
        except Exception as error:
            if not compat.says_gone(error):
                raise
            if self._link.peer_left():
                self._owner.went_over()
            return SendOutcome.CLOSED
        finally:
            if deadline is not None:
                deadline.cancel()
        return SendOutcome.SENT

    async def _tell(self, outcome: SendOutcome) -> None:
        """Let the sender know that its message was not written."""
        self._link.unsent += 1
        if not _report(outcome) and not is_in_handler():
            raise ConnectionClosed(self._link.info)
        # A handler that sends without end would otherwise never let go of the event loop.
        await asyncio.sleep(0)


def _report(outcome: SendOutcome) -> bool:
    ticket = current_ticket.get()
    if ticket is None or ticket.is_over:
        return False
    ticket.note(outcome)
    return True


def is_guarded(send: object) -> bool:
    """Whether *send* already passes a gate: two mixins, or a mixin behind a middleware of ours."""
    return isinstance(getattr(send, "__self__", None), SendGate)


class _SendDeadline:
    """Interrupts the task that waits in a send, unless the peer shows signs of life.

    Cancels and takes the cancellation back, as :func:`asyncio.timeout` does, but without a timer
    of its own.
    """

    __slots__ = ("_cancelling", "_entry", "_fired", "_gate", "_task", "seconds")

    def __init__(self, gate: SendGate, queue: DeadlineQueue) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a running coroutine has a task
        self._gate = gate
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        self._fired = False
        self.seconds = queue.delay
        self._entry: Deadline | asyncio.TimerHandle = queue.add(self._expire)

    def cancel(self) -> None:
        self._entry.cancel()

    def caused_cancellation(self) -> bool:
        """Take our cancellation back; false if somebody else cancelled the task as well."""
        return self._fired and self._task.uncancel() <= self._cancelling

    def _expire(self) -> None:
        loop = self._task.get_loop()
        renewed = self._gate.last_heard + self.seconds
        if renewed > loop.time():
            self._entry = loop.call_at(renewed, self._expire)
        else:
            self._fired = True
            self._task.cancel()


def _close_frame(code: int | None, reason: str) -> dict[str, Any]:
    message: dict[str, Any] = {"type": "websocket.close"}
    if code is not None:
        message["code"] = int(code)
    if reason:
        message["reason"] = reason
    return message
