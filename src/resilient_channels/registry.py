"""The live connections of this process, and the last ones that ended."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

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
        self._cleanups: WeakKeyDictionary[asyncio.AbstractEventLoop, _Cleanups] = (
            WeakKeyDictionary()
        )
        self.recent: deque[Ended] = deque(maxlen=RECENT)

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._live

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
        cleanups = self._cleanups.setdefault(task.get_loop(), _Cleanups())
        cleanups.tasks.add(task)
        task.add_done_callback(cleanups.done)

    async def wait_for_cleanups(self, seconds: float) -> None:
        """Wait until every cleanup on this loop is done, or *seconds* have passed.

        Daphne's shutdown waits only for the first application that ends after its cancellation.
        So none may end before all are cleaned up.
        """
        cleanups = self._cleanups.get(asyncio.get_running_loop())
        if cleanups is None or not cleanups.tasks:
            return
        if cleanups.all_done is None:
            cleanups.all_done = asyncio.get_running_loop().create_future()
        # One future for all who wait: thousands may be cancelled in the same moment.
        await asyncio.wait({cleanups.all_done}, timeout=seconds)


class _Cleanups:
    """The cleanups under way on one loop."""

    __slots__ = ("all_done", "tasks")

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.all_done: asyncio.Future[None] | None = None

    def done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self.tasks or self.all_done is None:
            return
        if not self.all_done.done():
            self.all_done.set_result(None)
        self.all_done = None


registry = Registry()
