"""What happened to those who wanted to come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event import INFO, WARNING, ConnectionEvent, Event, doc_field


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionReplaced(ConnectionEvent):
    """A connection was closed (3409) because a newer one took its place."""

    name: ClassVar[str] = "connection.replaced"
    level: ClassVar[int] = INFO

    cause: str = doc_field("The limit that was reached: `user limit` or `address limit`.")


@dataclass(frozen=True, kw_only=True, slots=True)
class OriginRefused(Event):
    """An `OriginValidator` has refused handshakes because of where their page came from.

    One record for the first, and at most one in a minute for all that follow with the same cause.
    The counter has each of them.
    """

    name: ClassVar[str] = "origin.refused"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "connection"

    cause: str = doc_field("`missing`, `duplicate`, `malformed` or `not allowed`.")
    refused: int = doc_field("How many handshakes, since the last record with this cause.")
