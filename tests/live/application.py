"""The ASGI application of the live tests: resilient consumers that keep a journal in a file.

A file, because it outlives the server process. WebSockets at ``/async/`` and ``/sync/``, options
in the query string; ``/state`` over HTTP tells what the process holds.
"""

import asyncio
import json
import os
import time
from urllib.parse import parse_qsl

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "live.settings")
django.setup()

from asgiref.sync import async_to_sync  # noqa: E402
from channels.exceptions import StopConsumer  # noqa: E402
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402

from resilient_channels import AsyncResilientMixin, ResilientMixin, on_disconnect  # noqa: E402
from resilient_channels.layers import ResilientChannelLayer  # noqa: E402
from resilient_channels.registry import registry  # noqa: E402

GROUP = "everybody"
TASKS = {}


def write(consumer, event, **fields):
    """Append one line to the journal; a single write, so that lines do not mix."""
    append(consumer.key, event, **fields)


def append(key, event, **fields):
    # The clock is the machine's: a test may subtract its own time.
    content = {"id": key, "event": event, "at": time.monotonic(), **fields}
    line = json.dumps(content) + "\n"
    journal = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(journal, line.encode())
    os.close(journal)


class AsyncSubject(AsyncResilientMixin, AsyncJsonWebsocketConsumer):
    groups = [GROUP]
    calls = 0

    async def connect(self):
        query = dict(parse_qsl(self.scope["query_string"].decode()))
        self.key = query.get("id", "")
        TASKS[self.key] = asyncio.current_task()
        write(self, "connect", subprotocols=self.scope["subprotocols"])
        await self.accept(subprotocol=query.get("subprotocol"))

    async def receive(self, text_data=None, bytes_data=None, **kwargs):
        self.calls += 1
        await super().receive(text_data, bytes_data, **kwargs)

    async def disconnect(self, code):
        write(self, "disconnect", code=code, type=type(code).__name__)

    @on_disconnect
    async def ended(self, info):
        write(self, "ended", code=info.code, kind=info.kind.value, certain=info.certain)

    async def receive_json(self, content):
        await getattr(self, f"do_{content['do']}")(content)

    async def do_echo(self, content):
        await self.send_json({"echo": content["n"]})

    async def do_calls(self, content):
        await self.send_json({"calls": self.calls})

    async def do_rtt(self, content):
        await self.send_json({"rtt": self.resilient.rtt})

    async def do_block(self, content):
        """Stop the event loop, again and again if asked for."""
        write(self, "blocking")
        for _ in range(content.get("times", 1)):
            time.sleep(content["seconds"])  # noqa: ASYNC251
            await asyncio.sleep(content.get("gap", 0))
        write(self, "blocked")

    async def do_boom(self, content):
        raise ValueError("a bug")

    async def do_work(self, content):
        write(self, "working")
        await asyncio.sleep(content["seconds"])
        for _ in range(content.get("answers", 0)):
            await self.send_json({"answer": True})
        write(self, "worked")

    async def do_accept(self, content):
        await self.accept()

    async def do_close(self, content):
        await self.close(content.get("code"), content.get("reason"))

    async def do_stop(self, content):
        raise StopConsumer

    async def do_say(self, content):
        message = {"type": "chat.message", "text": content["text"]}
        await self.channel_layer.group_send(GROUP, message)

    async def do_stream(self, content):
        write(self, "streaming")
        while True:
            outcome = await self.safe_send("x" * 65_536)
            if not outcome:
                break
            await asyncio.sleep(0)
        write(self, "streamed", outcome=outcome.value)

    async def do_tick(self, content):
        self.resilient.spawn(self.tick())

    async def tick(self):
        try:
            while True:
                await self.send_json({"tick": True})
                await asyncio.sleep(0.01)
        finally:
            write(self, "ticker ended")

    async def do_flood(self, content):
        """More than any buffer holds, bounded for a server that keeps it all in memory."""
        write(self, "flooding")
        self.resilient.spawn(self.flood())

    async def do_pour(self, content):
        """The same in the handler."""
        write(self, "pouring")
        await self.flood()

    async def flood(self):
        for _ in range(400):
            await self.safe_send("x" * 65_536)
            await asyncio.sleep(0.005)

    async def chat_message(self, event):
        await self.safe_send_json({"said": event["text"]})


class SyncSubject(ResilientMixin, JsonWebsocketConsumer):
    groups = [GROUP]

    calls = 0

    def connect(self):
        query = dict(parse_qsl(self.scope["query_string"].decode()))
        self.key = query.get("id", "")
        write(self, "connect", subprotocols=self.scope["subprotocols"])
        self.accept(subprotocol=query.get("subprotocol"))

    def receive(self, text_data=None, bytes_data=None, **kwargs):
        self.calls += 1
        super().receive(text_data, bytes_data, **kwargs)

    def disconnect(self, code):
        write(self, "disconnect", code=code, type=type(code).__name__)

    @on_disconnect
    def ended(self, info):
        write(self, "ended", code=info.code, kind=info.kind.value, certain=info.certain)

    def receive_json(self, content):
        getattr(self, f"do_{content['do']}")(content)

    def do_echo(self, content):
        self.send_json({"echo": content["n"]})

    def do_calls(self, content):
        self.send_json({"calls": self.calls})

    def do_rtt(self, content):
        self.send_json({"rtt": self.resilient.rtt})

    def do_boom(self, content):
        raise ValueError("a bug")

    def do_work(self, content):
        write(self, "working")
        time.sleep(content["seconds"])
        for _ in range(content.get("answers", 0)):
            self.send_json({"answer": True})
        write(self, "worked")

    def do_accept(self, content):
        self.accept()

    def do_close(self, content):
        self.close(content.get("code"), content.get("reason"))

    def do_stop(self, content):
        raise StopConsumer

    def do_say(self, content):
        message = {"type": "chat.message", "text": content["text"]}
        async_to_sync(self.channel_layer.group_send)(GROUP, message)

    def chat_message(self, event):
        self.safe_send_json({"said": event["text"]})


class Noter:
    """Notes when a connection is closed, and its task, so that a test can cancel that."""

    def __init__(self, inner):
        self.inner = inner

    async def __call__(self, scope, receive, send):
        key = dict(parse_qsl(scope["query_string"].decode())).get("id", "")
        TASKS[key] = asyncio.current_task()

        async def noted(message):
            if message["type"] == "websocket.close":
                append(key, "closing", code=message.get("code"))
            await send(message)

        try:
            await self.inner(scope, receive, noted)
        finally:
            TASKS.pop(key, None)


ROUTES = {
    "/async/": Noter(AsyncSubject.as_asgi()),
    "/sync/": Noter(SyncSubject.as_asgi()),
}


async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await ROUTES[scope["path"]](scope, receive, send)
    elif scope["type"] == "http":
        query = dict(parse_qsl(scope["query_string"].decode()))
        if scope["path"] == "/cancel" and query["id"] in TASKS:
            TASKS[query["id"]].cancel()
        body = json.dumps(look()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    else:
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})


def count_members():
    """How many of this process are in the group, as far as its layer knows them one by one."""
    layer = get_channel_layer()
    holder = layer.get_directory() if isinstance(layer, ResilientChannelLayer) else layer
    return len(getattr(holder, "groups", {}).get(GROUP, ()))


def look():
    return {
        "members": count_members(),
        "connections": len(registry),
        "tasks": sorted(task.get_name() for task in asyncio.all_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }
