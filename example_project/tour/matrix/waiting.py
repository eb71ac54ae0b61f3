"""Waiting for what happens elsewhere and can only be asked for again and again."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def until(
    holds: Callable[[], bool | Awaitable[bool]], deadline: float, every: float = 0.05
) -> bool:
    """Whether *holds* came to be true within *deadline* seconds."""
    give_up = time.monotonic() + deadline
    while True:
        answer = holds()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer or time.monotonic() > give_up:
            return bool(answer)
        await asyncio.sleep(every)
