"""Answers to a client's pings, which must neither be late nor hold up anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .blocking import without_trace

if TYPE_CHECKING:
    from .connection import Connection

MAX_WAITING = 32
"""Answers that wait for the server to take them. A client that asks and does not read gets the
latest; those who read get all, being allowed fewer pings a second than this."""


class Answers:
    """Sends the answers of one connection in a task of its own, while reading goes on.

    If the reader waited for the server instead, a client that reads slowly could not be heard, and
    would be given up for its silence.
    """

    __slots__ = ("_connection", "_is_sending", "_waiting")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: tuple[str, ...] = ()
        self._is_sending = False

    def send(self, text: str) -> None:
        """Send *text* as soon as the server takes it."""
        self._waiting = (*self._waiting[1 - MAX_WAITING :], text)
        if not self._is_sending:
            self._is_sending = True
            sending = without_trace(self._send_all())
            self._connection.spawn_reader(sending, "resilient_channels.answers")

    async def _send_all(self) -> None:
        connection = self._connection
        try:
            while self._waiting:
                text, *rest = self._waiting
                self._waiting = tuple(rest)
                await connection.gate.say(text)
        except Exception as error:  # noqa: BLE001  # servers raise five different classes here
            connection.tell_step(f"the server refused an answer: {type(error).__name__}")
        finally:
            self._is_sending = False
