"""Consumers that do not stop when they have closed."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from ..facts import Facts, conclusion
from ..judge import Promise, ends
from .base import Fault

if TYPE_CHECKING:
    from ..stage import Stage


async def close_then(stage: Stage, what: str, colour: str = "async") -> Facts:
    """The consumer closes with 4001, and then does *what*."""
    connection = await stage.connect("own-close", colour=colour)
    since = time.monotonic()
    await connection.do("close", code=4001, then=[what])
    facts = await conclusion([connection], since=since)
    facts.call = f"{what}() after it" if what == "send" else "second close()"
    facts.extra["words"] = [f"client saw {facts.client_saw}"]
    return facts


QUIET = Promise(
    "what comes after our own close does not raise",
    lambda facts: set(facts.sends) == {"returned"},
)
SEEN = Promise("the client sees our code", lambda facts: facts.client_saw == "code 4001")
PROMISES = (QUIET, SEEN, *ends(4001, "server"))

FAULTS = (
    Fault("send-after-close", "send after our own close", partial(close_then, what="send"),
          PROMISES),
    Fault("close-twice", "close twice", partial(close_then, what="close"), PROMISES),
    Fault("send-after-close-sync", "send after our own close, sync consumer",
          partial(close_then, what="send", colour="sync"), PROMISES, alone=True),
    Fault("close-twice-sync", "close twice, sync consumer",
          partial(close_then, what="close", colour="sync"), PROMISES, alone=True),
)  # fmt: skip
