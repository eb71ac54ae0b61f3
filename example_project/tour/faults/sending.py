"""Sends to a client that is no longer there, or no longer reads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..facts import Facts, conclusion, seconds_between
from ..judge import Promise, ends, says
from ..stage import moment
from .base import Fault

if TYPE_CHECKING:
    from ..stage import Stage

# More than every socket buffer on the way holds together, and little enough for a server that
# takes it all into its memory.
MANY_BYTES = 32 * 1024 * 1024
# As in the tour's settings.
SEND_DEADLINE = 3.0
PATIENCE = 7.0


async def send_in_handler(stage: Stage, colour: str = "async") -> Facts:
    """The client leaves, then the handler that it started answers three times."""
    connection = await stage.connect("late-answers", colour=colour)
    await connection.do("work", seconds=0.7, answers=3)
    await connection.noted("handler began")
    await connection.client.rst()
    return await conclusion([connection])


async def send_in_background(stage: Stage) -> Facts:
    """The client leaves, and a task that sends all the time does not know."""
    connection = await stage.connect("background")
    await connection.do("background")
    await connection.until(lambda state: "returned" in state["sends"], 5.0)
    await connection.client.rst()
    return await conclusion([connection])


async def never_read(stage: Stage) -> Facts:
    """The client asks for a stream and does not read it."""
    connection = await stage.connect("silent", receive_buffer=4096)
    before = stage.server.rss_bytes()
    await connection.client.stop_reading()
    await connection.do("stream", bytes=MANY_BYTES)
    state = await connection.until(lambda state: state["ended"] or _swallowed(state), PATIENCE)
    taken = state["bytes_sent"] // 1024 // 1024
    freed = seconds_between(state, "handler began", "disconnect")
    swallowed = _swallowed(state)
    grown = ((stage.server.rss_bytes() or 0) - (before or 0)) // 1024 // 1024
    await connection.client.rst()
    facts = await conclusion([connection], since=_asked_at(state))
    facts.seconds = freed
    facts.extra["unnoticed"] = freed is None
    facts.extra |= {"swallowed": swallowed, "taken_mib": taken, "rss_grew_mib": grown}
    if swallowed:
        # Nothing above ASGI can bound what the server itself keeps.
        say = (
            f"send() never waits: the server keeps {taken} MiB in memory ({grown:+} MiB), which "
            "no library above ASGI can bound"
        )
    elif freed is None:
        say = f"stuck in send() for {PATIENCE:.0f} s and more, until the client's reset"
    else:
        say = f"given up after {freed:.0f} s in send()"
    facts.extra["words"] = [say]
    return facts


def _asked_at(state: dict[str, Any]) -> float | None:
    began = moment(state, "handler began")
    return None if began is None else float(state["began"] + began)


def _swallowed(state: dict[str, Any]) -> bool:
    """Whether everything was sent before any deadline could have passed."""
    took = seconds_between(state, "handler began", "handler finished")
    return took is not None and took < SEND_DEADLINE


DAPHNE_NEVER_WAITS = (
    "Daphne's `send()` never waits: whatever a client does not read is in the server's memory, "
    "which the library can neither see nor bound. The end here is our own reset. A client with a "
    "heartbeat is given up by that; `broadcast` and `safe_send(wait=False)` are bounded by the "
    "outbox."
)
FREED = Promise(
    "a blocked send is given up within its deadline",
    lambda facts: (facts.seconds or PATIENCE) < 5.0,
    {"daphne": Promise("the server takes it all at once", lambda f: f.extra["swallowed"])},
)
TOLD = Promise(
    "a background task learns that the connection is over",
    lambda facts: any(name != "returned" for name in facts.sends),
)
QUIET = Promise(
    "a send in a handler does not raise because the client left",
    lambda facts: set(facts.sends) == {"returned"},
)

FAULTS = (
    Fault("send-in-handler", "handler sends after the client left", send_in_handler,
          (QUIET, *ends(1006, "lost"))),
    Fault("send-in-handler-sync", "handler sends after the client left, sync consumer",
          partial(send_in_handler, colour="sync"), (QUIET, *ends(1006, "lost")), alone=True),
    Fault("send-in-background", "background task sends after the client left",
          send_in_background, (TOLD, *ends(1006, "lost"))),
    Fault("never-reads", "client never reads, server streams", never_read,
          (FREED, *ends(3420, "timeout", elsewhere={
              "daphne": says(1006, "lost", because=DAPHNE_NEVER_WAITS)})), alone=True),
)  # fmt: skip
