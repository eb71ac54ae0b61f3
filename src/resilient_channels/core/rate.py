"""How many frames a client may send: so many a second in the long run, and so many at once."""

from __future__ import annotations

import math

ROUNDING = 1e-6
"""What a token may lack, so that nobody is refused for how a clock is rounded."""


class TokenBucket:
    """Holds a token for each frame that may come now; time refills it.

    From its beginning until any later moment it gives out no more than *burst* tokens and *rate*
    for each second in between.
    """

    __slots__ = ("_burst", "_now", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = self._burst
        self._now = now

    def spend(self, now: float) -> bool:
        """Take the token for a frame that has come at *now*; false if there is none."""
        self._refill(now)
        lacking = 1.0 - self._tokens
        # The longer a machine is up, the fewer digits its clock has for parts of a second.
        if lacking > ROUNDING and lacking > 2 * self._rate * math.ulp(now):
            return False
        self._tokens -= 1.0
        return True

    def excuse(self, seconds: float, now: float) -> None:
        """Nobody has listened for the last *seconds*: what was sent in that time comes at once.

        So the tokens of that time are added, as many as they are. They are kept until they are
        spent.
        """
        earlier = max(now - seconds, self._now)
        if earlier < now:
            self._refill(earlier)
            self._tokens += (now - earlier) * self._rate
            self._now = now

    def _refill(self, now: float) -> None:
        if now > self._now:
            gained = (now - self._now) * self._rate
            self._tokens = max(self._tokens, min(self._burst, self._tokens + gained))
            self._now = now


def default_burst(rate: float) -> int:
    """How many may come at once where nobody has said it: those of two seconds."""
    return max(1, math.ceil(2 * rate))
