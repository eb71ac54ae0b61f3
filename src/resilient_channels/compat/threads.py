"""What is seen of the threads that synchronous handlers run in, from outside."""

from __future__ import annotations

import asyncio
import sys
from threading import get_ident
from typing import TYPE_CHECKING, Any
from weakref import ref

from asgiref.sync import AsyncToSync, SyncToAsync
from channels.consumer import AsyncConsumer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_CALL = AsyncToSync.main_wrap.__code__
_JOB = SyncToAsync.thread_handler.__code__


def find_frames() -> dict[int, FrameType]:
    """Where each thread is, but for the one that asks, by the thread's identifier.

    With its own among them, a frame would refer to itself. All the others, and what they hold, such
    as a connection to a database, would live on until the garbage collector comes by.
    """
    frames = sys._current_frames()
    frames.pop(get_ident(), None)
    return frames


def find_shared_thread() -> int | None:
    """The thread that all synchronous code shares, if it has begun to work."""
    executor: Any = SyncToAsync.single_thread_executor
    for thread in tuple(executor._threads):
        ident: int | None = thread.ident
        return ident
    return None


def find_job(frame: FrameType | None) -> tuple[ref[Any], FrameType] | None:
    """What ``sync_to_async`` has given to the thread of *frame*, and the frame it runs below.

    The former is this call's alone, and only referred to.
    """
    for outer in walk(frame):
        if outer.f_code is _JOB:
            given = outer.f_locals.get("args")
            return (ref(given[0]), outer) if given else None
    return None


def find_consumer(frame: FrameType | None) -> Any:
    """The consumer whose method is being run; ``None`` if there is none."""
    outers = list(walk(frame))
    # Jobs are nested where one waits for async code. Below the outermost the thread is its own: to
    # read its variables is to keep them.
    jobs = [place for place, outer in enumerate(outers) if outer.f_code is _JOB]
    for outer in outers[: jobs[-1] if jobs else None]:
        subject = outer.f_locals.get("self")
        # Not isinstance: a lazy object would be made to work.
        if issubclass(type(subject), AsyncConsumer):
            return subject
    return None


def is_at_work(consumer: object) -> bool:
    """Whether some thread runs a method of *consumer*, and not only the event loop's."""
    return any(
        find_job(frame) is not None and find_consumer(frame) is consumer
        for frame in find_frames().values()
    )


def is_waited_for_by_a_thread() -> bool:
    """Whether the running task is a call of ``async_to_sync``, for which a thread stands still."""
    task = asyncio.current_task()
    return task is not None and getattr(task.get_coro(), "cr_code", None) is _CALL


def walk(frame: FrameType | None) -> Iterator[FrameType]:
    """*frame* and those that have called it, the innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back
