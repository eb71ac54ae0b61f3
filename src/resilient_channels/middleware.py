"""For an ASGI application that cannot be edited: everything but what needs a consumer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .conf import ATTRIBUTE, find_problems, get_policies
from .connection import DISCONNECT, Connection
from .gate import find_owner
from .intake import LEFT
from .registry import registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from . import compat
    from .core.inbox import Message
    from .core.policies import Policies


class ResilientMiddleware:
    """Send gate, heartbeat, limits and logs around the WebSocket side of an ASGI application.

    ::

        application = ProtocolTypeRouter({
            "http": django_application,
            "websocket": ResilientMiddleware(URLRouter(websocket_urlpatterns)),
        })

    The application sees what it saw before: its frames, and one ``websocket.disconnect``. Until it
    has received that, sending to a client that has left does nothing; afterwards it raises
    :class:`ConnectionClosed`. A consumer with the mixin, somewhere inside, takes over.

    Args:
        app: The application. Scopes other than ``websocket`` are passed on untouched.
        resilience: Options, as in a consumer's ``resilience``; the settings count too. Those of
            ``ERRORS`` and ``LAYER`` have no effect here.

    Raises:
        TypeError: *resilience* has an unknown key or an impossible value.
    """

    def __init__(self, app: Any, resilience: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.resilience = resilience or {}
        problems = list(find_problems(self.resilience, f"{type(self).__name__}.{ATTRIBUTE}"))
        if problems:
            raise TypeError("; ".join(problems))
        self.app = app
        named = getattr(app, "consumer_class", app)
        named = named if hasattr(named, "__qualname__") else type(named)
        self._name = f"{named.__module__}.{named.__qualname__}"

    async def __call__(
        self, scope: Mapping[str, Any], receive: compat.Receive, send: compat.Send
    ) -> None:
        """The ASGI application."""
        if scope["type"] != "websocket" or find_owner(send) is not None:
            await self.app(scope, receive, send)
            return
        passage = Passage(self._name, scope, receive, send, get_policies(self))
        await passage.run(partial(self.app, passage.scope, passage.receive, passage.gate.send))


class Passage(Connection):
    """A connection whose application is a black box."""

    __slots__ = ("_is_handed_over", "_is_reading", "_raw", "_was_told")

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
        self._is_handed_over = False
        self._was_told = False

    async def receive(self) -> Message:
        """The ASGI ``receive`` that the application gets."""
        if not self._is_reading:
            self._is_reading = True
            super().start_reading()
        message = await self.intake.next_frame()
        if message is not LEFT:
            return message
        self._was_told = True
        if self.client_message is not None:
            return self.client_message
        info = self.link.info
        assert info is not None  # noqa: S101  # or it would not be over
        return {"type": DISCONNECT, "code": info.code, "reason": info.reason}

    def start_reading(self) -> None:
        """Not before the application asks: it may be one that takes over."""

    def excuses_sender(self) -> bool:
        """Until it was told that its client has left, the application cannot know better."""
        return not self._was_told and not self.departure.was_cut_off

    def hand_over(
        self, scope: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], compat.Receive, compat.Send] | None:
        """Let a resilient consumer inside have the connection, if nothing has happened on it."""
        if self._is_reading:
            return None
        self._is_handed_over = True
        self.departure.finish()
        registry.remove(self)
        raw_scope, receive, send = self._raw
        if raw_scope.get("subprotocols") != scope.get("subprotocols"):
            scope = {**scope, "subprotocols": raw_scope["subprotocols"]}
        return scope, receive, send

    async def clean_up(self) -> None:
        """Run the cleanup, unless it is somebody else's business."""
        if not self._is_handed_over:
            await super().clean_up()
