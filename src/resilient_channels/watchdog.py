"""Names the handler that holds up everybody else, while it does so.

Whoever blocks the event loop cannot be reported by anything that runs on it. So a thread looks on,
about once a second, while there are connections. It looks at stacks only. Where it finds a handler
at work on the event loop, it asks the loop for a sign of life: an idle loop is never woken.
"""

from __future__ import annotations

import os
import threading
import traceback
from contextlib import suppress
from threading import Lock, Thread, get_ident
from time import monotonic, process_time, sleep
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from . import compat
from .conf import get_policies
from .core import events
from .core.stalls import Suspect, find_lost
from .observers import notify
from .observers.logs import escape
from .registry import registry

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from types import CodeType, FrameType

    _Function = TypeVar("_Function", bound=Callable[..., Any])

MOST_OFTEN, LEAST_OFTEN = 0.25, 1.0
"""Seconds between two looks: a quarter of ``HANDLER.stall_after``, within these."""

MAX_FRAMES, MAX_CHARACTERS = 25, 4000
"""How much of a stack is told: the innermost."""

_works: set[CodeType] = set()


def is_work(function: _Function) -> _Function:
    """Mark a method that runs code of the project on the event loop, for one connection."""
    _works.add(function.__code__)
    return function


class LoopWatch:
    """What is known of one event loop."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._is_asked = False
        self.suspect = Suspect()

    def is_of(self, loop: AbstractEventLoop) -> bool:
        """Whether it is that one."""
        return self._loop() is loop

    @property
    def is_over(self) -> bool:
        """Whether the loop is no more."""
        loop = self._loop()
        return loop is None or loop.is_closed()

    def look(self, frame: FrameType | None, now: float, after: float) -> None:
        """See who is at work, and report whoever has been for too long."""
        if not self._is_asked:
            self.suspect.clear()  # the loop has answered: it runs
        work = next((outer for outer in compat.walk(frame) if outer.f_code in _works), None)
        if work is None:
            self.suspect.clear()
            return
        subject = work.f_locals["self"]
        connection = getattr(subject, "_connection", subject)
        seconds = self.suspect.seen(connection.id, now, after)
        if not self._is_asked:
            self._ask()
        if seconds is not None:
            _report(connection, "event loop", seconds, frame, work)

    def _ask(self) -> None:
        loop = self._loop()
        if loop is not None and not loop.is_closed():
            self._is_asked = True
            loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._is_asked = False


class Watchdog:
    """Looks at the handlers of this process, as long as there are connections."""

    def __init__(self) -> None:
        self.forget_thread()

    def forget_thread(self) -> None:
        """In a forked child there is no such thread."""
        self._lock = Lock()
        self._thread: Thread | None = None
        self._after = 0.0
        self._loops: dict[int, LoopWatch] = {}
        self._job: object = None
        self._at_job = Suspect()

    def attend(self, loop: AbstractEventLoop) -> None:
        """A connection has begun on *loop*, which runs in this thread."""
        after = get_policies(type(self)).handler.stall_after
        if after is None:
            return
        self._after = after
        watch = self._loops.get(get_ident())
        if watch is None or not watch.is_of(loop):
            self._loops[get_ident()] = LoopWatch(loop)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._start()

    def _start(self) -> None:
        name = "resilient_channels.watchdog"
        thread = Thread(target=self._run, name=name, daemon=True)
        # Where the system is out of threads the next connection tries again.
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _is_needed(self) -> bool:
        """Whether there are connections; if not, the next one starts another thread."""
        with self._lock:
            # In this order: whoever comes now finds no thread, or is found here.
            thread, self._thread = self._thread, None
            if len(registry):
                self._thread = thread
            return self._thread is not None

    def _run(self) -> None:
        last, spent = monotonic(), process_time()
        while self._is_needed():
            pause = min(max(self._after / 4, MOST_OFTEN), LEAST_OFTEN)
            sleep(pause)
            now, work = monotonic(), process_time()
            self._forgive(find_lost(now - last - pause, pause, work - spent))
            last, spent = now, work
            try:
                self.look(now)
            except Exception as error:  # noqa: BLE001  # an observer's: it is told, and we go on
                told = (type(error), error, error.__traceback__, threading.current_thread())
                threading.excepthook(threading.ExceptHookArgs(told))
                del told  # its traceback has seen all threads

    def _forgive(self, seconds: float) -> None:
        self._at_job.forgive(seconds)
        for watch in tuple(self._loops.values()):
            watch.suspect.forgive(seconds)

    def look(self, now: float) -> None:
        """Look at every thread once."""
        frames = compat.find_frames()
        for ident, watch in tuple(self._loops.items()):
            if watch.is_over:
                self._loops.pop(ident, None)
            else:
                watch.look(frames.get(ident), now, self._after)
        shared = compat.find_shared_thread()
        self._look_at_job(None if shared is None else frames.get(shared), now)

    def _look_at_job(self, frame: FrameType | None, now: float) -> None:
        job = compat.find_job(frame)
        if job is None:
            self._at_job.clear()
            return
        given, work = job
        seconds = self._at_job.seen(given, now, self._after)
        if seconds is not None:
            consumer = compat.find_consumer(frame)
            connection = None if consumer is None else vars(consumer).get("_resilient_driver")
            _report(connection, "sync thread", seconds, frame, work)


def _report(
    connection: Any, where: str, seconds: float, frame: FrameType | None, work: FrameType
) -> None:
    who, handler = {"connection": "", "consumer": ""}, ""
    if connection is not None:
        who, handler = connection.who, escape(connection.handling or "websocket.disconnect")
    notify(
        events.HandlerStalled(
            **who,
            handler=handler,
            where=where,
            seconds=round(seconds, 3),
            stack=_describe(frame, work),
        )
    )


def _describe(frame: FrameType | None, work: FrameType) -> str:
    """The stack from *work* inward, or as much of its inner end as is told."""
    inner = []
    for outer in compat.walk(frame):
        inner.append((outer, outer.f_lineno))
        if outer is work or len(inner) == MAX_FRAMES:
            break
    lines = traceback.StackSummary.extract(reversed(inner)).format()
    return "".join(["Stack (most recent call last):\n", *lines])[-MAX_CHARACTERS:].rstrip()


watchdog = Watchdog()
os.register_at_fork(after_in_child=watchdog.forget_thread)
