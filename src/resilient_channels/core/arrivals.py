"""How many may come in a second, and when those who may not should try again."""

from __future__ import annotations

MAX_DELAY = 60.0
"""Seconds of the longest wait that anybody is told, give or take half of it."""

SAME_CLOCK = 1.0
"""Seconds by which the time of one event loop may be behind that of another in the process."""


class Arrivals:
    """A token bucket that remembers whom it has turned away.

    Whoever is turned away is told a later time than the one before, and each time is blurred by
    chance: they come back at about the rate that is let in, and not in the same instant.
    """

    __slots__ = ("_backlog", "_now", "_tokens")

    def __init__(self, burst: float, now: float) -> None:
        self._tokens = float(burst)
        self._backlog = 0.0
        self._now = now

    def admit(self, rate: float, burst: float, now: float) -> bool:
        """Whether one more may come in at *now*, at *rate* per second and *burst* at once."""
        self._pass_time(rate, burst, now)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return True
        self._backlog += 1.0
        return False

    def delay(self, rate: float, chance: float) -> float:
        """Seconds that the one who was just turned away should wait; *chance* is in [0, 1)."""
        return min(self._backlog / rate, MAX_DELAY) * (0.5 + chance)

    def is_at_rest(self, rate: float, burst: float, now: float) -> bool:
        """Whether a new one would do the same."""
        self._pass_time(rate, burst, now)
        return self._tokens >= burst and not self._backlog

    def _pass_time(self, rate: float, burst: float, now: float) -> None:
        if now < self._now - SAME_CLOCK:  # another event loop's: nothing is known of it
            self._tokens, self._backlog, self._now = float(burst), 0.0, now
        gained = max(0.0, now - self._now) * rate
        self._now = max(now, self._now)
        self._tokens = min(float(burst), self._tokens + gained)
        self._backlog = max(0.0, self._backlog - gained)
