"""When each of many clients is sent away, and when it should be back."""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST, EACH = 7.0, 0.5
"""Seconds for the closes of a process unless it is told: half a second each, and no more in all.

Many a service manager kills after ten seconds, Docker's among them. What was cleaned up before must
not be killed now, only because nobody has configured anything.
"""

STEP = 1 / 64
"""Seconds between two turns, at least: many clients are sent away in groups."""

RUSH = 1.75
"""How much faster than planned a drain may go that has fallen behind."""


def default_duration(count: int) -> float:
    """Seconds over which *count* connections are closed."""
    return min(MOST, EACH * count)


def make_spread(count: int, duration: float | None, returns: float | None) -> Spread:
    """The spread of *count* closes; what is ``None`` has its default."""
    if duration is None:
        duration = default_duration(count)
    return Spread(count, duration, duration if returns is None else returns)


@dataclass(frozen=True, slots=True)
class Spread:
    """Closes at even distances, and returns at even distances.

    Attributes:
        count: How many connections are closed.
        duration: Seconds over which that happens.
        returns: Seconds over which their clients come back.
    """

    count: int
    duration: float
    returns: float

    @property
    def gap(self) -> float:
        """Seconds between two closes."""
        return self.duration / max(self.count, 1)

    def due(self, elapsed: float, closed: int) -> int:
        """How many to close now, *elapsed* seconds after the first, with *closed* closed.

        What was missed while the event loop stood still is not made up for at once: it would be
        the very rush that a spread is there to prevent.
        """
        if self.duration < STEP:  # less than one turn
            return self.count - closed
        # A timer may fire a clock resolution early.
        planned = int(elapsed / self.gap + 0.01) + 1 - closed
        most = math.ceil(RUSH * STEP / self.gap)
        return max(min(planned, most, self.count - closed), 0)

    def wait(self, elapsed: float, closed: int, just_closed: int) -> float:
        """Seconds until the next ones, after *just_closed* more were closed at *elapsed*."""
        planned = closed * self.gap - elapsed
        return max(planned, just_closed * self.gap / RUSH, STEP)

    def stay_away(self, elapsed: float, index: int, fraction: float) -> float:
        """Seconds for which the client of close number *index* should stay away.

        Args:
            elapsed: Seconds since the first close.
            index: From 0.
            fraction: A random number in [0, 1).
        """
        back = (index + fraction) / max(self.count, 1) * self.returns
        return max(back - elapsed, 0.0)
