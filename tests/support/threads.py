"""Real threads in lockstep with a virtual loop.

The loop may go on only while no thread is at work.  A thread is at work from the
moment its job is due to start until the job ends, except while it waits for the
loop in one of the two ways asgiref and the standard library offer:
``async_to_sync`` and ``concurrent.futures.Future.result``.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from unittest import mock

from asgiref.current_thread_executor import CurrentThreadExecutor

PATIENCE = 5.0  # real seconds for a thread to come back


class ThreadDidNotReturn(AssertionError):
    """A thread neither finished nor waited for the loop, in five real seconds."""


class Lockstep:
    """Knows which threads are at work for one loop."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._working = 0
        self._waiting_to_start: Counter[Executor] = Counter()
        self._occupied: Counter[Executor] = Counter()
        self._local = threading.local()
        self._default = ThreadPoolExecutor(max_workers=4, thread_name_prefix="virtual")
        self._patches = ExitStack()
        for owner, name in ((CurrentThreadExecutor, "run_until_future"), (Future, "result")):
            counted = self._counted(owner, name)
            self._patches.enter_context(mock.patch.object(owner, name, counted))

    # -- called by the loop ------------------------------------------------

    def submit(
        self, loop: asyncio.AbstractEventLoop, executor: Executor | None, job: Callable[[], Any]
    ) -> asyncio.Future[Any]:
        executor = executor or self._default
        with self._changed:
            self._waiting_to_start[executor] += 1
        started = threading.Event()

        def work() -> Any:
            started.set()
            outer = self._begin(executor)
            try:
                return job()
            finally:
                self._local.at_work = outer

        def end(_: Future[Any]) -> None:
            self._end(executor, started.is_set())

        source = executor.submit(work)
        future = asyncio.wrap_future(source, loop=loop)  # its callback is the first
        source.add_done_callback(end)
        return future

    def settle(self) -> None:
        """Stand still until no thread is at work."""
        with self._changed:
            if not self._changed.wait_for(self._is_quiet, PATIENCE):
                raise ThreadDidNotReturn(f"{self._working} thread(s) are still at work")

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        self._patches.close()
        self._default.shutdown(wait=False, cancel_futures=True)
        # What a thread has open, such as a connection to a database, ends with it. One whose job
        # does not end is not waited for.
        for thread in tuple(self._default._threads):
            thread.join(PATIENCE if not self._working else 0)

    # -- called by the threads ---------------------------------------------

    def _begin(self, executor: Executor) -> bool:
        outer = getattr(self._local, "at_work", False)
        self._local.at_work = True
        with self._changed:
            self._waiting_to_start[executor] -= 1
            self._occupied[executor] += 1
            self._working += 1
        return outer

    def _end(self, executor: Executor, started: bool) -> None:
        with self._changed:
            if started:
                self._occupied[executor] -= 1
                self._working -= 1
            else:
                self._waiting_to_start[executor] -= 1
            self._changed.notify_all()

    def _is_quiet(self) -> bool:
        return not self._working and not any(
            waiting and self._occupied[executor] < seats(executor)
            for executor, waiting in self._waiting_to_start.items()
        )

    # -- threads that wait for the loop ------------------------------------

    def _counted(self, owner: type, name: str) -> Callable[..., Any]:
        original = getattr(owner, name)

        def wait(instance: Any, *args: Any, **kwargs: Any) -> Any:
            awaited = args[0] if owner is CurrentThreadExecutor else instance
            if getattr(self._local, "at_work", False) and not awaited.done():
                self._pause(awaited)
            return original(instance, *args, **kwargs)

        return wait

    def _pause(self, awaited: Future[Any]) -> None:
        with self._changed:
            self._working -= 1
            self._changed.notify_all()
        awaited.add_done_callback(self._resume)

    def _resume(self, _: Future[Any]) -> None:
        with self._changed:
            self._working += 1


def seats(executor: Executor) -> int:
    """How many jobs an executor runs at once; asgiref's runs one, in its own thread."""
    return getattr(executor, "_max_workers", 1)
