"""What an event is: a fact in the past tense, and one log record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40


def doc_field(doc: str, **kwargs: Any) -> Any:
    return field(metadata={"doc": doc}, **kwargs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened."""

    name: ClassVar[str]
    level: ClassVar[int]
    topic: ClassVar[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionEvent(Event):
    """Something that happened to one connection."""

    topic: ClassVar[str] = "connection"

    connection: str = doc_field("Identifier of the connection, unique in the process.")
    consumer: str = doc_field("Dotted path of the consumer class.")
