"""Whether a new connection may come in at all, before its consumer hears of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import Connection


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a new connection is refused, and what its client is told.

    Attributes:
        cause: In a word or two, for the log.
        code: Close code, for a client that speaks the wire protocol.
        status: HTTP status, for any other.
        after: Seconds after which the client should try again.
    """

    cause: str
    code: int
    status: int
    after: float | None = None


def find_refusal(connection: Connection) -> Refusal | None:
    """Why *connection*, which has just begun, is refused; ``None`` if it is not."""
    return None
