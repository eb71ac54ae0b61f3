"""The server is stopped, as every deploy does, with clients on it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

from ..facts import Facts, how_it_ended
from ..judge import Promise, ends
from .base import Fault

if TYPE_CHECKING:
    from ..stage import Connection, Stage

CROWD = 20
# As in the tour's settings.
DURATION = 2.0
# Every server but one goes on with its own shutdown when the drain is over.
STOPPED_BY = DURATION + 5.0
# It keeps the signal from its worker; a command before it drains.
DEAF_TO_SIGTERM = ("hypercorn",)


async def deploy(stage: Stage) -> Facts:
    """SIGTERM; where no worker hears of it, the command before."""
    crowd = [await stage.connect("deploy") for _ in range(CROWD)]
    watching = [asyncio.create_task(_watch(connection)) for connection in crowd]
    if stage.side == "resilient" and stage.server.name in DEAF_TO_SIGTERM:
        await stage.server.manage("resilient_drain")
    stage.server.process.terminate()
    seen = await asyncio.gather(*watching)
    await stage.server.stop(15.0)
    stopped = time.monotonic()
    # Nothing runs any more, whatever became of it.
    facts = Facts(total=CROWD, ended=CROWD)
    for connection in crowd:
        story = stage.stories().get(connection.key, {})
        facts.disconnects += story.get("disconnects", [])
        facts.infos += story.get("infos", [])
        facts.writes_after_end += story.get("writes_after_end", 0)
        await connection.client.aclose()
    first, *_, last = sorted(at for _, at in seen)
    endings = Counter(how for how, _ in seen)
    facts.client_saw = ", ".join(endings)
    # The command takes a moment to start, which is nobody's downtime.
    facts.took = round(stopped - first, 2)
    facts.extra["spread"] = last - first
    facts.extra["words"] = [f"{count} x client saw {how}" for how, count in endings.items()]
    facts.extra["words"] += [f"within {last - first:.1f} s"]
    return facts


async def _watch(connection: Connection) -> tuple[str, float]:
    """Return how the client saw the end, and when."""
    ending = await connection.ending(30.0)
    return how_it_ended(connection, ending), time.monotonic()


TOLD = Promise(
    "every client is told to come back, by 3512", lambda facts: facts.client_saw == "code 3512"
)
SPREAD = Promise(
    "the closes are spread over the drain", lambda facts: facts.extra["spread"] > DURATION / 2
)
COMMAND_BEFORE = (
    "Hypercorn's supervisor keeps SIGTERM from the worker. `manage.py resilient_drain` runs before "
    "it here, and Hypercorn takes its own time behind that."
)
STOPPED = Promise(
    "the server has stopped in time",
    lambda facts: (facts.took or STOPPED_BY) < STOPPED_BY,
    {
        "hypercorn": Promise(
            "the server has stopped in time, after the command",
            lambda facts: (facts.took or STOPPED_BY) < STOPPED_BY + 5.0,
            because=COMMAND_BEFORE,
        )
    },
)


def _not_told(facts: Facts) -> bool:
    return facts.client_saw != "code 3512"


FAULTS = (
    Fault("deploy", f"server told to stop (SIGTERM), {CROWD} clients", deploy,
          (TOLD, SPREAD, STOPPED, *ends(3512, "drain")), own_server=True, provoked=_not_told),
)  # fmt: skip
