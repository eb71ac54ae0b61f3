"""Awaiting something with a deadline that costs nothing unless there is a wait."""

from __future__ import annotations

import asyncio
import types
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from .wheel import Deadline, Wheel

    Steps = Coroutine[Any, Any, object]


def as_coroutine(awaitable: Awaitable[object]) -> Steps:
    """*awaitable* as something that can be run step by step.

    Of what ``__await__`` returns, only ``__next__`` is certain; some servers' have no more.
    """
    if isinstance(awaitable, types.CoroutineType):
        return awaitable
    return _await(awaitable)


async def _await(awaitable: Awaitable[object]) -> None:
    await awaitable


def begin(awaitable: Awaitable[object]) -> tuple[Steps, Any] | None:
    """Run *awaitable* up to its first wait; ``None`` if it is done without one.

    What is returned must be given to :func:`finish`, in the same task.
    """
    steps = as_coroutine(awaitable)
    try:
        return steps, steps.send(None)
    except StopIteration:
        return None


@types.coroutine
def finish(steps: Steps, wait: Any) -> Generator[Any, Any, None]:
    """Go on with what :func:`begin` has begun."""
    while True:
        try:
            try:
                value = yield wait
            except BaseException as error:  # noqa: BLE001  # cancellation, too, is for the awaited
                wait = steps.throw(error)
            else:
                wait = steps.send(value)
        except StopIteration:
            return


async def without_trace(work: Awaitable[object]) -> None:
    """Do *work* in a task of its own, which a cancellation ends as if all were done.

    A cancelled task keeps its exception, that its frames, and those the connection. Granian keeps
    for ever the task that waits for a client which is gone: let it be no more than that.
    """
    with suppress(asyncio.CancelledError):
        await work


class Interruption:
    """Cancels the running task if need be, and takes the cancellation back.

    As :func:`asyncio.timeout` does, but without a timer of its own. Who else has cancelled the
    task is not deceived.
    """

    __slots__ = ("_cancelling", "_fired", "_task")

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a running coroutine has a task
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        self._fired = False

    def _fire(self) -> None:
        self._fired = True
        self._task.cancel()

    def take_back(self) -> bool:
        """True if the task was cancelled, and by nobody but us. Asked once."""
        if not self._fired:
            return False
        self._fired = False
        return self._task.uncancel() <= self._cancelling


class Patience(Interruption):
    """Interrupts the task that waits, unless there is a sign of life in time."""

    __slots__ = ("_began", "_entry", "_last_sign", "_stalled", "_wheel", "seconds")

    def __init__(self, wheel: Wheel, seconds: float, last_sign: Callable[[], float]) -> None:
        super().__init__()
        self._wheel = wheel
        self.seconds = seconds
        self._last_sign = last_sign
        self._began = self._task.get_loop().time()
        self._stalled = wheel.stalled
        wheel.watch(self)
        self._entry: Deadline = wheel.after(seconds, self._expire)

    def cancel(self) -> None:
        """The wait is over; whatever came of our cancellation, nothing is left of it."""
        self._entry.cancel()
        self._wheel.unwatch(self)
        self.take_back()

    def end(self) -> None:
        """Interrupt the wait at once: nothing will come of it."""
        if not self._fired:
            self._entry.cancel()
            self._fire()

    def _expire(self) -> None:
        # Time in which the loop did not run is not the peer's.
        lost = self._wheel.stalled - self._stalled
        renewed = max(self._began, self._last_sign()) + self.seconds + lost
        if renewed > self._task.get_loop().time():
            self._entry = self._wheel.at(renewed, self._expire)
        else:
            self.end()
