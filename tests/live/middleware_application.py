"""The live application with what knows nothing of this library, behind the middleware.

``/async/`` and ``/sync/``: unmodified consumers; ``/bare/``: no consumer at all. ``/inside/`` and
``/hidden/``: a resilient consumer, the second with a middleware in between that wraps ``send``.
"""

import asyncio
import json
import time
from urllib.parse import parse_qsl

from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer

from live.application import (
    GROUP,
    AsyncSubject,
    Noter,
    append,
    application as live_application,
    write,
)
from resilient_channels import ResilientMiddleware


def read_query(scope):
    return dict(parse_qsl(scope["query_string"].decode()))


class AsyncPlain(AsyncJsonWebsocketConsumer):
    groups = [GROUP]

    async def connect(self):
        query = read_query(self.scope)
        self.key = query["id"]
        write(self, "connect", subprotocols=self.scope["subprotocols"])
        if "refuse" in query:
            await self.close(4003)
        else:
            await self.accept(query.get("subprotocol"))

    async def disconnect(self, code):
        write(self, "disconnect", code=code, type=type(code).__name__)

    async def receive_json(self, content):
        await getattr(self, f"do_{content['do']}")(content)

    async def do_echo(self, content):
        await self.send_json({"echo": content["n"]})

    async def do_work(self, content):
        write(self, "working")
        await asyncio.sleep(content["seconds"])
        for _ in range(content.get("answers", 0)):
            await self.send_json({"answer": True})
        write(self, "worked")

    async def do_flood(self, content):
        write(self, "flooding")
        for _ in range(400):
            await self.send("x" * 65_536)
        write(self, "flooded")


class SyncPlain(JsonWebsocketConsumer):
    groups = [GROUP]

    def connect(self):
        query = read_query(self.scope)
        self.key = query["id"]
        write(self, "connect", subprotocols=self.scope["subprotocols"])
        if "refuse" in query:
            self.close(4003)
        else:
            self.accept(query.get("subprotocol"))

    def disconnect(self, code):
        write(self, "disconnect", code=code, type=type(code).__name__)

    def receive_json(self, content):
        getattr(self, f"do_{content['do']}")(content)

    def do_echo(self, content):
        self.send_json({"echo": content["n"]})

    def do_work(self, content):
        write(self, "working")
        time.sleep(content["seconds"])
        for _ in range(content.get("answers", 0)):
            self.send_json({"answer": True})
        write(self, "worked")


async def bare(scope, receive, send):
    """Echoes; told to stream, it never listens again."""
    key = read_query(scope)["id"]
    await receive()
    append(key, "connect", subprotocols=scope["subprotocols"])
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        content = json.loads(message["text"])
        if content["do"] == "echo":
            await send({"type": "websocket.send", "text": json.dumps({"echo": content["n"]})})
        if content["do"] == "stream":
            append(key, "streaming")
            await stream(key, send)
    append(key, "disconnect", code=message["code"], type=type(message["code"]).__name__)


async def stream(key, send):
    try:
        while True:
            await send({"type": "websocket.send", "text": "x"})
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        append(key, "cancelled")
        raise


def wrapping_send(application):
    async def wrapped(scope, receive, send):
        async def through(message):
            await send(message)

        await application(scope, receive, through)

    return wrapped


ROUTES = {
    "/async/": Noter(ResilientMiddleware(AsyncPlain.as_asgi())),
    "/sync/": Noter(ResilientMiddleware(SyncPlain.as_asgi())),
    "/bare/": Noter(ResilientMiddleware(bare)),
    "/inside/": Noter(ResilientMiddleware(AsyncSubject.as_asgi())),
    "/hidden/": Noter(ResilientMiddleware(wrapping_send(AsyncSubject.as_asgi()))),
}


async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await ROUTES[scope["path"]](scope, receive, send)
    else:
        await live_application(scope, receive, send)
