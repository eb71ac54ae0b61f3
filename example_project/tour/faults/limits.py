"""Clients that send too much, handlers that take too long, and pages of other sites."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .. import frames
from ..client import Refused
from ..facts import Facts, conclusion, survival
from ..judge import SURVIVES, Promise, ends, logged
from .base import Fault

if TYPE_CHECKING:
    from ..stage import Connection, Stage

# Beyond LIMITS.rate and LIMITS.message_bytes of the limited subject, and HANDLER.deadline.
FLOOD = 500
KIBIBYTES = 100
OVERLONG = 6.0


async def flood(stage: Stage) -> Facts:
    """The client sends far more messages at once than anybody types."""
    connection = await stage.connect("flood", colour="limited")
    neighbour = await stage.connect("beside-a-flood", colour="limited")
    message = frames.encode(frames.TEXT, b'{"do": "echo", "n": -1}')
    since = time.monotonic()
    with suppress(OSError):
        await connection.client.send_raw(message * FLOOD)
    answered = await neighbour.echoes()
    await neighbour.leave()
    await neighbour.client.aclose()
    facts = await _outcome(connection, since)
    facts.extra["neighbour"] = answered
    return facts


async def long_text(stage: Stage) -> Facts:
    """The client sends a text that the server takes, and nobody wants."""
    connection = await stage.connect("long-text", colour="limited")
    since = time.monotonic()
    with suppress(OSError):
        await connection.client.send_json({"do": "echo", "n": -1, "pad": "x" * KIBIBYTES * 1024})
    return await _outcome(connection, since)


async def _outcome(connection: Connection, since: float) -> Facts:
    if await connection.echoes(8.0):
        return await survival(connection, since=since)
    facts = await conclusion([connection], since=since)
    facts.extra["words"] = [f"client saw {facts.client_saw}"]
    return facts


async def overlong_handler(stage: Stage) -> Facts:
    """A handler takes longer than anybody waits, while its client is there."""
    connection = await stage.connect("overlong", colour="limited")
    since = time.monotonic()
    await connection.do("work", seconds=OVERLONG)
    return await survival(connection, since=since)


async def foreign_origin(stage: Stage) -> Facts:
    """A page of another server on this host opens a socket, with the visitor's cookies."""
    key = stage.new_key("origin")
    since = time.monotonic()
    try:
        connection = await stage.connect(
            "", key=key, colour="guarded", headers={"Origin": "http://127.0.0.1:9"}
        )
    except Refused as refusal:
        facts = Facts(ended=1, took=round(time.monotonic() - since, 2))
        facts.extra |= {"status": refusal.status, "words": [f"client saw HTTP {refusal.status}"]}
        return facts
    return await survival(connection, since=since)


ALONE = Promise("another client is answered meanwhile", lambda facts: facts.extra["neighbour"])
FORBIDDEN = Promise(
    "the handshake is refused with 403", lambda facts: facts.extra.get("status") == 403
)


def _sees(code: int) -> Promise:
    return Promise(f"the client sees {code}", lambda facts: facts.client_saw == f"code {code}")


def _answers(facts: Facts) -> bool:
    return facts.alive == 1


FAULTS = (
    Fault("flood", f"{FLOOD} messages at once", flood,
          (ALONE, logged(), *ends(3429, "error")), alone=True,
          provoked=_answers),
    Fault("long-text", f"text of {KIBIBYTES} KiB, 64 KiB allowed", long_text,
          (_sees(3413), logged(), *ends(3413, "error")), provoked=_answers),
    Fault("overlong-handler", f"handler of {OVERLONG:.0f} s, 1 s allowed", overlong_handler,
          (logged("handler.error"), *SURVIVES)),
    Fault("foreign-origin", "a page from another port of this host", foreign_origin,
          (FORBIDDEN,), provoked=_answers),
)  # fmt: skip
