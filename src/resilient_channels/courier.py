"""A thread with an event loop, for synchronous code that has something to send."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future, TimeoutError as FutureTimeoutError
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from .core import events
from .core.outcomes import SendOutcome
from .observers import notify

if TYPE_CHECKING:
    from collections.abc import Coroutine

    Work = Coroutine[Any, Any, SendOutcome]

AT_ONCE = 20
"""Sends under way at the same time. Each may take a connection to a broker."""

GRACE = 1.0
"""Seconds beyond the deadline that a send has to report by itself."""


class Courier:
    """Runs what synchronous code wants to send, on one event loop for the whole process.

    A loop per call, as ``async_to_sync`` has on most threads, means a connection to the broker per
    call. The thread starts at the first use, and again in a forked child.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._under_way = 0

    def run(
        self,
        work: Work,
        home: asyncio.AbstractEventLoop | None,
        *,
        alias: str,
        patience: float,
        pending: int,
    ) -> SendOutcome:
        """Do *work*, and return what came of it; on a thread that may not wait, ``QUEUED``.

        Args:
            home: Another loop to do it on.
            alias: Which layer, for the log.
            patience: Seconds that it may take.
            pending: How many may be under way or wait. One more is ``DROPPED``, and so is one for
                which no thread could be started.

        Raises:
            Exception: What *work* raises.
        """
        if self._under_way >= pending:
            work.close()
            notify(events.NotifyFailed(alias=alias, error="too many wait"))
            return SendOutcome.DROPPED
        try:
            loop = home or self._get_loop()
        except RuntimeError as error:
            work.close()
            notify(events.NotifyFailed(alias=alias, error=str(error)))
            return SendOutcome.DROPPED
        if home is None:
            work = self._in_turn(work)
        with self._lock:
            self._under_way += 1
        future = asyncio.run_coroutine_threadsafe(work, loop)
        future.add_done_callback(self._count_down)
        if asyncio._get_running_loop() is not None:
            future.add_done_callback(partial(_tell_failure, alias))
            return SendOutcome.QUEUED
        try:
            return future.result(patience + GRACE)
        except FutureTimeoutError:
            future.cancel()
            return SendOutcome.TIMED_OUT

    def forget_thread(self) -> None:
        """In a forked child there is no such thread."""
        self._lock = Lock()
        self._loop = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._under_way = 0

    def _get_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                loop = asyncio.new_event_loop()
                thread = Thread(
                    target=loop.run_forever, name="resilient_channels.courier", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:  # out of threads: the next call tries again
                    loop.close()
                    raise
                self._loop = loop
            return self._loop

    def _count_down(self, future: Future[SendOutcome]) -> None:
        with self._lock:
            self._under_way -= 1

    async def _in_turn(self, work: Work) -> SendOutcome:
        async with self._slots:
            return await work


def _tell_failure(alias: str, future: Future[SendOutcome]) -> None:
    """Whoever handed it over has long gone on."""
    error = None if future.cancelled() else future.exception()
    if error is not None:
        notify(events.NotifyFailed(alias=alias, error=type(error).__name__))
    elif future.cancelled() or not future.result():
        notify(events.NotifyFailed(alias=alias, error="timed out"))


courier = Courier()
os.register_at_fork(after_in_child=courier.forget_thread)
