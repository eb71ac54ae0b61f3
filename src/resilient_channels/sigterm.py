"""SIGTERM: first the drain, then whatever the server does about it."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING

from . import compat, draining

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from .draining import Drain

REPEATED = 2.0
"""Seconds within which a second SIGTERM is taken for the first.

Whoever stops a whole group of processes reaches a worker directly, and once more by its parent.
"""


class Doorkeeper:
    """Stands before the server's handler of SIGTERM.

    The first signal begins the drain, or joins the one that a command began; when it is over the
    server gets the signal. A second one ends the drain at once. Every later one is the server's.

    Args:
        before_end: Called before the server gets the signal.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, before_end: Callable[[], None]) -> None:
        self._loop = loop
        self._before_end = before_end
        self._drain: Drain | None = None
        self._heard_at = 0.0
        self._is_done = False
        self._place = compat.take_place(loop, signal.SIGTERM, self._heard)

    @property
    def is_in_place(self) -> bool:
        """Whether there is a handler of the server's to stand before."""
        return self._place is not None

    def _heard(self) -> None:
        if self._is_done:
            self._pass_on()
        elif self._drain is None:
            self._heard_at = self._loop.time()
            try:
                self._drain = draining.begin("signal")
            except BaseException:  # whatever is wrong here, the process has to end
                self._end()
                raise
            self._drain.ended.add_done_callback(self._drained)
        elif self._loop.time() - self._heard_at >= REPEATED:
            self._drain.skip()

    def _drained(self, ended: Future[int]) -> None:
        # A drain may have begun on another loop.
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._is_done = True
        self._before_end()
        self._pass_on()

    def _pass_on(self) -> None:
        if self._place is not None:
            self._place.pass_on()


def stand_before_server(before_end: Callable[[], None]) -> Doorkeeper | None:
    """Meet SIGTERM before the server does, on the running loop.

    ``None`` where that cannot be: off the main thread, and where the server's process has no
    handler of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    keeper = Doorkeeper(asyncio.get_running_loop(), before_end)
    return keeper if keeper.is_in_place else None
