"""Many live clients in a process of their own, light enough to answer whatever the tour does.

``Crowd`` is the handle. The process itself, ``python -m tour.crowd``, takes commands as lines on
its standard input and answers each with one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from . import client as websocket
from .heart import PROTOCOL, Heart
from .messages import Close, Eof, Reset, Text
from .servers import HERE, ServerFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from .client import Client

# A server's backlog is short; more at once would measure that.
AT_ONCE = 40


class Crowd:
    """*count* clients of one consumer that answer every heartbeat; an async context manager.

    They speak the library's protocol, and answer after *delay*. The client number n has the
    ``id`` ``<name>.<n>`` in its query string.
    """

    def __init__(
        self, port: int, path: str, name: str, count: int, *query: str, delay: float = 0.0
    ) -> None:
        self._arguments = [
            f"--port={port}", f"--path={path}", f"--name={name}", f"--count={count}",
            f"--delay={delay}", *(f"--query={pair}" for pair in query),
        ]  # fmt: skip
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tour.crowd", *self._arguments, cwd=HERE,
            stdin=pipe, stdout=pipe, start_new_session=True,
        )  # fmt: skip
        try:
            await self._answer(60)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    async def look(self) -> dict[str, Any]:
        """Return how many are ``open``, the ``endings`` of the others, and ``pings`` answered."""
        return await self._ask("look")

    async def echo(self) -> dict[str, Any]:
        """Have all that are open send an echo; as ``look()``, and how many were ``alive``."""
        return await self._ask("echo")

    async def leave(self) -> dict[str, Any]:
        """Have all that are open close in good order; as ``look()``."""
        return await self._ask("leave")

    async def _ask(self, command: str) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None  # noqa: S101 - for the type checker
        process.stdin.write(f"{command}\n".encode())
        return await self._answer(40)

    async def _answer(self, deadline: float) -> dict[str, Any]:
        process = self._running()
        assert process.stdout is not None  # noqa: S101 - for the type checker
        async with asyncio.timeout(deadline):
            line = await process.stdout.readline()
        if not line:
            raise ServerFailed("the crowd's process has ended")
        found: dict[str, Any] = json.loads(line)
        return found

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ServerFailed("the crowd was not started")
        return self._process

    async def _end(self) -> None:
        process = self._running()
        with suppress(ProcessLookupError):
            process.kill()
        # Reads to the end, too, so that no transport outlives us.
        await process.communicate()


class Member:
    """One of the crowd's clients.

    Attributes:
        ending: How the connection ended, in a word or two; None while it is open.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.ending: str | None = None
        self._echoes: set[int] = set()
        self._heard = asyncio.Event()
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while self.ending is None:
            received = await self.client.recv(deadline=1e9)
            if isinstance(received, Close):
                self.ending = f"code {received.code}"
            elif isinstance(received, Eof | Reset):
                self.ending = type(received).__name__
            elif isinstance(received, Text):
                content = json.loads(received.data)
                self._echoes.add(content.get("echo"))
            self._heard.set()

    async def echo(self, number: int, deadline: float = 15.0) -> bool:
        """Whether the consumer answers."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(deadline):
                await self.client.send_json({"do": "echo", "n": number})
                while number not in self._echoes and self.ending is None:
                    self._heard.clear()
                    await self._heard.wait()
        return number in self._echoes

    async def leave(self) -> None:
        """Close in good order."""
        if self.ending is None:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(10):
                    await self.client.close()
                    await self._task


async def _gather(options: argparse.Namespace) -> list[Member]:
    query = dict(pair.split("=", 1) for pair in options.query)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Member:
        async with gate:
            client = await websocket.connect(
                options.port, options.path, query={"id": f"{options.name}.{number}", **query},
                subprotocols=(PROTOCOL,), heart=Heart(delay=options.delay), deadline=30,
            )  # fmt: skip
            return Member(client)

    return await asyncio.gather(*(one(number) for number in range(options.count)))


def _tell(members: Sequence[Member], **more: Any) -> None:
    endings = Counter(member.ending for member in members if member.ending is not None)
    found = {
        "open": sum(member.ending is None for member in members),
        "endings": dict(endings),
        "pings": sum(member.client.heart.answered for member in members if member.client.heart),
        **more,
    }
    print(json.dumps(found), flush=True)


async def _serve(options: argparse.Namespace) -> None:
    members = await _gather(options)
    _tell(members)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    number = 0
    while command := (await commands.readline()).decode().strip():
        more = {}
        if command == "echo":
            number += 1
            answers = await asyncio.gather(*(member.echo(number) for member in members))
            more["alive"] = sum(answers)
        elif command == "leave":
            await asyncio.gather(*(member.leave() for member in members))
        _tell(members, **more)


def main() -> None:
    """Connect, then do as told."""
    parser = argparse.ArgumentParser(prog="tour.crowd")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--query", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS")
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
