"""Reading from a layer, however often it fails meanwhile."""

from __future__ import annotations

import asyncio
from random import random
from typing import TYPE_CHECKING, Any, Protocol

from ..core.backoff import Backoff
from ..turns import pass_cancellation_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LONG = 1.0
"""A read that fails later than this was idle, and says nothing about the reads before it."""


class Watch(Protocol):
    """Who knows how the layer is; a supervisor."""

    async def is_answering(self) -> bool: ...
    async def wait_until_up(self) -> None: ...


async def read(
    receive: Callable[[], Awaitable[Any]],
    put: Callable[[Any], Awaitable[None] | None],
    *,
    watch: Watch,
    until: Callable[[], bool],
    room: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Hand everything that *receive* returns to *put*, *until* that is true.

    An idle layer may fail for no reason (a client's read timeout), so the first failure is only a
    reason to look. The pause keeps a layer whose probe succeeds and whose ``receive`` does not
    from spinning.

    ``receive`` is never run under a time limit: some layers take its cancellation for goodbye.

    Args:
        room: Awaited before each read: whoever holds an event that nobody can take may lose it.
    """
    loop = asyncio.get_running_loop()
    backoff = Backoff()
    failures = 0
    while not until():
        if room is not None:
            await room()
        started = loop.time()
        try:
            event = await receive()
        except Exception as error:  # noqa: BLE001  # any failure of the layer, of any class
            pass_cancellation_on(error)
            if loop.time() - started > LONG:
                failures = 0
                backoff.reset()
            await watch.is_answering()
            await watch.wait_until_up()
            if failures:
                await asyncio.sleep(backoff.next_delay(1.0))
            failures += 1
        else:
            failures = 0
            backoff.reset()
            handed = put(event)
            if handed is not None:
                await handed


async def read_anyway(
    receive: Callable[[], Awaitable[Any]],
    put: Callable[[Any], Awaitable[None] | None],
    *,
    until: Callable[[], bool],
    failed: Callable[[], None] | None = None,
    wake: asyncio.Event | None = None,
    cap: float = 1.0,
) -> None:
    """As :func:`read`, for those by whom it is found out how the layer is.

    They cannot wait until it is known to be up: they tell of each failure, and go on trying, after
    pauses of up to *cap* seconds, which *wake* cuts short.
    """
    backoff = Backoff(cap=cap)
    while not until():
        try:
            event = await receive()
        except Exception as error:  # noqa: BLE001  # idle timeouts of redis-py among them
            pass_cancellation_on(error)
            if failed is not None:
                failed()
            pause = backoff.next_delay(random())
            if wake is None:
                await asyncio.sleep(pause)
            else:
                wake.clear()
                await wait_for(wake, pause)
        else:
            backoff.reset()
            handed = put(event)
            if handed is not None:
                await handed


async def wait_for(event: asyncio.Event, seconds: float) -> bool:
    """Wait for *event*, but no longer than *seconds*; whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
