"""Whether a new connection may come in at all, before its consumer hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .crowds import find_crowding
from .draining import find_draining

if TYPE_CHECKING:
    from collections.abc import Callable

    from .connection import Connection
    from .core.refusal import Refusal

REASONS: tuple[Callable[[Connection], Refusal | None], ...] = (find_draining, find_crowding)
"""What is asked, in this order. The last one counts those in whom nobody has refused."""


def find_refusal(connection: Connection) -> Refusal | None:
    """Why *connection*, which has just begun, is refused; ``None`` if it is not."""
    for find in REASONS:
        refusal = find(connection)
        if refusal is not None:
            return refusal
    return None
