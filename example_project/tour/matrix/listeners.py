"""The crowd at the other end of the sockets, and what each of them heard."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Literal, Self

from ..messages import Close, Eof, Reset, Text
from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from ..client import Client
    from ..stage import Stage

Kind = Literal["shared", "own"]
KINDS: tuple[Kind, ...] = ("shared", "own")

# A server's backlog is short; more at once would measure that.
AT_ONCE = 10


class Listener:
    """One socket, and what came out of it.

    Attributes:
        group: The group that is its alone.
        stream: How often it heard each number of the stream.
        calls: When it heard the call of each number, to all ("shared") and to it ("own").
        ending: How the socket ended; None while it is open.
    """

    def __init__(self, client: Client, group: str) -> None:
        self.group = group
        self.stream: Counter[int] = Counter()
        self.calls: dict[str, dict[int, float]] = {kind: {} for kind in KINDS}
        self.ending: str | None = None
        self.heard_at = time.monotonic()
        self._client = client
        self._echoes: set[int] = set()
        self._task = asyncio.create_task(self._listen())

    def heard(self, kind: Kind, since: int) -> float | None:
        """When the first call of that *kind*, of number *since* or later, came."""
        times = (at for number, at in self.calls[kind].items() if number >= since)
        return min(times, default=None)

    async def echoes(self, number: int, deadline: float = 4.0) -> bool:
        """Whether the consumer answers."""
        try:
            await self._client.send_json({"do": "echo", "n": number})
        except OSError:
            return False
        await until(lambda: number in self._echoes or self.ending is not None, deadline, 0.02)
        return number in self._echoes

    async def leave(self) -> None:
        """Close in good order, if it is open, and release the socket."""
        if self.ending is None:
            try:
                async with asyncio.timeout(5):
                    await self._client.close()
                    await asyncio.shield(self._task)
            except (OSError, TimeoutError):
                pass
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._client.aclose()

    async def _listen(self) -> None:
        while self.ending is None:
            received = await self._client.recv(deadline=1e9)
            if isinstance(received, Text):
                self._hear(json.loads(received.data))
            elif isinstance(received, Close):
                self.ending = f"code {received.code}"
            elif isinstance(received, Eof | Reset):
                self.ending = type(received).__name__

    def _hear(self, content: dict[str, object]) -> None:
        if isinstance(echo := content.get("echo"), int):
            self._echoes.add(echo)
        said = str(content.get("said", ""))
        kind, _, number = said.partition(" ")
        if kind == "stream":
            self.stream[int(number)] += 1
            self.heard_at = time.monotonic()
        elif kind:
            self.calls[kind].setdefault(int(number), time.monotonic())


class Audience:
    """*count* listeners that share one group; an async context manager."""

    def __init__(self, stage: Stage, name: str, shared: str, count: int) -> None:
        self.name = name
        self.listeners: list[Listener] = []
        self._stage = stage
        self._shared = shared
        self._count = count

    async def __aenter__(self) -> Self:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with gate:
                connection = await self._stage.connect(
                    self.name,
                    key=f"{self.name}.{number}",
                    colour="listener",
                    shared=self._shared,
                )
            self.listeners.append(Listener(connection.client, connection.group))

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._count):
                    group.create_task(one(number))
        except BaseException:
            await self.leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.leave()

    @property
    def open(self) -> Sequence[Listener]:
        """Those whose socket has not ended."""
        return [listener for listener in self.listeners if listener.ending is None]

    @property
    def last_heard(self) -> float:
        """When somebody heard something of the stream for the last time."""
        return max(listener.heard_at for listener in self.listeners)

    async def answering(self) -> int:
        """Return how many are open and get an answer."""
        number = time.monotonic_ns()
        return sum(await asyncio.gather(*(each.echoes(number) for each in self.open)))

    async def leave(self) -> None:
        """Close what is open."""
        await asyncio.gather(*(listener.leave() for listener in self.listeners))
