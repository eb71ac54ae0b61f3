"""How much may be on its way to a client that has not confirmed it.

For servers whose ``send`` never waits (Daphne): what a client does not read would pile up there
without a limit. A ping that is answered confirms all that was written before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .liveness import MAX_UNANSWERED

if TYPE_CHECKING:
    from collections.abc import Callable


class Credit:
    """The window of one connection.

    Args:
        limit: How much may be unconfirmed.
        ask: Sends a ping that is worth an answer, and says so by :meth:`asked`.
    """

    __slots__ = ("_ask", "_confirmed", "_limit", "_marks", "_written")

    def __init__(self, limit: int, ask: Callable[[], None]) -> None:
        self._limit = limit
        self._ask = ask
        self._written = 0
        self._confirmed = 0
        self._marks: list[tuple[int, int]] = []  # the nonce of a ping, and what came before it

    def spend(self, size: int, *, anyway: bool = False) -> bool:
        """Whether a frame of *size* may be written now; a lone one of any size may.

        Args:
            anyway: It is written whatever the client owes us.
        """
        pending = self._written - self._confirmed
        may = anyway or not pending or pending + size <= self._limit
        if not self._marks and (not may or pending * 2 >= self._limit):
            self._ask()  # first: an answer confirms what was written before its ping
        if may:
            self._written += size
        return may

    def asked(self, nonce: int) -> None:
        """A ping goes out behind all that was written so far."""
        # Who answers none is given up for it.
        self._marks = [*self._marks[1 - MAX_UNANSWERED :], (nonce, self._written)]

    def answered(self, nonce: int | None) -> None:
        """The ping with that nonce was answered; ``None``: the latest one."""
        for index, (known, written) in reversed(list(enumerate(self._marks))):
            if nonce is None or known == nonce:
                self._confirmed = written
                del self._marks[: index + 1]
                break
