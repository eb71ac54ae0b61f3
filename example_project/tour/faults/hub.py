"""The same Redis, with the library's channel layer in front of it on the resilient side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..judge import Promise
from . import broker
from .base import Fault

if TYPE_CHECKING:
    from ..facts import Facts

TEXT = "from a view"


async def told_by_a_view(stage: broker.Stage) -> Facts:
    """Redis dies; a synchronous view says something to a group; Redis comes back."""
    server, crowd = broker.find_broker(stage), await broker.gather(stage)
    await server.kill()
    asking = {"side": stage.side, "group": crowd[0].group, "text": TEXT}
    answer = await stage.look("/tell", **asking)
    heard = sum(await asyncio.gather(*(each.hear("said", TEXT, 1.0) for each in crowd)))
    await server.restart()
    facts = await broker.recovery(crowd)
    came = answer.get("outcome") or f"raises {answer['raised']}"
    facts.extra |= {"answer": answer, "heard_meanwhile": heard}
    facts.extra["words"] = [f"the view: {came}", f"{heard} of {len(crowd)} hear it meanwhile"]
    return facts


REPORTS = Promise(
    "a view that sends meanwhile gets an answer instead of an exception",
    lambda facts: facts.extra["answer"].get("outcome") == "timed out",
)
SERVES_OURS = Promise(
    "the sockets of its own process hear it all the same",
    lambda facts: facts.extra["heard_meanwhile"] == facts.total,
)

FAULTS = (
    Fault("hub-redis-killed", f"Hub: Redis killed, back empty after {broker.DOWN_FOR:.0f} s",
          broker.killed, (broker.ALL_ANSWER, broker.WITHIN_2, broker.ONE_LINE, *broker.RECOVERS),
          "redis-hub"),
    Fault("hub-redis-client-kill", "Hub: CLIENT KILL", broker.cut, broker.RECOVERS, "redis-hub"),
    Fault("hub-redis-flushall", "Hub: FLUSHALL", broker.flushed, broker.RECOVERS, "redis-hub"),
    Fault("hub-redis-frozen", "Hub: Redis frozen (SIGSTOP)", broker.frozen,
          (broker.GETS_IN, broker.OTHERS_ANSWER, broker.UNSTUCK, *broker.RECOVERS), "redis-hub"),
    Fault("hub-view", "Hub: a view sends while Redis is down", told_by_a_view,
          (REPORTS, SERVES_OURS, *broker.RECOVERS), "redis-hub"),
)  # fmt: skip
