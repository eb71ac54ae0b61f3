"""The live connections of this process, and the last ones that ended."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .core.link import Link

RECENT = 100
"""How many ended connections are remembered."""


class Connection(Protocol):
    """What the registry knows about a connection."""

    id: str
    consumer_name: str
    link: Link


@dataclass(frozen=True, slots=True)
class Ended:
    """What remains of a connection."""

    id: str
    consumer_name: str
    code: int
    kind: str


class Registry:
    """All connections of this process, by identifier."""

    def __init__(self) -> None:
        self._live: dict[str, Connection] = {}
        self._ids = count(1)
        self._leaving: set[asyncio.Task[None]] = set()
        self.recent: deque[Ended] = deque(maxlen=RECENT)

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._live.values()))

    def next_id(self) -> str:
        """A connection identifier, unique in this process."""
        return f"c{next(self._ids)}"

    def add(self, connection: Connection) -> None:
        """A connection began."""
        self._live[connection.id] = connection

    def remove(self, connection: Connection) -> None:
        """A connection ended."""
        if self._live.pop(connection.id, None) is None:
            return
        info = connection.link.info
        if info is not None and connection.link.accepted:
            self.recent.append(
                Ended(connection.id, connection.consumer_name, info.code, info.kind.value)
            )

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a reference to a cleanup task until it is done, so that none is collected early."""
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def wait_for_cleanups(self, seconds: float) -> None:
        """Wait until every cleanup on this loop is done, or *seconds* have passed.

        Daphne's shutdown waits only for the first application that ends after its cancellation.
        So none may end before all are cleaned up.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while running := [task for task in self._leaving if task.get_loop() is loop]:
            remaining = deadline - loop.time()
            if remaining <= 0:
                return
            await asyncio.wait(running, timeout=remaining)


registry = Registry()
