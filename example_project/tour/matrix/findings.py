"""What became of one cell of the matrix, and the arithmetic behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .listeners import Listener


@dataclass
class Finding:
    """One event on one layer and one server.

    Attributes:
        setup: Whether it is the hub, the mixin alone, or neither.
        sockets: How many there were.
        kept: How many were open at the end, and got an answer.
        disconnects: Calls of ``disconnect()`` before we closed anything.
        hearing: How many heard the group of all, and their own, after the event.
        seconds: From the event's end until all heard both; None when some never did.
        sent: Messages of the stream.
        lost: Those of them that not every socket heard.
        lost_though_sent: Those of these whose ``group_send`` returned.
        repeated: Those that a socket heard more than once.
        failed: What ``group_send`` raised, and how often.
        records: The library's log records, by level and name.
        tracebacks: Log records with a traceback, by logger.
        error: Why it could not be measured.
        log: The server's whole log.
    """

    event: str
    layer: str
    server: str
    setup: str
    sockets: int
    kept: int = 0
    disconnects: int = 0
    hearing: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None
    sent: int = 0
    lost: list[int] = field(default_factory=list)
    lost_though_sent: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    tracebacks: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    log: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """What the cell is called."""
        return f"{self.event}/{self.layer}/{self.server}/{self.setup}"

    def count_stream(self, notes: Iterable[str], listeners: Sequence[Listener]) -> None:
        """Compare what the speaker wrote down with what everybody heard."""
        sent, returned = set(), set()
        for note in notes:
            what, *rest = note.split()
            if what == "sent":
                sent.add(int(rest[0]))
            elif what == "returned":
                returned.add(int(rest[0]))
            elif what == "failed":
                self.failed[rest[1]] = self.failed.get(rest[1], 0) + 1
        heard = [listener.stream for listener in listeners]
        self.sent = len(sent)
        self.lost = sorted(n for n in sent if not all(n in each for each in heard))
        self.lost_though_sent = sorted(returned.intersection(self.lost))
        self.repeated = sorted(n for n in sent if any(each[n] > 1 for each in heard))


def open_sends(notes: Iterable[str]) -> int:
    """How many calls of the speaker have come to no end yet."""
    words = [note.split()[0] for note in notes]
    return words.count("sent") - words.count("returned") - words.count("failed")


def stream_notes(state: dict[str, Any]) -> list[str]:
    """What a connection's record says of its stream."""
    return [
        what for _, what in state["events"] if what.split()[0] in ("sent", "returned", "failed")
    ]
