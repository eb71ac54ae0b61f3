"""How much may be on its way to a client that has not confirmed it.

For servers whose ``send`` never waits (Daphne): what a client does not read would pile up there
without a limit. A ping that is answered confirms all that was written before it.
"""

from __future__ import annotations


class Credit:
    """The window of one connection.

    Attributes:
        is_asking: Whether an answer is awaited that will confirm something.
    """

    __slots__ = ("_confirmed", "_limit", "_marks", "_written", "is_asking")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._written = 0
        self._confirmed = 0
        self._marks: list[tuple[int, int]] = []  # the nonce of a ping, and what came before it
        self.is_asking = False

    def spend(self, size: int) -> bool:
        """Whether a frame of *size* may be written now; a lone one of any size may."""
        pending = self._written - self._confirmed
        if pending and pending + size > self._limit:
            return False
        self._written += size
        return True

    @property
    def wants_to_ask(self) -> bool:
        """Whether it is time for a ping of its own: half of the window is used."""
        return not self.is_asking and (self._written - self._confirmed) * 2 >= self._limit

    def asked(self, nonce: int) -> None:
        """A ping goes out behind all that was written so far."""
        # As many as may be unanswered: who answers none is given up for it.
        self._marks = [*self._marks[-15:], (nonce, self._written)]
        self.is_asking = True

    def answered(self, nonce: int | None) -> None:
        """The ping with that nonce was answered; ``None``: the latest one."""
        for index, (known, written) in reversed(list(enumerate(self._marks))):
            if nonce is None or known == nonce:
                self._confirmed = written
                del self._marks[: index + 1]
                break
        self.is_asking = bool(self._marks)
