"""What happened to frames that had to wait for a slow client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event import INFO, ConnectionEvent, doc_field


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxOverflow(ConnectionEvent):
    """More would have waited for a client than `OUTBOX` allows.

    Frames that are dropped are told of at most once in 10 seconds and connection.
    """

    name: ClassVar[str] = "outbox.overflow"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "send"

    cause: str = doc_field("`closed` (the client was given up) or `dropped` (frames were).")
    dropped: int = doc_field("Frames that the client did not get, since the last record.")
    waiting: int = doc_field("Bytes (characters, for text) that waited for it.")
