"""Handlers that raise, and channel-layer events that nobody handles."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from ..client import Refused
from ..facts import Facts, conclusion, survival
from ..judge import SURVIVES, Promise, ends, logged
from ..recording import SECRET
from .base import Fault

if TYPE_CHECKING:
    from ..stage import Stage

# One more than ERRORS.budget.
TOO_MANY = 6


async def raise_in_handler(stage: Stage, colour: str = "async") -> Facts:
    """One handler raises."""
    connection = await stage.connect("boom", colour=colour)
    since = time.monotonic()
    await connection.do("boom")
    return await survival(connection, since=since)


async def raise_for_ever(stage: Stage) -> Facts:
    """A handler raises every time it is called."""
    connection = await stage.connect("boom-again")
    since = time.monotonic()
    with suppress(OSError):  # the first one may have been one too many
        for _ in range(TOO_MANY):
            await connection.do("boom")
    facts = await conclusion([connection], since=since)
    facts.extra["words"] = [f"client saw {facts.client_saw}"]
    return facts


async def raise_in_connect(stage: Stage) -> Facts:
    """``connect()`` raises before it has accepted."""
    key = stage.new_key("connect-error")
    since = time.monotonic()
    try:
        connection = await stage.connect("", key=key, fail="yes")
    except Refused as refusal:
        took = time.monotonic() - since
        state = await stage.until(key, lambda state: state["ended"], 5.0)
        facts = Facts(ended=int(state["ended"]), took=round(took, 2))
        facts.disconnects = state["disconnects"]
        facts.left_by = [state["left_by"]] if state["left_by"] else []
        facts.leaked = SECRET.encode() in refusal.body
        facts.extra |= {"status": refusal.status, "words": [f"client saw HTTP {refusal.status}"]}
        return facts
    await connection.client.rst()
    return await conclusion([connection])


async def odd_event(stage: Stage, event: str) -> Facts:
    """The channel layer brings an event that the consumer has no handler for."""
    connection = await stage.connect("event")
    since = time.monotonic()
    await connection.do("event", type=event)
    await connection.hear("said", "behind the event")
    return await survival(connection, since=since)


REFUSED = (
    Promise(
        "the handshake is refused with 500",
        lambda facts: facts.extra.get("status") == 500,
        {
            "daphne": Promise(
                "the handshake is refused with 403",
                lambda facts: facts.extra.get("status") == 403,
                because="Daphne lets an application refuse a handshake with 403 alone.",
            )
        },
    ),
    Promise("no exception leaves the application", lambda facts: not facts.left_by),
    Promise("no exception text reaches the client", lambda facts: not facts.leaked),
)
CLOSED_3500 = Promise("the client sees 3500", lambda facts: facts.client_saw == "code 3500")

FAULTS = (
    Fault("handler-exception", "handler raises", raise_in_handler,
          (logged("handler.error"), *SURVIVES)),
    Fault("handler-exception-sync", "handler raises, sync consumer",
          partial(raise_in_handler, colour="sync"), (logged("handler.error"), *SURVIVES),
          alone=True),
    Fault("handler-exceptions", f"handler raises {TOO_MANY} times", raise_for_ever,
          (CLOSED_3500, *ends(3500, "error"))),
    Fault("connect-exception", "connect() raises", raise_in_connect, REFUSED),
    Fault("unknown-event", "unknown layer event", partial(odd_event, event="new.feature"),
          (logged("event.unhandled"), *SURVIVES)),
    Fault("event-of-our-name", "layer event named like a method of ours",
          partial(odd_event, event="safe.close"), (logged("event.unhandled"), *SURVIVES)),
)  # fmt: skip
