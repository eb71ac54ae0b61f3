"""Real servers of every kind with the application of the doors, and handshakes byte by byte."""

import asyncio
import json
import os
import time
from contextlib import asynccontextmanager
from importlib.util import find_spec

import pytest

from live.stage import TESTS
from tour.servers import NAMES, Server

APPLICATION = "live.doors_application:application"
LONG = 5.0  # seconds: a limit for what happens in milliseconds


def every_server(test):
    """Run a test, which takes a name, on each server that is installed; in CI that is all."""
    names = [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                find_spec(name.partition("-")[0]) is None and "CI" not in os.environ,
                reason=f"{name} is not installed",
            ),
        )
        for name in NAMES
    ]
    return pytest.mark.parametrize("name", names)(test)


@asynccontextmanager
async def serve(name, tmp_path, options="{}", **environment):
    """Start the server called *name*; ends with it."""
    server = Server(
        name,
        APPLICATION,
        environment={
            "DJANGO_SETTINGS_MODULE": "live.doors_settings", "OPTIONS": options,
            "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
            **environment,
        },
        directory=TESTS,
        log=tmp_path / "server.log",
    )  # fmt: skip
    async with server:
        yield server


class Answer:
    """What a handshake was answered with.

    Attributes:
        status: The HTTP status; ``None`` if the connection just ended, or nothing came.
        headers: By name, in lower case.
    """

    def __init__(self, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1]) if first else None
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}


async def knock(port, path, *lines, host=b"example.com"):
    """Ask for a WebSocket with these header *lines*, as bytes, and hang up."""
    head = [
        b"GET %s HTTP/1.1" % path.encode(),
        b"Host: " + host,
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        b"Sec-WebSocket-Version: 13",
        *lines,
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        async with asyncio.timeout(LONG):
            writer.write(b"\r\n".join(head) + b"\r\n\r\n")
            while b"\r\n\r\n" not in answer and (chunk := await reader.read(4096)):
                answer += chunk
    except (ConnectionResetError, TimeoutError):
        answer = b""
    finally:
        writer.close()
    return Answer(answer.partition(b"\r\n\r\n")[0])


async def look(port):
    """What the process says that it holds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(LONG):
        writer.write(b"GET /state HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
    writer.close()
    return json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])


async def looks(port, reached):
    """Wait until the process holds what *reached* is true of; returns it either way."""
    give_up = time.monotonic() + LONG
    while not reached(state := await look(port)) and time.monotonic() < give_up:
        await asyncio.sleep(0.05)
    return state
