"""Whether somebody who is seen at work again and again has been at it for too long."""

from __future__ import annotations


def find_lost(late: float, pause: float, spent: float) -> float:
    """Seconds that nobody is to blame for, when a look comes *late* after a *pause*.

    Late with hardly any work done: the whole process was stopped. Else somebody has kept all
    threads from running, and whoever looks on among them.

    Args:
        spent: Seconds of work that the process has done meanwhile.
    """
    return late if late > pause and spent < late / 2 else 0.0


class Suspect:
    """Whoever was seen last, and since when. Told of once."""

    __slots__ = ("_is_told", "_key", "_since")

    def __init__(self) -> None:
        self._key: object = None
        self._since = 0.0
        self._is_told = False

    def seen(self, key: object, now: float, after: float) -> float | None:
        """*key* is at work at *now*: for how many seconds, if that is to be told now.

        Args:
            after: How many seconds are too many.
        """
        if key != self._key:
            self._key, self._since, self._is_told = key, now, False
        elif not self._is_told and now - self._since >= after:
            self._is_told = True
            return now - self._since
        return None

    def forgive(self, seconds: float) -> None:
        """For so long nobody could have gone on."""
        self._since += seconds

    def clear(self) -> None:
        """Nobody is at work, or whoever is has just gone on."""
        self._key = None
