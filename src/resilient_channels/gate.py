"""The one way out: every message to the server passes here, whoever sends it."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from . import blocking
from .core import wire
from .core.codes import CloseCode, check_close_frame
from .core.disconnects import DisconnectKind
from .core.inbox import frame_size
from .core.link import Link, State
from .core.outcomes import SendOutcome
from .exceptions import ConnectionClosed
from .turns import current_ticket
from .writing import Owner as WriterOwner, Writer, close_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from . import compat
    from .core.credit import Credit
    from .outbox import Line
    from .turns import Ticket
    from .wheel import Wheel


class Owner(WriterOwner, Protocol):
    """Whom the gate tells what it learns."""

    def accepting(self, message: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]: ...
    def opened(self) -> None: ...
    def farewell(self, code: int | None, reason: str | None, after: float = 0.0) -> str | None: ...
    def excuses_sender(self) -> bool: ...
    def send_dropped(self) -> None: ...
    def get_line(self) -> Line: ...


class SendGate(Writer):
    """Passes messages to the server while the connection lives, and knows what became of each.

    Nothing is written once the connection is over. What a sender learns then depends on who it
    is: ``safe_send`` gets an outcome, a handler goes on (as it does on three of four servers
    today), and anybody else gets :class:`ConnectionClosed`, so that endless senders end.

    Attributes:
        owner: The connection.
        escapes: Whether text that looks like a control frame has to be told from one.
        is_plain: Whether frames go to the server as they are, and at once: the usual case.
        closing: Done when the server has taken our close frame, or the wait for it is over.
        line: Who waits for the server to take what came before; ``None``: nobody.
        credit: How much may be written before the client confirms some of it, if that is asked.
    """

    __slots__ = (
        "_accepting", "_is_aside", "_is_denying", "closing", "credit", "escapes", "is_plain",
        "line",
    )  # fmt: skip

    owner: Owner

    def __init__(
        self, owner: Owner, link: Link, send: compat.Send, wheel: Wheel, deadline: float | None
    ) -> None:
        super().__init__(owner, link, send, wheel, deadline)
        self._is_aside = False
        self._is_denying = False
        self._accepting: asyncio.Future[None] | None = None
        self.escapes = False
        self.is_plain = True
        self.line: Line | None = None
        self.closing: asyncio.Future[None] | None = None
        self.credit: Credit | None = None

    async def send(self, message: Mapping[str, Any]) -> None:
        """The ASGI ``send`` that the consumer gets. May be awaited on any thread's loop."""
        if get_running_loop() is not self._loop:
            await self._hop(message)
        elif message["type"] == "websocket.send" and self._link.state is State.OPEN:
            if not self.is_plain:
                prepared = self._prepare(message)
                if prepared is None:
                    await self._send_in_turn(message)
                    return
                message = prepared
            # What _write does, on the spot: this is where every frame passes.
            steps: Any = self._send(message)
            if type(steps) is not CoroutineType:
                steps = blocking.as_coroutine(steps)
            try:
                wait = steps.send(None)
            except StopIteration:  # the server has taken it without a wait
                self._link.sent += 1
                return
            except Exception as error:  # noqa: BLE001  # sorted there
                outcome = self.judge(error)
            else:
                outcome = await self.finish(steps, wait)
            if outcome is SendOutcome.SENT:
                self._link.sent += 1
            else:
                await self._tell(outcome)
        else:
            await self._pass_lifecycle(message)

    def set_protocol(self, *, is_ours: bool, credit: Credit | None) -> None:
        """Whether the client speaks the wire protocol, and what it has to confirm."""
        self.escapes = is_ours
        self.credit = credit
        if is_ours:
            self.is_plain = False

    async def close(self, code: int | None, kind: DisconnectKind, after: float = 0.0) -> None:
        """Close for a reason of our own. Waits for the server at most the send deadline."""
        says_bye = self.escapes and self._link.state is State.OPEN
        if self._link.close(code, "", kind):
            closing = self.closing = self._loop.create_future()
            try:
                self.owner.went_over()
                farewell = self.owner.farewell(code, "", after) if says_bye else None
                if farewell is not None:
                    await self._write({"type": "websocket.send", "text": farewell})
                await self._write(close_frame(code))
            finally:
                closing.set_result(None)

    async def deny(self, status: int, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Refuse the handshake with an HTTP response of our own (ASGI denial response)."""
        if self._refuse(CloseCode.ABNORMAL):
            kind = "websocket.http.response"
            await self._write({"type": f"{kind}.start", "status": status, "headers": [*headers]})
            await self._write({"type": f"{kind}.body", "body": b""})

    async def deny_plainly(self) -> None:
        """Refuse the handshake in the only way that every server knows: HTTP 403."""
        if self._refuse(CloseCode.ABNORMAL):
            await self._write(close_frame(None))

    async def accept_to_close(
        self, accept: Mapping[str, Any], texts: Sequence[str], code: int
    ) -> None:
        """Accept a handshake only to say *texts* and close: the application sees nothing of it."""
        if self._refuse(code):
            outcome = await self._write(accept)
            for text in texts:
                if outcome is SendOutcome.SENT:
                    outcome = await self._write({"type": "websocket.send", "text": text})
            if outcome is SendOutcome.SENT:
                await self._write(close_frame(code))

    def _refuse(self, code: int) -> bool:
        if not self._link.close(code, "", DisconnectKind.ERROR):
            return False
        self.owner.went_over()
        return True

    def step_aside(self) -> None:
        """Pass everything on as it is: somebody further inside has a gate of its own."""
        self._is_aside = True

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
        if self._is_aside:
            await self._send(message)
        elif kind == "websocket.close":
            await self._pass_close(message)
        elif self._is_denying and kind == "websocket.http.response.body":
            await self._write(message)
        elif self._link.is_over:
            if not self._link.unsent:
                self.owner.send_dropped()
            await self._tell(SendOutcome.CLOSED)
        elif kind == "websocket.accept":
            await self._pass_accept(message)
        elif kind == "websocket.http.response.start":
            self._is_denying = True
            self._link.close(CloseCode.ABNORMAL)
            self.owner.went_over()
            await self._write(message)
        elif self._accepting is not None and kind == "websocket.send":
            await self._wait_for_greeting(message)
        else:
            # Too early, or unknown: the server knows best what to say about it.
            await self._send(message)

    async def _pass_accept(self, message: Mapping[str, Any]) -> None:
        greeting = None
        if self._link.state is State.CONNECTING:
            message, greeting = self.owner.accepting(message)
        accepting = self._accepting = self._loop.create_future()
        try:
            outcome = await self._write(message)
            if outcome is SendOutcome.SENT and self._link.accept(self._loop.time()):
                self.owner.opened()
                if greeting is not None:
                    await self.say(greeting)
        finally:
            self._accepting = None
            accepting.set_result(None)
        if outcome is not SendOutcome.SENT:
            await self._tell(outcome)

    async def _wait_for_greeting(self, message: Mapping[str, Any]) -> None:
        """Another task's frame, a moment too early: nothing may come before accept and greeting."""
        if self._accepting is not None:
            await asyncio.wait({self._accepting})
        await self.send(message)

    # --- frames that may have to wait ------------------------------------------------------

    def _prepare(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The frame as it is written; ``None`` if it cannot be written at once."""
        if self._accepting is not None or self.line is not None:
            return None
        ticket = _get_ticket()
        if ticket is not None and not ticket.waits:
            return None
        if not self.may_write(message):
            return None
        return self.escape(message) if self.escapes else message

    def may_write(self, message: Mapping[str, Any]) -> bool:
        """Whether a frame may be written now: the client has confirmed enough."""
        return self.credit is None or self.credit.spend(frame_size(message))

    def escape(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """The frame such that nobody takes it for a control frame."""
        text = message.get("text")
        return {**message, "text": wire.MARK + text} if text and text[0] == wire.MARK else message

    async def _send_in_turn(self, message: Mapping[str, Any]) -> None:
        if self._accepting is not None:
            await self._wait_for_greeting(message)
            return
        frame = self.escape(message) if self.escapes else message
        line = self.line or self.owner.get_line()
        ticket = _get_ticket()
        if ticket is not None and not ticket.waits:
            ticket.note(line.offer(frame, ticket.key))
            # Whoever sends without end must let the server write.
            await asyncio.sleep(0)
            return
        async with line.turn(frame_size(frame)):
            outcome = SendOutcome.CLOSED
            if self._link.state is State.OPEN:
                outcome = await self._write(frame)
        if outcome is SendOutcome.SENT:
            self._link.sent += 1
        else:
            await self._tell(outcome)

    async def _pass_close(self, message: Mapping[str, Any]) -> None:
        # Closing what is closed, or a peer that has gone, is what the caller wanted anyway.
        outcome = SendOutcome.CLOSED
        if self.line is not None and self._link.state is State.OPEN:
            check_close_frame(message.get("code"), message.get("reason"))
            await self.line.wait_a_little(self._deadline)
        if not self._link.is_over:
            code, reason = message.get("code"), message.get("reason")
            farewell = None
            if self._link.state is State.OPEN:  # before, it is a refusal without a frame
                check_close_frame(code, reason)
                farewell = self.owner.farewell(code, reason) if self.escapes else None
            # Before the server is asked, so that no other task's frame can slip in between.
            self._link.close(code, reason or "")
            try:
                if farewell is not None:
                    await self._write({"type": "websocket.send", "text": farewell})
                outcome = await self._write(message)
            except Exception:
                self._link.reopen()
                raise
            except asyncio.CancelledError:
                self.owner.went_over()  # perhaps it was written: nobody may write after it
                raise
            self.owner.went_over()
        _report(outcome)

    async def _tell(self, outcome: SendOutcome) -> None:
        """Let the sender know that its message was not written."""
        self._link.unsent += 1
        if not _report(outcome) and not self.owner.excuses_sender():
            raise ConnectionClosed(self._link.info)
        # A handler that sends without end would otherwise never let go of the event loop.
        await asyncio.sleep(0)


def _get_ticket() -> Ticket | None:
    """That of the ``safe_send`` on whose behalf this runs."""
    ticket = current_ticket.get()
    return None if ticket is None or ticket.is_over else ticket


def _report(outcome: SendOutcome) -> bool:
    ticket = _get_ticket()
    if ticket is None:
        return False
    ticket.note(outcome)
    return True


def find_owner(send: object) -> Any:
    """The connection whose gate *send* already passes: two consumers, or a middleware of ours."""
    gate = getattr(send, "__self__", None)
    return gate.owner if isinstance(gate, SendGate) else None
