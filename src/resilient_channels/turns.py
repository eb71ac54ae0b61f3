"""Whether code runs on behalf of a handler, and what a ``safe_send`` wants to know."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .core.outcomes import SendOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turn:
    """One run of one handler.

    Context variables travel into threads and into tasks that a handler starts. So a task that
    outlives its handler still holds the turn, but the turn is over by then.
    """

    is_over = False  # of the class: one is made per message


class Ticket:
    """Collects the outcomes of the sends made within one ``safe_send``.

    As with a turn, a task that was started inside still holds it afterwards.

    Attributes:
        waits: Whether the sender waits for the server; if not, its frames may wait without it.
        key: What such frames have in common with others that they may replace.
    """

    __slots__ = ("is_over", "key", "outcome", "waits")

    def __init__(self, *, waits: bool = True, key: str | None = None) -> None:
        self.waits = waits
        self.key = key
        self.is_over = False
        self.outcome = SendOutcome.SENT

    def note(self, outcome: SendOutcome) -> None:
        """Remember the first outcome that is not a success."""
        if self.outcome:
            self.outcome = outcome


current_turn: ContextVar[Turn | None] = ContextVar("resilient_channels_turn", default=None)
current_ticket: ContextVar[Ticket | None] = ContextVar("resilient_channels_ticket", default=None)


def is_being_cancelled() -> bool:
    """Whether somebody cancelled the running task.

    If not, a ``CancelledError`` is merely what it awaited: somebody else's cancelled future.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def pass_cancellation_on(error: BaseException) -> None:
    """Raise ``CancelledError`` where *error* has taken its place, as some clients let it."""
    if is_being_cancelled():
        raise asyncio.CancelledError from error


def is_in_handler() -> bool:
    """Whether the running code belongs to a handler that has not returned."""
    turn = current_turn.get()
    return turn is not None and not turn.is_over


@contextmanager
def handler_turn() -> Iterator[None]:
    """Mark the code inside as a handler's."""
    turn = Turn()
    token = current_turn.set(turn)
    try:
        yield
    finally:
        turn.is_over = True
        current_turn.reset(token)


@contextmanager
def collect_outcome(*, waits: bool = True, key: str | None = None) -> Iterator[Ticket]:
    """Have sends inside reported instead of raised."""
    ticket = Ticket(waits=waits, key=key)
    token = current_ticket.set(ticket)
    try:
        yield ticket
    finally:
        ticket.is_over = True
        current_ticket.reset(token)
