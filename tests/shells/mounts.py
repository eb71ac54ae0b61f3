"""Applications behind the middleware, and what may stand in between."""

import asyncio
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import DisconnectKind, ResilientMiddleware, on_disconnect
from resilient_channels.registry import registry
from resilient_channels.wheel import get_wheel
from shells.visits import AsyncTools, SyncTools, build, note, twin

ACCEPT = {"type": "websocket.accept"}
HEARTBEATS = ("ping", "pong")


def mount(application: Any, **resilience: Any) -> Any:
    """What a visit wants: something to call for an application behind the middleware."""
    middleware = ResilientMiddleware(application, resilience=resilience)
    return lambda: middleware


def plain(consumer: type, colour: str = "async") -> Any:
    """The application of a consumer that knows nothing of this library."""
    tools = SyncTools if colour == "sync" else AsyncTools
    base = twin(consumer) if colour == "sync" else consumer
    return type(base)(base.__name__, (tools, base), {}).as_asgi()


class Chat(AsyncWebsocketConsumer):
    """Notes what reaches it, and does what it is told."""

    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        note(self, text_data if bytes_data is None else bytes_data)
        order, _, rest = (text_data or "").lower().partition(" ")
        if order == "say":
            await self.send(rest)
        if order == "work":
            await self.pause(float(rest))
            await self.send("worked")
            note(self, "worked")
        if order == "close":
            await self.close(int(rest))
        if order == "fail":
            raise LookupError(rest)

    async def news(self, event):
        await self.send(event["text"])

    async def disconnect(self, code):
        note(self, "disconnect", code)


async def listener(scope, receive, send):
    """Notes every message after the handshake."""
    await receive()
    await send(ACCEPT)
    message = None
    while message is None or message["type"] != "websocket.disconnect":
        message = await receive()
        scope["notes"].append(message)


class Resilient(Chat):
    """The same with handlers for its end; to be built with the mixin."""

    @on_disconnect
    async def ended(self, info):
        note(self, info.kind.value, info.code)

    @on_disconnect(DisconnectKind.TIMEOUT)
    async def gave_up(self, info):
        note(self, "gave up", info.code)


def consumer_behind(wrap: Any, colour: str = "async", **resilience: Any) -> Any:
    """A resilient consumer behind the middleware, with something in between."""
    return mount(wrap(build(Resilient, colour, **resilience).as_asgi()))


# --- what may stand between a middleware and a consumer ----------------------------------------


def copying_scope(application):
    async def wrapped(scope, receive, send):
        await application({**scope, "user": "somebody"}, receive, send)

    return wrapped


def wrapping_send(application):
    """Writes texts in capitals, as one that wraps ``send`` for a reason."""

    async def wrapped(scope, receive, send):
        async def in_capitals(message):
            await send(capitals(message))

        await application(scope, receive, in_capitals)

    return wrapped


def wrapping_receive(application):
    async def wrapped(scope, receive, send):
        async def in_capitals():
            return capitals(await receive())

        await application(scope, in_capitals, send)

    return wrapped


def wrapping_both(application):
    return wrapping_send(wrapping_receive(application))


def capitals(message):
    text = message.get("text")
    if not text or not text.isprintable() or text in HEARTBEATS:
        return message
    return {**message, "text": text.upper()}


def receiving_first(application):
    """Looks at the first message before the application does."""

    async def wrapped(scope, receive, send):
        first = [await receive()]

        async def again():
            return first.pop() if first else await receive()

        await application(scope, again, send)

    return wrapped


def accepting_first(application):
    """Accepts by itself, and spares the application the handshake."""

    async def wrapped(scope, receive, send):
        connect = await receive()
        await send(ACCEPT)

        async def again():
            nonlocal connect
            message, connect = connect, None
            return message or await receive()

        async def rest(message):
            if message["type"] != "websocket.accept":
                await send(message)

        await application(scope, again, rest)

    return wrapped


def nothing(application):
    return application


def between(*wrappers):
    """A test for each of these in between."""
    return pytest.mark.parametrize("wrap", wrappers, ids=lambda wrap: wrap.__name__)


# --- what may be left ------------------------------------------------------------------------


def nothing_is_left() -> bool:
    """Whether no connection is registered, and the loop's wheel is empty."""
    return len(registry) == 0 and len(get_wheel(asyncio.get_running_loop())) == 0
