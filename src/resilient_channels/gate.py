"""The one way out: every message to the server passes here, whoever sends it."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from . import blocking, compat
from .core import wire
from .core.codes import CloseCode, check_close_frame
from .core.disconnects import DisconnectKind
from .core.link import Link, State
from .core.outcomes import SendOutcome
from .exceptions import ConnectionClosed
from .turns import current_ticket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .wheel import Wheel

FINAL_CLOSE_TIMEOUT = 1.0
"""Seconds that the close frame for a peer we have given up may block."""


class Owner(Protocol):
    """Whom the gate tells what it learns."""

    def accepting(self, message: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]: ...
    def opened(self) -> None: ...
    def farewell(self, code: int | None, reason: str | None) -> str | None: ...
    def went_over(self) -> None: ...
    def excuses_sender(self) -> bool: ...
    def last_heard(self) -> float: ...
    def send_dropped(self) -> None: ...
    def send_timed_out(self, deadline: float) -> None: ...


class SendGate:
    """Passes messages to the server while the connection lives, and knows what became of each.

    Nothing is written once the connection is over. What a sender learns then depends on who it
    is: ``safe_send`` gets an outcome, a handler goes on (as it does on three of four servers
    today), and anybody else gets :class:`ConnectionClosed`, so that endless senders end.

    Attributes:
        owner: The connection.
        escapes: Whether text that looks like a control frame has to be told from one.
        is_servers_own: Whether frames go straight to the server, with nothing around its ``send``.
    """

    __slots__ = (
        "_accepting", "_deadline", "_is_aside", "_is_denying", "_link", "_loop", "_send", "_waits",
        "_wheel", "escapes", "is_servers_own", "owner",
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
        self._is_aside = False
        self._is_denying = False
        self._accepting: asyncio.Future[None] | None = None
        self._waits: tuple[blocking.Patience, ...] = ()
        self.escapes = False
        self.is_servers_own = compat.is_servers_own(send)

    async def send(self, message: Mapping[str, Any]) -> None:
        """The ASGI ``send`` that the consumer gets. May be awaited on any thread's loop."""
        if get_running_loop() is not self._loop:
            await self._hop(message)
        elif message["type"] == "websocket.send" and self._link.state is State.OPEN:
            if self.escapes:
                if self._accepting is not None:
                    await self._wait_for_greeting(message)
                    return
                text = message.get("text")
                if text and text[0] == wire.MARK:
                    message = {**message, "text": wire.MARK + text}
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

    async def say(self, text: str) -> SendOutcome:
        """Write a text frame of our own, if the connection is open. Not counted as sent."""
        if self._link.state is not State.OPEN:
            return SendOutcome.CLOSED
        return await self._write({"type": "websocket.send", "text": text})

    def begin(self, message: Mapping[str, Any]) -> tuple[blocking.Steps, Any] | None:
        """Hand *message* to the server up to its first wait; ``None`` if there was none.

        What is returned is for :meth:`finish`, what is raised for :meth:`judge`.
        """
        return blocking.begin(self._send(message))

    async def close(self, code: int | None, kind: DisconnectKind) -> None:
        """Close for a reason of our own. Waits for the server at most the send deadline."""
        says_bye = self.escapes and self._link.state is State.OPEN
        if self._link.close(code, "", kind):
            self.owner.went_over()
            farewell = self.owner.farewell(code, "") if says_bye else None
            if farewell is not None:
                await self._write({"type": "websocket.send", "text": farewell})
            await self._write(_close_frame(code))

    async def close_abandoned(self, code: int) -> None:
        """Try to tell a peer that was given up. Bounded, and fails in silence."""
        try:
            async with asyncio.timeout(FINAL_CLOSE_TIMEOUT):
                await self._send(_close_frame(code))
        except Exception:  # noqa: BLE001  # servers raise five different classes here
            return

    async def deny(self, status: int, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Refuse the handshake with an HTTP response of our own (ASGI denial response)."""
        if self._refuse(CloseCode.ABNORMAL):
            kind = "websocket.http.response"
            await self._write({"type": f"{kind}.start", "status": status, "headers": [*headers]})
            await self._write({"type": f"{kind}.body", "body": b""})

    async def deny_plainly(self) -> None:
        """Refuse the handshake in the only way that every server knows: HTTP 403."""
        if self._refuse(CloseCode.ABNORMAL):
            await self._write(_close_frame(None))

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
                await self._write(_close_frame(code))

    def _refuse(self, code: int) -> bool:
        if not self._link.close(code, "", DisconnectKind.ERROR):
            return False
        self.owner.went_over()
        return True

    def release(self) -> None:
        """The peer was given up: whoever waits for it to take a frame need not wait any longer."""
        for patience in self._waits:
            patience.end()

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

    async def _pass_close(self, message: Mapping[str, Any]) -> None:
        # Closing what is closed, or a peer that has gone, is what the caller wanted anyway.
        outcome = SendOutcome.CLOSED
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

    # --- writing -----------------------------------------------------------------------------

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
            patience = blocking.Patience(self._wheel, self._deadline, self.owner.last_heard)
            self._waits = (*self._waits, patience)
        try:
            await blocking.finish(steps, wait)
        except asyncio.CancelledError:
            if patience is None or not patience.ran_out():
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

    async def _tell(self, outcome: SendOutcome) -> None:
        """Let the sender know that its message was not written."""
        self._link.unsent += 1
        if not _report(outcome) and not self.owner.excuses_sender():
            raise ConnectionClosed(self._link.info)
        # A handler that sends without end would otherwise never let go of the event loop.
        await asyncio.sleep(0)


def _report(outcome: SendOutcome) -> bool:
    ticket = current_ticket.get()
    if ticket is None or ticket.is_over:
        return False
    ticket.note(outcome)
    return True


def find_owner(send: object) -> Any:
    """The connection whose gate *send* already passes: two consumers, or a middleware of ours."""
    gate = getattr(send, "__self__", None)
    return gate.owner if isinstance(gate, SendGate) else None


def _close_frame(code: int | None) -> dict[str, Any]:
    frame: dict[str, Any] = {"type": "websocket.close"}
    return frame if code is None else {**frame, "code": int(code)}
