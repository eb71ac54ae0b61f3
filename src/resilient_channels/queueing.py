"""What the lines of all connections share: their turns, and the memory of the process."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio


class Turn:
    """Somebody who waits to write, and is let do so."""

    __slots__ = ("_done", "begun")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.begun: asyncio.Future[None] = loop.create_future()
        self._done: asyncio.Future[None] = loop.create_future()

    async def run(self) -> None:
        """Let it write, unless it has given up, and wait until it has."""
        self.begin()
        if not self._done.done():
            await self._done

    def begin(self) -> None:
        """Let it write."""
        if not self.begun.done():
            self.begun.set_result(None)

    def end(self) -> None:
        """It has written, or does not want to any more."""
        if not self._done.done():
            self._done.set_result(None)


class Line(Protocol):
    """The line of one connection.

    Attributes:
        size: Bytes of the frames that wait.
    """

    @property
    def size(self) -> int: ...
    def overflow_there(self) -> None: ...


class Pool:
    """The bytes that wait in all lines of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lines: dict[Line, None] = {}
        self.size = 0

    def change(self, line: Line, size: int, limit: int | None = None) -> None:
        """*line* has got longer, or shorter; beyond *limit* the longest one has to go."""
        with self._lock:
            self.size += size
            if line.size:
                self._lines[line] = None
            else:
                self._lines.pop(line, None)
            longest = None
            if limit is not None and self.size > limit:
                longest = max(self._lines, key=lambda line: line.size)
        if longest is not None:
            longest.overflow_there()


pool = Pool()
