"""What happened when a handler took too long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event import WARNING, ConnectionEvent, doc_field


@dataclass(frozen=True, kw_only=True, slots=True)
class HandlerOverdue(ConnectionEvent):
    """A handler goes on beyond `HANDLER.deadline`.

    A synchronous one, which cannot be interrupted, or one that swallows its cancellation: told of
    when it ends all the same, or has taken as long again. One record for each run.
    """

    name: ClassVar[str] = "handler.overdue"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "handler"

    handler: str = doc_field("Type of the message that is handled.")
    deadline: float = doc_field("The limit, in seconds.")


@dataclass(frozen=True, kw_only=True, slots=True)
class HandlerStalled(ConnectionEvent):
    """A handler has blocked everybody else for `HANDLER.stall_after`, and may go on doing so.

    One record for each stall, written while it lasts, by a thread that looks on. Where no method of
    a consumer is to be found, `connection`, `consumer` and `handler` are empty.
    """

    name: ClassVar[str] = "handler.stalled"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "handler"

    handler: str = doc_field("Type of the message that is handled.")
    where: str = doc_field(
        "`event loop`, or `sync thread`: the one that all synchronous handlers share."
    )
    seconds: float = doc_field("How long it has been so, at least.")
    stack: str = doc_field("Where the blocked thread is (in the record: `stack_info`).")
