"""What happened when a client went beyond a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event import INFO, ConnectionEvent, doc_field


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitExceeded(ConnectionEvent):
    """A connection went beyond one of its `LIMITS`.

    One record for the frame that closes the connection; for `groups`, which closes nothing, one
    for the first time on a connection.
    """

    name: ClassVar[str] = "limit.exceeded"
    level: ClassVar[int] = INFO

    cause: str = doc_field("`message size`, `rate` or `groups`.")
    code: int | None = doc_field("The close code; `None`: the connection goes on.")
    limit: float = doc_field("The limit, as it is set.")
