"""What one side did under one fault, and how that is measured once the fault has happened."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .messages import Eof
from .recording import SECRET
from .stage import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .messages import Ending
    from .stage import Connection

# Daphne cancels an application 10 s after its client left, and looks once a second.
SETTLED_BY = 13.0
# A layer looks at a broker that was away once a second or so.
TOLD_BY = 5.0


@dataclass
class Facts:
    """Everything that was measured; what a fault does not concern stays at its default.

    Attributes:
        total: How many connections the fault met.
        alive: How many of them answered an echo afterwards; None when all were meant to end.
        hearing: How many heard a group message afterwards; None when that was not asked.
        seconds: From the fault to what the fault is about (an end, a recovery).
        took: From the fault to the last ``disconnect()``, or to the first answer after it.
        ended: How many applications came to their end, after we had closed what was left.
        client_saw: The end as the client saw it.
        disconnects: The codes of every ``disconnect()``.
        infos: Every ``DisconnectInfo``.
        call: What ``sends`` counts.
        sends: What each of those calls did: "returned", or the exception's name.
        left_by: The exceptions that left the applications.
        members: Channels left in the group, of connections that are over.
        background: Background tasks that outlived their connection.
        writes_after_end: Frames handed to the server after the application had closed.
        leaked: Whether an exception's text reached the client.
        warnings: The resilient side's log records of WARNING and above.
        extra: What only this fault measures.
        error: Why the row could not be finished.
    """

    total: int = 1
    alive: int | None = None
    hearing: int | None = None
    seconds: float | None = None
    took: float | None = None
    ended: int = 0
    client_saw: str = ""
    disconnects: list[Any] = field(default_factory=list)
    infos: list[dict[str, Any]] = field(default_factory=list)
    call: str = "send()"
    sends: list[str] = field(default_factory=list)
    left_by: list[str] = field(default_factory=list)
    members: int = 0
    background: int = 0
    writes_after_end: int = 0
    leaked: bool = False
    warnings: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def kinds(self) -> list[str]:
        """The kinds in ``infos``."""
        return [info["kind"] for info in self.infos]


async def survival(
    connection: Connection, deadline: float = 4.0, *, since: float | None = None
) -> Facts:
    """Measure whether *connection* still answers; close it in good order if it does."""
    since = time.monotonic() if since is None else since
    alive = await connection.echoes(deadline)
    if not alive:
        facts = await conclusion([connection], since=since)
    else:
        answered = time.monotonic()
        await connection.leave()
        facts = await conclusion([connection])
        facts.took = round(answered - since, 2)
    facts.alive = int(alive)
    return facts


async def conclusion(
    connections: Sequence[Connection], deadline: float = SETTLED_BY, *, since: float | None = None
) -> Facts:
    """Wait until the applications behind *connections* have ended, and collect what remains.

    The fault happened just now, or at *since*, in seconds of this machine's monotonic clock.
    """
    since = time.monotonic() if since is None else since
    facts = Facts(total=len(connections))
    for connection in connections:
        state = await connection.until(lambda state: state["ended"], deadline)
        # A task needs a turn of its own to notice that its connection is over.
        if state["ended"] and state["background"]:
            state = await connection.until(lambda state: not state["background"], 3.0)
        _add(facts, state)
        if (at := moment(state, "disconnect")) is not None:
            # One clock for all processes of a machine.
            took = max(0.0, round(state["began"] + at - since, 2))
            facts.took = took if facts.took is None else max(took, facts.took)
        facts.client_saw = how_it_ended(connection, await connection.ending(2.0))
        facts.leaked = facts.leaked or any(SECRET in text for text in connection.texts)
        await connection.client.aclose()
    groups = {connection.group: connection for connection in connections}
    facts.members = sum([await _stay(connection) for connection in groups.values()])
    return facts


async def _stay(connection: Connection) -> int:
    """How many channels stay in the group of *connection*.

    A broker that was away is told who left once it is known to be back.
    """
    give_up = time.monotonic() + (TOLD_BY if connection.stage.broker is not None else 0.0)
    while True:
        members = await connection.members()
        if not members or time.monotonic() > give_up:
            return members
        await asyncio.sleep(0.1)


def _add(facts: Facts, state: dict[str, Any]) -> None:
    facts.ended += state["ended"]
    facts.disconnects += state["disconnects"]
    facts.infos += state["infos"]
    facts.sends += state["sends"]
    facts.background += state["background"]
    facts.writes_after_end += state["writes_after_end"]
    facts.warnings += [event for level, event in state["logs"] if level in ("WARNING", "ERROR")]
    if state["left_by"]:
        facts.left_by.append(state["left_by"])


def seconds_between(state: dict[str, Any], first: str, then: str) -> float | None:
    """Return the time from one noted event to another; None unless both happened."""
    begin, end = moment(state, first), moment(state, then)
    return None if begin is None or end is None else round(end - begin, 1)


def how_it_ended(connection: Connection, ending: Ending | None) -> str:
    """Put the end that the client saw into a few words."""
    close = ending.close if ending else connection.close_frame
    if close is not None:
        return "close frame without a code" if close.code is None else f"code {close.code}"
    if ending is None:
        return "still open"
    return "FIN, no close frame" if isinstance(ending.last, Eof) else "RST"
