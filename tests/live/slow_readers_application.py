"""The ASGI application of the tests about slow readers: it says more than a client may take.

WebSockets at ``/reader/``, all in one group; ``/state`` over HTTP tells what the process holds.
"""

import asyncio
import gc
import json
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl

from live.application import look, write  # sets Django up

from channels.generic.websocket import AsyncJsonWebsocketConsumer  # isort: skip
from resilient_channels import AsyncResilientMixin, broadcast, on_disconnect  # isort: skip
from resilient_channels.queueing import pool  # isort: skip

ROOM = "everybody"
CHUNK = 65_536
# More than any buffer holds; and a bound, if there is no end to it.
MOST_CHUNKS = 1000
# Nobody who reads needs so long for one chunk, on a busy machine either.
STUCK = 0.5


class Reader(AsyncResilientMixin, AsyncJsonWebsocketConsumer):
    groups = [ROOM]

    async def connect(self):
        query = dict(parse_qsl(self.scope["query_string"].decode()))
        self.key = query.get("id", "")
        await self.accept()

    @on_disconnect
    async def ended(self, info):
        write(self, "ended", code=info.code, kind=info.kind.value)

    async def receive_json(self, content):
        await getattr(self, f"do_{content.pop('do')}")(**content)

    async def do_echo(self, n):
        await self.send_json({"echo": n})

    async def do_fill(self):
        """Send, and wait for it, until every buffer on the way to the client is full."""
        self.resilient.spawn(self.fill())

    async def fill(self):
        for count in range(MOST_CHUNKS):
            sending = asyncio.ensure_future(self.safe_send_json({"fill": "x" * CHUNK}))
            done, _ = await asyncio.wait({sending}, timeout=STUCK)
            if not done:
                write(self, "filled", chunks=count)
                write(self, "freed", outcome=(await sending).value)
                return
        write(self, "not to be filled")

    async def do_flood(self, count, size):
        """The same without waiting, in the handler."""
        began, outcomes = time.monotonic(), []
        for number in range(count):
            sent = await self.safe_send_json({"n": number, "pad": "x" * size}, wait=False)
            outcomes.append(sent.value)
        seconds = time.monotonic() - began
        # In a row, each with how many there are of it: what comes after the first CLOSED matters.
        runs = [[outcomes[0], 0]]
        for outcome in outcomes:
            if outcome != runs[-1][0]:
                runs.append([outcome, 0])
            runs[-1][1] += 1
        write(self, "flooded", outcomes=Counter(outcomes), runs=runs, seconds=seconds)

    async def do_tell(self, count, size, pause, key=None):
        """Tell everybody, again and again."""
        self.resilient.spawn(self.tell(count, size, pause, key))

    async def tell(self, count, size, pause, key):
        due = time.monotonic()
        for number in range(count):
            await broadcast(ROOM, {"n": number, "pad": "x" * size}, type="room.said", key=key)
            due += pause
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        write(self, "told", late=time.monotonic() - due)


subject = Reader.as_asgi()


async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await subject(scope, receive, send)
    elif scope["type"] == "http":
        found = {**look(), **read_pool(), **read_memory(), "consumers": count_consumers()}
        body = json.dumps(found).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    else:
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})


def read_pool():
    """Bytes that wait for clients, and how many are remembered for that."""
    return {"waiting": pool.size, "lines": len(pool._lines)}


def count_consumers():
    """Those that are still in memory, whether or not anybody knows why."""
    gc.collect()
    return sum(isinstance(each, Reader) for each in gc.get_objects())


def read_memory():
    """Bytes of this process now, and at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {
        name: int(fields[field].split()[0]) * 1024
        for name, field in (("memory", "VmRSS"), ("most_memory", "VmHWM"))
    }
