"""Every deadline of every connection of an event loop, on one timer.

``loop.call_later`` for each would cost a timer handle, a heap of Python comparisons and a wake-up
per deadline. Here time is cut into slots: setting a deadline is an insertion into its slot's
dictionary, cancelling one a deletion, and one wake-up serves all that fall due together.

The wheel also notices when the loop did not run: while somebody watches, it beats steadily, and
what a beat is late is counted as ``stalled``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import Context
from heapq import heappop, heappush
from weakref import WeakKeyDictionary

Callback = Callable[[], None]

SLOT = 1 / 64
"""Seconds per slot. A power of two, so that sums stay exact."""

FINE, COARSE, COARSEST = 64, 1024, 0.25
"""A deadline is met late by up to a 64th of its delay, but no more than a quarter of a second, or
a 1024th where that is longer. So long ones share slots, and slots stay few."""

STEADY = 0.25
"""Seconds between two steady beats: a stall is measured that exactly."""

TOLERANCE = 0.1
"""Seconds that the loop may be late without its being called a stall."""


class Deadline:
    """One deadline; cancel it by calling :meth:`cancel`, as often as you like."""

    __slots__ = ("_callback", "_slot")

    def __init__(self, slot: dict[Deadline, None], callback: Callback) -> None:
        self._slot = slot
        self._callback: Callback | None = callback

    def cancel(self) -> None:
        """Forget the deadline. Effective until the callback has begun."""
        self._callback = None
        self._slot.pop(self, None)

    def fire(self) -> None:
        """Run the callback, unless the deadline was cancelled."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class PatientDeadline:
    """A deadline that gives back the time in which the loop did not run.

    For whatever waits for code or for people: a debugger's stop must not end it.
    """

    __slots__ = ("_callback", "_deadline", "_stalled", "_wheel")

    def __init__(self, wheel: Wheel, delay: float, callback: Callback) -> None:
        self._wheel = wheel
        self._callback = callback
        wheel.watch(self)
        self._stalled = wheel.stalled
        self._deadline = wheel.after(delay, self._fire)

    def cancel(self) -> None:
        """Forget the deadline."""
        self._wheel.unwatch(self)
        self._deadline.cancel()

    def _fire(self) -> None:
        lost, self._stalled = self._wheel.stalled - self._stalled, self._wheel.stalled
        if lost > 0:
            self._deadline = self._wheel.after(lost, self._fire)
        else:
            self._wheel.unwatch(self)
            self._callback()


class Wheel:
    """The deadlines of one loop.

    Attributes:
        stalled: Seconds that the loop has not run, in all, while somebody watched.
    """

    def __init__(self) -> None:
        self._slots: dict[int, dict[Deadline, None]] = {}
        self._order: list[int] = []  # a heap of the slots that exist
        # The slots that a timer is set for. The handles themselves would keep the loop alive.
        self._timers: set[int] = set()
        self._watchers: dict[object, None] = {}
        self._steady: Deadline | None = None
        self._expected = 0.0
        self.stalled = 0.0
        self.on_stall: Callable[[float], None] | None = None

    def __len__(self) -> int:
        return sum(len(slot) for slot in self._slots.values())

    def after(self, delay: float, callback: Callback) -> Deadline:
        """Call *callback* in *delay* seconds, unless the deadline is cancelled."""
        loop = asyncio.get_running_loop()
        return self._add(loop, loop.time() + delay, callback)

    def patiently_after(self, delay: float, callback: Callback) -> PatientDeadline:
        """As :meth:`after`, counting only time in which the loop runs."""
        return PatientDeadline(self, delay, callback)

    def at(self, when: float, callback: Callback) -> Deadline:
        """Call *callback* at *when* on the loop's clock, or a little later."""
        return self._add(asyncio.get_running_loop(), when, callback)

    def _add(self, loop: asyncio.AbstractEventLoop, when: float, callback: Callback) -> Deadline:
        delay = when - loop.time()
        lateness = int(max(min(delay / FINE, COARSEST), delay / COARSE) / SLOT)
        width = 1 << (lateness.bit_length() - 1) if lateness > 0 else 1
        number = math.ceil(when / (SLOT * width)) * width
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = {}
            heappush(self._order, number)
            if self._order[0] == number:
                self._arm(loop)
        deadline = Deadline(slot, callback)
        slot[deadline] = None
        return deadline

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        number = self._order[0]
        if number not in self._timers:
            self._timers.add(number)
            # One timer serves many connections, so it runs in nobody's context.
            loop.call_at(number * SLOT, self._expire, loop, number, context=Context())

    def _expire(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        self._timers.discard(number)
        now = loop.time()
        self._note_lateness(loop, now)
        # A timer may fire a clock resolution early.
        current = max(number, int(now / SLOT))
        while self._order and self._order[0] <= current:
            slot = self._slots.pop(heappop(self._order))
            for deadline in slot:
                if deadline is self._steady:
                    # At once: a stall between here and its turn would go unnoticed.
                    deadline.fire()
                else:
                    # Not here and now: one deadline's trouble is not another's.
                    loop.call_soon(deadline.fire)
            slot.clear()  # they refer to it: they would be left to the garbage collector
        if self._order:
            self._arm(loop)

    # --- is the loop running? ----------------------------------------------------------------

    def watch(self, watcher: object) -> None:
        """Measure stalls, from now until *watcher* has had enough."""
        self._watchers[watcher] = None
        if self._steady is None:
            self._next_steady_beat()

    def unwatch(self, watcher: object) -> None:
        """*watcher* has had enough."""
        self._watchers.pop(watcher, None)
        if not self._watchers and self._steady is not None:
            self._steady.cancel()
            self._steady = None

    def find_lateness(self, now: float) -> float:
        """Seconds that the loop has just not run, if :attr:`stalled` has them not yet."""
        late = 0.0 if self._steady is None else now - self._expected
        return late if late > TOLERANCE else 0.0

    def _next_steady_beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._expected = loop.time() + STEADY
        self._steady = self._add(loop, self._expected, self._next_steady_beat)

    def _note_lateness(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        if self._steady is None:
            return
        late = now - self._expected
        if late > TOLERANCE:
            self.stalled += late
            if self.on_stall is not None:
                # Not here: what raises in an observer must not stop the wheel.
                loop.call_soon(self.on_stall, late)


# Wheels do not refer to their loop: the loop owns them, not the reverse.
_wheels: WeakKeyDictionary[asyncio.AbstractEventLoop, Wheel] = WeakKeyDictionary()


def get_wheel(loop: asyncio.AbstractEventLoop) -> Wheel:
    """The wheel of *loop*."""
    wheel = _wheels.get(loop)
    if wheel is None:
        # What still waits on a closed loop may refer to it, and would keep it for ever.
        for other in list(_wheels):
            if other.is_closed():
                del _wheels[other]
        wheel = _wheels[loop] = Wheel()
    return wheel
