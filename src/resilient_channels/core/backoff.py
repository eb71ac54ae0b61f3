"""Full-jitter exponential backoff."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next attempt.

    Full jitter: each delay is uniform between zero and a ceiling that doubles from ``base`` to
    ``cap``, so that many waiters spread out instead of returning together.
    """

    base: float = 0.1
    cap: float = 1.0
    attempt: int = 0

    def next_delay(self, fraction: float) -> float:
        """Seconds to wait now; *fraction* is a random number in [0, 1)."""
        ceiling = self.cap
        if self.attempt < 64:  # beyond, 2**attempt has long passed any cap
            ceiling = min(self.cap, self.base * 2**self.attempt)
        self.attempt += 1
        return ceiling * fraction

    def reset(self) -> None:
        """Start over: the last attempt succeeded."""
        self.attempt = 0
