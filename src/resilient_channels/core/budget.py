"""How many errors a connection may make before it is closed."""

from __future__ import annotations

from collections import deque


class ErrorBudget:
    """A sliding window: more than *allowed* errors within *window* seconds is too much."""

    __slots__ = ("_allowed", "_times", "_window")

    def __init__(self, allowed: int, window: float) -> None:
        self._allowed = allowed
        self._window = window
        self._times: deque[float] = deque(maxlen=allowed + 1)

    def spend(self, now: float) -> bool:
        """Count an error at *now*; true once the budget is overdrawn."""
        self._times.append(now)
        return len(self._times) > self._allowed and now - self._times[0] <= self._window
