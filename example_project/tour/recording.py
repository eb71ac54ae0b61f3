"""What happened to each connection, kept in the server process for the tour to ask for.

A connection is known by the ``id`` in its query string. ``Recorded`` goes around a consumer and
sees what leaves it; the consumers write down the rest themselves.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import defaultdict
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# Stands in for what an exception's text may hold and a client must not read.
SECRET = "secret-7c1e"  # noqa: S105

current: ContextVar[Record | None] = ContextVar("current", default=None)


@dataclass
class Record:
    """One connection's story.

    Attributes:
        events: What happened, with seconds since the connection began: what the consumer wrote
            down; "close", when the application closed; "server noticed", when it was told of the
            end.
        disconnects: The codes that ``disconnect()`` was called with.
        infos: The ``DisconnectInfo`` objects that a resilient consumer was given.
        sends: What each counted send did: "returned", or the exception's name.
        writes_after_end: Frames handed to the server after the application had closed.
        left_by: The exception that left the application.
    """

    options: dict[str, str] = field(default_factory=dict)
    events: list[tuple[float, str]] = field(default_factory=list)
    disconnects: list[Any] = field(default_factory=list)
    infos: list[dict[str, Any]] = field(default_factory=list)
    sends: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    writes_after_end: int = 0
    ended: bool = False
    left_by: str | None = None
    logs: list[tuple[str, str]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    background: list[asyncio.Task[None]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def group(self) -> str:
        """The group that the consumer joins."""
        return self.options.get("group", f"tour.{self.options.get('id', '')}")

    def note(self, event: str) -> None:
        """Write *event* down with the time."""
        self.events.append((round(time.monotonic() - self.began, 3), event))

    def as_json(self) -> dict[str, Any]:
        """Return everything that can leave the process."""
        return {
            "began": self.began,
            "events": self.events,
            "disconnects": self.disconnects,
            "infos": self.infos,
            "sends": self.sends,
            "bytes_sent": self.bytes_sent,
            "writes_after_end": self.writes_after_end,
            "ended": self.ended,
            "left_by": self.left_by,
            "logs": self.logs,
            "background": sum(not task.done() for task in self.background),
        }


RECORDS: defaultdict[str, Record] = defaultdict(Record)


def of(scope: Mapping[str, Any]) -> Record:
    """Return the record of the connection that *scope* belongs to, or asks about."""
    options = dict(parse_qsl(scope.get("query_string", b"").decode()))
    record = RECORDS[options.get("id", "")]
    if scope["type"] == "websocket":
        record.options = options
    return record


def combined(name: str) -> dict[str, Any]:
    """Return the stories of the connections whose ids begin with *name*, as one."""
    stories = [record.as_json() for key, record in RECORDS.items() if key.startswith(f"{name}.")]
    return {
        "total": len(stories),
        "ended": sum(story["ended"] for story in stories),
        "disconnects": [code for story in stories for code in story["disconnects"]],
        "infos": [info for story in stories for info in story["infos"]],
        "left_by": [story["left_by"] for story in stories if story["left_by"]],
        "writes_after_end": sum(story["writes_after_end"] for story in stories),
        "logs": [log for story in stories for log in story["logs"]],
    }


class Recorded:
    """An ASGI application that writes down how another one behaves."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Run the inner application."""
        record = of(scope)
        record.task = asyncio.current_task()
        current.set(record)
        closed = False

        async def watched(message: Message) -> None:
            nonlocal closed
            record.writes_after_end += closed
            if message["type"] == "websocket.close":
                closed = True
                record.note("close")
            await send(message)

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                record.note("server noticed")
            return message

        try:
            await self._inner(scope, heard, watched)
        except BaseException as error:
            record.left_by = f"{type(error).__module__}.{type(error).__qualname__}"
            raise
        finally:
            record.ended = True
            record.note("ended")
            _keep(record)


def _keep(record: Record) -> None:
    """Write the story of a connection to a file, for those who ask when the process is gone."""
    if (journal := os.environ.get("TOUR_JOURNAL")) is not None:
        line = json.dumps({"key": record.options.get("id"), **record.as_json()})
        with Path(journal).open("a") as stories:
            stories.write(f"{line}\n")


class RecordHandler(logging.Handler):
    """Keeps which events were logged on behalf of which connection."""

    def emit(self, record: logging.LogRecord) -> None:
        """Add the event to the record of the connection that caused it."""
        connection = current.get()
        # Whose turn it is when the loop runs again is chance: that record is the process's.
        if connection is not None and record.getMessage() != "loop.stalled":
            connection.logs.append((record.levelname, record.getMessage()))
