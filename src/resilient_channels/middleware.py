"""For an ASGI application that cannot be edited: everything but what needs a consumer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from .conf import check_own, get_policies
from .connection import DISCONNECT, Connection
from .core.codes import CloseCode
from .core.disconnects import DisconnectInfo
from .core.link import State
from .core.subprotocols import PREFIX
from .crowds import leave, lend
from .ending import REPORT_TIMEOUT
from .exceptions import is_mere_departure
from .gate import find_owner
from .intake import LEFT
from .nesting import find_outer, surrounding
from .registry import registry
from .watchdog import is_work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from . import compat
    from .core.inbox import Message
    from .core.policies import Policies

SECONDS_BEFORE_REPEATING = 0.1
"""How long an application waits that asks again what comes after the end."""


class ResilientMiddleware:
    """Send gate, heartbeat, limits and logs around the WebSocket side of an ASGI application.

    ::

        application = ProtocolTypeRouter({
            "http": django_application,
            "websocket": ResilientMiddleware(URLRouter(websocket_urlpatterns)),
        })

    The application sees what it saw before: its frames, and one ``websocket.disconnect``. Until it
    has received that, sending to a client that has left does nothing; afterwards it raises
    :class:`ConnectionClosed`. A consumer with the mixin, or another such middleware, somewhere
    inside, takes over.

    Args:
        app: The application. Scopes other than ``websocket`` are passed on untouched.
        resilience: Options, as in a consumer's ``resilience``; the settings count too. Those of
            ``ERRORS`` and ``LAYER`` have no effect here.

    Raises:
        TypeError: *resilience* has an unknown key or an impossible value.
    """

    def __init__(self, app: Any, resilience: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.resilience = {} if resilience is None else resilience
        check_own(self.resilience, type(self))
        self.app = app
        named = app if hasattr(app, "__qualname__") else type(app)
        self._name = f"{named.__module__}.{named.__qualname__}"

    async def __call__(
        self, scope: Mapping[str, Any], receive: compat.Receive, send: compat.Send
    ) -> None:
        """The ASGI application."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        outer = find_outer(receive, send)
        if outer is not None:
            # Of two middlewares the inner one has the options that were meant for this place.
            given = outer.step_aside(scope, receive, send)
            if given is None:
                await self.app(scope, receive, send)
                return
            scope, receive, send = given
        passage = Passage(self._name, scope, receive, send, get_policies(self))
        token = surrounding.set(passage.link)
        try:
            await passage.run(partial(passage.serve, self.app))
        finally:
            # One that is thrown away unfinished is closed in whatever context.
            with suppress(ValueError):
                surrounding.reset(token)


class Passage(Connection):
    """A connection whose application is a black box."""

    __slots__ = ("_end", "_is_aside", "_is_reading", "_raw")

    def __init__(
        self,
        name: str,
        scope: Mapping[str, Any],
        receive: compat.Receive,
        send: compat.Send,
        policies: Policies,
    ) -> None:
        super().__init__(name, scope, receive, send, policies)
        self.handling = "application"
        self._raw = (scope, receive, send)
        self._is_reading = False
        self._is_aside = False
        self._end: Message | None = None  # what the application was told in the end

    @is_work
    async def serve(self, app: Any) -> None:
        """Run *app*. That it ends by what a send has raised to end it is no failure."""
        try:
            await app(self.scope, self.receive, self.gate.send)
        except Exception as error:
            if not (self.link.is_over and is_mere_departure(error)):
                raise

    # --- what the application receives ---------------------------------------------------------

    async def receive(self) -> Message:
        """The ASGI ``receive`` that the application gets."""
        if self._is_aside:
            return await self._raw[1]()
        if self._end is not None:
            # Some servers say it again, some never return. Whoever asks in a loop gets neither:
            # it would stop everybody else, or hang.
            await asyncio.sleep(SECONDS_BEFORE_REPEATING)
            return self._end
        self._read_on()
        message = await self.intake.next_frame()
        if message is LEFT:
            await self._hear_the_server_out()
            message = await self.intake.next_frame()
        if message is LEFT:
            message = self._end = self._describe_end()
        return message

    async def _hear_the_server_out(self) -> None:
        """What it reports is the last word, unless there is nobody left to report about."""
        link = self.link
        if self.readers and (link.state is not State.GONE or link.info is None):
            await asyncio.wait(self.readers, timeout=REPORT_TIMEOUT)
        if link.info is None:
            link.peer_left(DisconnectInfo(CloseCode.ABNORMAL.value))

    def _describe_end(self) -> Message:
        """The ``websocket.disconnect``, with the code that an ``on_disconnect`` would be told."""
        link = self.link
        info = link.info
        assert info is not None  # noqa: S101  # or it would not be over
        message = self.client_message or {}
        code: int = info.code
        if not link.accepted:
            # A refused handshake has no close code but the server's.
            code = int(message.get("code") or CloseCode.ABNORMAL.value)
        return {**message, "type": DISCONNECT, "code": code}

    # --- reading -------------------------------------------------------------------------------

    def start_reading(self) -> None:
        """Not before the application does something: it may be one that takes over."""

    def _read_on(self) -> None:
        if not self._is_reading and self.link.state is not State.ENDED:
            self._is_reading = True
            super().start_reading()

    def opened(self) -> None:
        """The handshake was accepted. Whether or not anybody asks: silence must mean silence."""
        self._read_on()
        super().opened()

    def went_over(self) -> None:
        """Nothing can be written any more; what the server says to that should be heard."""
        self._read_on()
        super().went_over()

    # --- the rest ------------------------------------------------------------------------------

    def excuses_sender(self) -> bool:
        """Until it was told that its client has left, the application cannot know better."""
        return self._end is None and not self.departure.was_cut_off

    def step_aside(
        self, scope: Mapping[str, Any], receive: compat.Receive, send: compat.Send
    ) -> tuple[Mapping[str, Any], compat.Receive, compat.Send]:
        """Let somebody inside have the connection, if nothing has happened on it."""
        if self._is_reading:
            return scope, receive, send
        if not self._is_aside:
            self._is_aside = True
            self.gate.step_aside()
            self.departure.finish()
            registry.remove(self)
            lend(self)
        surrounding.set(None)  # in the context of whoever takes over
        raw_scope, raw_receive, raw_send = self._raw
        if raw_scope is not self.scope:
            scope = {**scope, "subprotocols": self._restore(scope.get("subprotocols") or ())}
        # By the shortest way, unless a middleware in between has put something of its own there.
        if getattr(receive, "__self__", None) is self:
            receive = raw_receive
        if find_owner(send) is self:
            send = raw_send
        return scope, receive, send

    def _restore(self, wanted: Sequence[str]) -> list[str]:
        """The client's offer; what a middleware in between has taken out of it stays out."""
        offered, seen = self._raw[0]["subprotocols"], self.scope["subprotocols"]
        gone = set(seen) - set(wanted)
        return [
            *(name for name in offered if name.removeprefix(PREFIX) not in gone),
            *(name for name in wanted if name not in seen),
        ]

    async def clean_up(self) -> None:
        """Run the cleanup, unless it is somebody else's business."""
        if self._is_aside:
            leave(self)  # unless whoever took over has its seat
            return
        await super().clean_up()
        self.intake.finish()  # for what the application may have left behind
