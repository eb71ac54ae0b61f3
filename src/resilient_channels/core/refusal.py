"""Why a new connection may not come in."""

from __future__ import annotations

from dataclasses import dataclass


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
