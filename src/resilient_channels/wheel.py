"""Deadlines that cost next to nothing while they are kept.

``asyncio.timeout`` around every send would cost more than the send. But deadlines of one length
expire in the order in which they were set, so a queue per length and loop, with one timer for its
head, is enough: setting one is an insertion, meeting it a deletion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from weakref import WeakKeyDictionary

Callback = Callable[[], None]


class Deadline:
    """One deadline; cancel it by calling :meth:`cancel`, as often as you like."""

    __slots__ = ("_callback", "_queue", "when")

    def __init__(self, queue: DeadlineQueue, when: float, callback: Callback) -> None:
        self._queue = queue
        self._callback: Callback | None = callback
        self.when = when

    def cancel(self) -> None:
        """Forget the deadline. Effective until the callback has begun."""
        self._callback = None
        self._queue.discard(self)

    def fire(self) -> None:
        """Run the callback, unless the deadline was cancelled."""
        if self._callback is not None:
            self._callback()


class DeadlineQueue:
    """All deadlines of one length on one loop."""

    __slots__ = ("_entries", "_is_armed", "delay")

    def __init__(self, delay: float) -> None:
        self._entries: dict[Deadline, None] = {}
        self._is_armed = False
        self.delay = delay

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, callback: Callback) -> Deadline:
        """Call *callback* after this queue's delay, unless the deadline is cancelled."""
        loop = asyncio.get_running_loop()
        entry = Deadline(self, loop.time() + self.delay, callback)
        self._entries[entry] = None
        if not self._is_armed:
            self._is_armed = True
            # One timer serves many connections, so it runs in nobody's context.
            loop.call_at(entry.when, self._expire, loop, context=Context())
        return entry

    def discard(self, entry: Deadline) -> None:
        """Forget *entry*. The timer stays: it will look again when it fires."""
        self._entries.pop(entry, None)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        # A timer may fire a clock resolution early; without the slack it would be set again for
        # a moment that has all but come.
        now = loop.time() + 1e-6
        while self._entries:
            entry = next(iter(self._entries))
            if entry.when > now:
                loop.call_at(entry.when, self._expire, loop, context=Context())
                return
            del self._entries[entry]
            # Not here and now: one deadline's trouble is not another's.
            loop.call_soon(entry.fire)
        self._is_armed = False


class Wheel:
    """The deadline queues of one loop, one per length."""

    def __init__(self) -> None:
        self._queues: dict[float, DeadlineQueue] = {}

    def queue(self, delay: float) -> DeadlineQueue:
        """The queue for deadlines *delay* seconds ahead. Delays come from settings: few."""
        queue = self._queues.get(delay)
        if queue is None:
            queue = self._queues[delay] = DeadlineQueue(delay)
        return queue


# Neither wheels nor queues refer to their loop: the loop owns them, not the reverse.
_wheels: WeakKeyDictionary[asyncio.AbstractEventLoop, Wheel] = WeakKeyDictionary()


def get_wheel(loop: asyncio.AbstractEventLoop) -> Wheel:
    """The wheel of *loop*."""
    wheel = _wheels.get(loop)
    if wheel is None:
        wheel = _wheels[loop] = Wheel()
    return wheel
