"""A courier that ends with the test that it works for."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resilient_channels.courier import Courier

LIMIT = 10.0  # real seconds


def courier_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.endswith(".courier")]


@contextmanager
def own_courier() -> Iterator[Courier]:
    """A courier whose thread and loop are gone afterwards."""
    before = set(courier_threads())
    courier = Courier()
    try:
        yield courier
    finally:
        loop = courier._loop
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)
            for thread in set(courier_threads()) - before:
                thread.join(LIMIT)
            loop.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110  # another thread sets no event of this loop's
            await asyncio.sleep(0.001)
