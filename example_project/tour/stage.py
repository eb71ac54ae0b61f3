"""What a fault works with: one server process of one side, and connections to it."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from . import client as websocket
from .client import Client, Close, Ending, Eof, Reset, Text
from .heart import PROTOCOL, Heart
from .lengths import SHORT, Lengths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .brokers import Broker
    from .messages import Received
    from .servers import Server

Side = Literal["plain", "resilient"]

_numbers = itertools.count(1)


@dataclass
class Connection:
    """One WebSocket, seen from both ends.

    Attributes:
        key: What the server process knows it by.
        texts: Every text the client has read so far.
        close_frame: The server's close frame, if one has been read.
    """

    stage: Stage
    key: str
    client: Client
    group: str
    texts: list[str] = field(default_factory=list)
    close_frame: Close | None = None

    async def do(self, what: str, **content: Any) -> None:
        """Ask the consumer for something."""
        await self.client.send_json({"do": what, **content})

    async def hear(self, key: str, value: object, deadline: float = 4.0) -> bool:
        """Whether a message ``{key: value}`` comes within *deadline*."""

        def wanted(received: Received) -> bool:
            return isinstance(received, Text) and _holds(received.data, key, value)

        try:
            before, received = await self.client.until(
                lambda received: wanted(received) or isinstance(received, Close), deadline
            )
        except TimeoutError:
            return False
        self.texts += [item.data for item in (*before, received) if isinstance(item, Text)]
        if isinstance(received, Close):
            self.close_frame = received
        return isinstance(received, Text)

    async def echoes(self, deadline: float = 4.0) -> bool:
        """Whether the consumer still answers."""
        number = next(_numbers)
        try:
            await self.do("echo", n=number)
        except OSError:
            return False
        return await self.hear("echo", number, deadline)

    async def leave(self, code: int | None = 1000) -> None:
        """Close in good order, if there is still something to close."""
        with suppress(OSError):
            await self.client.close(code)

    async def ending(self, deadline: float = 5.0) -> Ending | None:
        """How the client saw the end; None while the connection is open."""
        try:
            before, last = await self.client.until(lambda _: False, deadline)
        except TimeoutError:
            return None
        close = self.close_frame or next((item for item in before if isinstance(item, Close)), None)
        self.texts += [item.data for item in before if isinstance(item, Text)]
        return Ending(close, last if isinstance(last, Eof | Reset) else Eof())

    async def state(self) -> dict[str, Any]:
        """Return what the server process recorded."""
        return await self.stage.look("/state", id=self.key)

    async def until(
        self, reached: Callable[[dict[str, Any]], bool], deadline: float
    ) -> dict[str, Any]:
        """Wait until the record satisfies *reached*; return it, also when it never does."""
        return await self.stage.until(self.key, reached, deadline)

    async def noted(self, event: str, deadline: float = 5.0) -> dict[str, Any]:
        """Wait until the consumer has written *event* down."""
        return await self.until(lambda state: moment(state, event) is not None, deadline)

    async def note(self, event: str) -> None:
        """Have *event* written down in the server's record, with its time."""
        await self.stage.look("/note", id=self.key, event=event)

    async def members(self) -> int:
        """Return how many channels are in this connection's group."""
        if self.stage.broker is not None:
            return await self.stage.broker.group_size(self.group)
        return int((await self.state())["members"])


@dataclass
class Stage:
    """One server process that serves one side."""

    server: Server
    side: Side
    broker: Broker | None = None
    lengths: Lengths = SHORT
    journal: Path | None = None

    def stories(self) -> dict[str, dict[str, Any]]:
        """Return what is kept of the connections that have ended, by their keys."""
        if self.journal is None or not self.journal.exists():
            return {}
        lines = map(json.loads, self.journal.read_text().splitlines())
        return {line["key"]: line for line in lines}

    async def connect(
        self,
        name: str,
        *,
        key: str | None = None,
        colour: str = "async",
        group: str | None = None,
        receive_buffer: int | None = None,
        port: int | None = None,
        heart: Heart | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float = 10.0,
        **query: str,
    ) -> Connection:
        """Open a WebSocket to this side's consumer of that *colour*.

        A client with a *heart* offers the library's protocol. Another *port* than the server's
        is a proxy's.
        """
        key = key or self.new_key(name)
        group = group or f"tour.{key}"
        client = await websocket.connect(
            self.server.port if port is None else port,
            f"/{self.side}/{colour}/",
            query={"id": key, "group": group, **query},
            headers=headers,
            receive_buffer=receive_buffer,
            subprotocols=() if heart is None else (PROTOCOL,),
            heart=heart,
            deadline=deadline,
        )
        return Connection(self, key, client, group)

    def new_key(self, name: str) -> str:
        """Return what the next connection can be known by."""
        return f"{name}.{next(_numbers)}"

    async def until(
        self, key: str, reached: Callable[[dict[str, Any]], bool], deadline: float
    ) -> dict[str, Any]:
        """Wait until that connection's record satisfies *reached*, or *deadline* has passed."""
        give_up = time.monotonic() + deadline
        while True:
            state = await self.look("/state", id=key)
            if reached(state) or time.monotonic() > give_up:
                return state
            await asyncio.sleep(0.03)

    async def look(self, path: str, **query: str) -> dict[str, Any]:
        """Ask the server process over HTTP; patient, because a fault may keep it busy."""
        for attempt in range(3):
            try:
                async with asyncio.timeout(10):
                    return await _get_json(self.server.port, f"{path}?{urlencode(query)}")
            except (OSError, ValueError):
                if attempt == 2:
                    raise
                await asyncio.sleep(0.2)
        raise AssertionError("unreachable")


def moment(state: dict[str, Any], event: str) -> float | None:
    """When *event* was written down, in seconds since the connection began."""
    return next((at for at, what in state["events"] if what == event), None)


def _holds(text: str, key: str, value: object) -> bool:
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and key in content and content[key] == value


async def _get_json(port: int, target: str) -> dict[str, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: tour\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise ValueError(f"unexpected answer to {target}: {head[:200]!r}")
    found: dict[str, Any] = json.loads(body)
    return found
