"""An asyncio event loop on virtual time, in which a hang is a failure.

There is no selector and no socket behind it: when nothing is ready, the clock
jumps to the next timer, and when there is no timer either, ``Deadlock`` is
raised with the stack of every waiting task.  Work handed to threads runs on real threads, but
in lockstep: the loop stands still until each of them has finished or waits
for the loop (see ``support.threads``).
"""

import asyncio
import functools
import math
import os
import random
import time
import weakref
from asyncio import base_events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from unittest import mock

from support.reports import NeverRetrieved, TasksLeft, describe_task, is_unretrieved
from support.threads import Lockstep

T = TypeVar("T")

WALL_CLOCK_AT_START = 1_700_000_000.0
HORIZON = 7 * 24 * 3600.0
LAST_ORDERS = 60.0  # virtual seconds that cancelled tasks get to clean up in


class Deadlock(AssertionError):
    """Nothing is ready, no timer is set, no thread is at work: a hang."""

    def __init__(self, tasks: list[asyncio.Task[Any]]) -> None:
        waiting = "\n".join(describe_task(task) for task in tasks) or "  (no task is left)"
        super().__init__(f"nothing can ever happen again; waiting are:\n{waiting}")


class NeverEnds(AssertionError):
    """Timers go on and on, and what the test waits for does not come."""

    def __init__(self, horizon: float, tasks: list[asyncio.Task[Any]]) -> None:
        waiting = "\n".join(describe_task(task) for task in tasks)
        super().__init__(f"not finished after {horizon} virtual seconds; waiting are:\n{waiting}")


class VirtualTask(asyncio.Task):  # type: ignore[type-arg]
    """A task whose hash is its number, so that sets of tasks keep their order."""

    def __init__(self, coro: Any, *, number: int, **kwargs: Any) -> None:
        self.number = number
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self.number


class VirtualFuture(asyncio.Future):  # type: ignore[type-arg]
    """A future whose hash is its number, for the same reason."""

    def __init__(self, *, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(base_events.BaseEventLoop):
    """An event loop whose ``time()`` moves only when there is nothing else to do.

    Args:
        seed: shuffle task steps that are ready together, reproducibly; ``None``
            keeps asyncio's order.
        horizon: when to give up, in virtual seconds: a loop that has timers never deadlocks.
    """

    def __init__(self, seed: int | None = None, horizon: float = HORIZON) -> None:
        super().__init__()
        self.now = 0.0
        self.horizon = horizon
        self.complaints: list[str] = []
        self._selector = self  # BaseEventLoop asks it to select()
        self._numbers = 0
        self._shuffle = None if seed is None else random.Random(seed)
        self._lockstep = Lockstep()
        self._alive: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
        self.watch: Callable[[Any], Any] = lambda coro: coro  # wraps each task's coroutine
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._note_complaint)

    # -- the clock, and what happens when there is nothing to do -----------

    def time(self) -> float:
        return self.now

    def select(self, timeout: float | None) -> list[Any]:
        self._lockstep.settle()
        if self._ready or timeout == 0:
            return []
        if not self._scheduled:
            raise Deadlock(self.pending_tasks())
        self.now = max(self.now, self._scheduled[0]._when)
        if self.now > self.horizon:
            horizon, self.horizon = self.horizon, math.inf  # the cleanup may take its time
            raise NeverEnds(horizon, self.pending_tasks())
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        self._lockstep.wake()

    def _run_once(self) -> None:
        if self._shuffle is not None:
            self._lockstep.settle()  # no thread may add to the queue meanwhile
            self._ready = shuffled_steps(self._ready, self._shuffle)
        super()._run_once()  # type: ignore[misc]

    # -- threads -----------------------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        return self._lockstep.submit(self, executor, functools.partial(func, *args))

    def close(self) -> None:
        self._lockstep.close()
        super().close()

    # -- tasks and futures, all of them known ------------------------------

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _make_task(self, loop: Any, coro: Any, **kwargs: Any) -> VirtualTask:
        task = VirtualTask(self.watch(coro), loop=loop, number=self._next_number(), **kwargs)
        self._alive.add(task)
        return task

    def create_future(self) -> VirtualFuture:
        future = VirtualFuture(loop=self, number=self._next_number())
        self._alive.add(future)
        return future

    def pending_tasks(self) -> list[asyncio.Task[Any]]:
        return sorted(asyncio.all_tasks(self), key=hash)

    def unretrieved(self) -> list[asyncio.Future[Any]]:
        """Futures that failed, and nobody asked why."""
        return sorted(filter(is_unretrieved, self._alive), key=hash)

    def _note_complaint(self, loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.complaints.append(f"{context['message']}: {error!r}" if error else context["message"])

    def drain(self, passes: int = 1000) -> None:
        """Run what is ready, without letting any time pass."""
        for _ in range(passes):
            self._lockstep.settle()
            if not self._ready:
                return
            self.call_soon(self.stop)
            self.run_forever()


def shuffled_steps(ready: Any, rng: random.Random) -> Any:
    """Reorder the steps of different tasks; asyncio promises the rest its order.

    A task has at most one step ready, so no task overtakes itself.
    """
    handles = list(ready)
    places = [i for i, handle in enumerate(handles) if is_task_step(handle)]
    steps = [handles[i] for i in places]
    rng.shuffle(steps)
    for place, step in zip(places, steps, strict=True):
        handles[place] = step
    return deque(handles)


def is_task_step(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)


@contextmanager
def virtual_clocks(loop: VirtualLoop) -> Iterator[None]:
    """Let ``time.time`` and ``time.monotonic`` tell the loop's time."""

    def wall_clock() -> float:
        return WALL_CLOCK_AT_START + loop.now

    with (
        mock.patch.object(time, "monotonic", loop.time),
        mock.patch.object(time, "time", wall_clock),
    ):
        yield


@contextmanager
def seeded_random(seed: int | None) -> Iterator[None]:
    state = random.getstate()
    random.seed(seed or 0)
    try:
        yield
    finally:
        random.setstate(state)


def run(
    coro: Coroutine[Any, Any, T],
    *,
    seed: int | None = None,
    clocks: bool = False,
    horizon: float = HORIZON,
) -> T:
    """Run *coro* to its end on virtual time and return its result.

    Raises:
        Deadlock: everything waits for something that cannot come.
        NeverEnds: a virtual week went by.
        TasksLeft: a task was still pending when *coro* had returned.
        NeverRetrieved: a task or future failed and nobody looked.
    """
    loop = VirtualLoop(seed, horizon)
    with ExitStack() as stack:
        stack.callback(loop.close)
        stack.enter_context(seeded_random(seed))
        if clocks:
            stack.enter_context(virtual_clocks(loop))
        try:
            result = loop.run_until_complete(coro)
            loop.drain()
            left = [describe_task(task) for task in loop.pending_tasks()]
        finally:
            cancel_what_is_left(loop)
        if left:
            raise TasksLeft(left)
        raise_never_retrieved(loop)
        return result


def cancel_what_is_left(loop: VirtualLoop) -> None:
    """End every pending task, so that a failed test does not poison the next."""
    left = loop.pending_tasks()
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=LAST_ORDERS))
    for task in left:
        if task.done() and not task.cancelled():
            task.exception()
    loop.run_until_complete(loop.shutdown_asyncgens())


def raise_never_retrieved(loop: VirtualLoop) -> None:
    complaints = [repr(future) for future in loop.unretrieved()]
    for future in loop.unretrieved():
        future.exception()
    if complaints or loop.complaints:
        raise NeverRetrieved(complaints + loop.complaints)


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Turn an async test into a plain one that runs on virtual time.

    With ``VIRTUAL_SEED=<number>`` in the environment the order of tasks is shuffled.
    """

    @functools.wraps(test)
    def run_test(*args: Any, **kwargs: Any) -> None:
        seed = os.environ.get("VIRTUAL_SEED")
        run(test(*args, **kwargs), clocks=True, seed=int(seed) if seed else None)

    return run_test
