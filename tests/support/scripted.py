"""One scripted connection of an ASGI server: every event and every failure on command."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from support.faults import Faults
from support.servers import PLAIN, ServerStyle

Message = dict[str, Any]
Application = Callable[..., Awaitable[None]]
SendHook = Callable[[Message], Awaitable[None] | None]


class ApplicationEnded(AssertionError):
    """The application ended while the script still expected something of it."""


class ScriptedServer:
    """Plays an ASGI server for one websocket, without any socket.

    ``feed`` delivers any message at any time.  What the application sends is kept in
    ``sent`` (in full) and can be awaited with ``next_sent``.

    Args:
        style: how the server behaves after a close and after the client left.
        on_send: called with each message before the server takes it; may raise
            or wait.
        faults: numbered failures, for the nth-await loop.
    """

    def __init__(
        self,
        *,
        style: ServerStyle = PLAIN,
        path: str = "/",
        on_send: SendHook | None = None,
        faults: Faults | None = None,
        **scope: Any,
    ) -> None:
        self.style = style
        self.scope = style.scope(path, scope)
        self.on_send = on_send
        self.faults = faults or Faults()
        self.inbound: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.refused: list[Message] = []
        self.received: list[Message] = []
        self.accepted = self.closed = self.client_is_gone = False
        self.task: asyncio.Task[None] | None = None
        self._outbound: asyncio.Queue[Message] = asyncio.Queue()

    # -- what the application is given -------------------------------------

    async def receive(self) -> Message:
        await self.faults.point("server.receive")
        message = await self.inbound.get()
        self.received.append(message)
        return message

    async def send(self, message: Message) -> None:
        await self.faults.point(f"server.send {message['type']}")
        if self.on_send is not None and (waiting := self.on_send(message)) is not None:
            await waiting
        try:
            taken = self.style.take(self, message)
        except BaseException:
            self.refused.append(message)
            raise
        if taken:
            self.sent.append(message)
            self._outbound.put_nowait(message)

    # -- what the client does ----------------------------------------------

    def feed(self, *messages: Message) -> None:
        for message in messages:
            self.inbound.put_nowait(message)

    def client_connects(self) -> None:
        self.feed({"type": "websocket.connect"})

    def client_sends(self, data: str | bytes) -> None:
        key = "text" if isinstance(data, str) else "bytes"
        self.feed({"type": "websocket.receive", key: data})

    def client_closes(self, code: int | None = 1000, reason: str = "") -> None:
        """A clean close; ``None`` is a close frame without a code."""
        self.client_is_gone = True
        self.feed(self.style.clean_close(code, reason))

    def client_vanishes(self) -> None:
        """The TCP connection ends without a close frame."""
        self.client_is_gone = True
        self.feed(self.style.lost())

    # -- running an application --------------------------------------------

    def start(self, application: Application) -> asyncio.Task[None]:
        """Run *application* on this connection, in a task of its own."""
        self.task = asyncio.ensure_future(self._call(application))
        return self.task

    async def _call(self, application: Application) -> None:
        await application(self.scope, self.receive, self.send)

    async def next_sent(self) -> Message:
        """The next message the client has not seen; fails if the application ends first."""
        assert self.task is not None
        getter = asyncio.ensure_future(self._outbound.get())
        try:
            await asyncio.wait({getter, self.task}, return_when=asyncio.FIRST_COMPLETED)
            if getter.done():
                return getter.result()
        finally:
            getter.cancel()
        raise ApplicationEnded(f"ended instead of sending; sent so far: {self.sent}")

    async def ended(self) -> BaseException | None:
        """Wait for the application; its exception, if it raised one."""
        assert self.task is not None
        await asyncio.wait({self.task})
        if self.task.cancelled():
            return asyncio.CancelledError()
        return self.task.exception()

    def sent_of_type(self, kind: str) -> list[Message]:
        return [message for message in self.sent if message["type"] == kind]
