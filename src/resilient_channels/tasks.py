"""Background tasks that a connection owns."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from .core import events
from .exceptions import ConnectionClosed, is_mere_departure
from .observers import notify

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from concurrent.futures import Future


def check_coroutine(coroutine: object) -> None:
    """Refuse anything but a coroutine object.

    Raises:
        TypeError: with what was given, and what to write instead.
    """
    if inspect.iscoroutine(coroutine):
        return
    name = getattr(coroutine, "__name__", type(coroutine).__name__)
    hint = f"; call it: spawn({name}(...))" if inspect.iscoroutinefunction(coroutine) else ""
    raise TypeError(f"spawn() takes a coroutine object, not {coroutine!r}{hint}")


class TaskGroup:
    """The background tasks of one connection: cancelled, awaited and logged at its end."""

    def __init__(self, who: Mapping[str, str], loop: asyncio.AbstractEventLoop) -> None:
        self._who = who
        self._loop = loop
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_stopped = False

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | Future[Any]:
        """Start a task on the connection's loop, from whatever thread."""
        check_coroutine(coroutine)
        if self._is_stopped:
            coroutine.close()
            raise ConnectionClosed(None)
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        if is_here:
            return self._own(self._loop.create_task(coroutine))
        return asyncio.run_coroutine_threadsafe(self._run_owned(coroutine), self._loop)

    async def stop(self, deadline: float) -> None:
        """Cancel every task and wait for it, until *deadline* on the loop's clock."""
        self._is_stopped = True
        running = set(self._tasks)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=max(deadline - self._loop.time(), 0))

    async def _run_owned(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if self._is_stopped:  # while the request was on its way from its thread
            coroutine.close()
            raise ConnectionClosed(None)
        return await self._own(self._loop.create_task(coroutine))

    def _own(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        # A task that sends until the client has gone has done its work.
        if error is None or is_mere_departure(error):
            return
        coroutine = task.get_coro()
        name = getattr(coroutine, "__qualname__", type(coroutine).__name__)
        notify(
            events.TaskFailed(**self._who, task=name, error=type(error).__name__, exception=error)
        )
