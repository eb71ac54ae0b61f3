"""What happened at the end of a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event import INFO, WARNING, Event, doc_field


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainBegan(Event):
    """The process began to let go of its clients, and takes in no new ones."""

    name: ClassVar[str] = "drain.began"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "drain"

    cause: str = doc_field("`signal`, `command` or `call`.")
    connections: int = doc_field("How many there are.")
    duration: float = doc_field("Seconds over which they are closed.")


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainEnded(Event):
    """Every client was let go."""

    name: ClassVar[str] = "drain.ended"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "drain"

    closed: int = doc_field("Connections that the drain closed; the others left by themselves.")
    left: int = doc_field("Connections that were not cleaned up yet.")
    seconds: float = doc_field("How long it took.")


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainSkipped(Event):
    """A second SIGTERM came: the rest is closed at once, and the server goes on."""

    name: ClassVar[str] = "drain.skipped"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "drain"

    left: int = doc_field("Connections that had not been closed yet.")


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainUnreachable(Event):
    """`manage.py resilient_drain` will not find this process."""

    name: ClassVar[str] = "drain.unreachable"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "drain"

    directory: str = doc_field("Where its socket should have been.")
    error: str = doc_field("Class of the exception.")
