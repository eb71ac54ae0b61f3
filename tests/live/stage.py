"""One real server with the live application, and what a test asks of it."""

import asyncio
import json
import time
from collections import Counter
from contextlib import asynccontextmanager, nullcontext
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

from tour import client as websocket
from tour.client import Close, Eof, Reset, Text
from tour.crowd import Crowd
from tour.heart import PROTOCOL, Heart
from tour.servers import NAMES, Server

SERVERS = NAMES
TESTS = Path(__file__).resolve().parent.parent
_numbers = count(1)


class Stage:
    """A running server process.

    Attributes:
        journal: Where its consumers write what happens to them.
    """

    def __init__(self, server, journal):
        self.server = server
        self.journal = journal

    async def connect(self, colour="async", *, key=None, port=None, query=None, **options):
        key = key or f"k{next(_numbers)}"
        client = await websocket.connect(
            port or self.server.port, f"/{colour}/", query={"id": key, **(query or {})}, **options
        )
        client.key = key
        return client

    async def speaker(self, colour="async", **options):
        """Connect a client that speaks the wire protocol, and is done with the greetings."""
        client = await self.connect(colour, subprotocols=[PROTOCOL], heart=Heart(), **options)
        await until(lambda: client.heart.heard("hello"))
        return client

    def crowd(self, count, colour="async", **options):
        """Many such clients, in a process of their own."""
        name = f"crowd{next(_numbers)}"
        return Crowd(self.server.port, f"/{colour}/", name, count, **options)

    def entries(self, key=None, event=None):
        if not self.journal.exists():
            return []
        lines = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return [
            line
            for line in lines
            if (key is None or line["id"] == key) and (event is None or line["event"] == event)
        ]

    async def entry(self, key, event, deadline=5.0):
        """Wait for that line of the journal."""
        found = await until(lambda: self.entries(key, event), deadline)
        assert found, f"no {event!r} of {key} within {deadline} s; journal: {self.entries(key)}"
        return found[0]

    async def look(self, path="/state", **query):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        target = f"{path}?{urlencode(query)}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        try:
            answer = await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()
        body = answer[answer.index(b"\r\n\r\n") :]
        return json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])

    async def looks(self, reached, deadline=5.0):
        """Wait until what the process holds satisfies *reached*; returns it either way."""
        give_up = time.monotonic() + deadline
        while True:
            state = await self.look()
            if reached(state) or time.monotonic() > give_up:
                return state
            await asyncio.sleep(0.05)

    def log(self):
        return self.server.log_text()

    def events(self):
        """How often each of our events is in the log."""
        names = (
            line.split()[2]
            for line in self.log().splitlines()
            if len(line.split()) > 2 and line.split()[1].startswith("resilient_channels")
        )
        return Counter(names)


@asynccontextmanager
async def serve(
    name, tmp_path, *, layer=None, options=None, server_options=(), application="live.application"
):
    journal = tmp_path / "journal"
    environment = {"JOURNAL": str(journal), "DJANGO_SETTINGS_MODULE": "live.settings"}
    if layer is not None:
        environment["LAYER"] = json.dumps(layer)
    if options is not None:
        environment["OPTIONS"] = json.dumps(options)
    server = Server(
        name,
        f"{application}:application",
        environment=environment,
        directory=TESTS,
        options=tuple(server_options),
        log=tmp_path / "server.log",
    )
    async with server:
        yield Stage(server, journal)


def on_every_server(*, at_once=True, **options):
    """Run a test, which takes a stage, on each of ``SERVERS``.

    Args:
        at_once: Most tests mostly wait. One that keeps a server busy is run on one at a time.
    """

    def decorate(test):
        async def on(name, home, are_up, turn):
            home.mkdir()
            try:
                async with serve(name, home, **options) as stage:
                    # A server that starts takes a core from those whose clients wait for answers.
                    await are_up.wait()
                    async with turn:
                        await test(stage)
            except BaseException:
                await are_up.abort()
                raise

        async def everywhere(tmp_path):
            are_up = asyncio.Barrier(len(SERVERS))
            turn = nullcontext() if at_once else asyncio.Lock()
            tests = [on(name, tmp_path / name, are_up, turn) for name in SERVERS]
            outcomes = await asyncio.gather(*tests, return_exceptions=True)
            failures = []
            for name, outcome in zip(SERVERS, outcomes, strict=True):
                if outcome is not None:
                    outcome.add_note(f"on {name}")
                    failures.append(outcome)
            # Those that wait for a server that does not start are not what is wrong.
            failures.sort(key=lambda failure: isinstance(failure, asyncio.BrokenBarrierError))
            if failures:
                raise failures[0]

        # Not functools.wraps: what is collected takes a directory, not a stage.
        everywhere.__name__, everywhere.__doc__ = test.__name__, test.__doc__
        return everywhere

    return decorate


def reported(server, code, kind):
    """What is told of that end on *server*; Hypercorn and Granian cannot tell every end."""
    cannot_tell = server == "hypercorn" or (server == "granian" and code in (1005, 1006))
    if kind in ("client", "lost") and cannot_tell:
        return {"code": 1006, "kind": "lost", "certain": False}
    return {"code": code, "kind": kind, "certain": True}


async def until(probe, deadline=5.0):
    """Wait until *probe* returns something true; returns its last answer."""
    give_up = time.monotonic() + deadline
    while not (found := probe()) and time.monotonic() < give_up:
        await asyncio.sleep(0.02)
    return found


async def do(client, what, **content):
    await client.send_json({"do": what, **content})


async def echoes(client, deadline=5.0):
    """Whether the consumer answers, whatever else it sends first."""
    number = next(_numbers)
    await do(client, "echo", n=number)
    return await hears(client, {"echo": number}, deadline)


async def hears(client, content, deadline=5.0):
    def wanted(received):
        return isinstance(received, Text) and json.loads(received.data) == content

    try:
        _, last = await client.until(
            lambda received: wanted(received) or isinstance(received, Close | Eof | Reset), deadline
        )
    except TimeoutError:
        return False
    return isinstance(last, Text)
