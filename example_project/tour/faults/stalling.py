"""Peers that are there, and a server that is too busy, or stopped, to hear them."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..crowd import Crowd
from ..facts import Facts, seconds_between, survival
from ..heart import Heart
from ..judge import SURVIVES, Promise
from ..lengths import FOUND_WITHIN, HEARTBEAT_INTERVAL
from .base import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ..stage import Connection, Stage

    Stall = Callable[[Stage], Awaitable[float]]

CROWD = 200


async def live_during_a_handler(stage: Stage, colour: str = "async") -> Facts:
    """A handler takes long, and the client answers heartbeats meanwhile."""
    seconds = stage.lengths.handler
    heart = Heart()
    connection = await stage.connect("patient", colour=colour, heart=heart)
    await connection.do("work", seconds=seconds)
    await connection.noted("handler began")
    before = heart.answered
    await connection.noted("handler finished", seconds + 5)
    answered = heart.answered - before
    facts = await survival(connection)
    facts.extra["answered"] = answered
    # Some come up to a tenth early, never late.
    facts.extra["expected"] = int(seconds / HEARTBEAT_INTERVAL) - 1
    facts.extra["words"] = [f"handler of {seconds:.0f} s, {answered} heartbeats answered"]
    return facts


async def survive(stage: Stage, stall: Stall) -> Facts:
    """The server's process does not listen for a while, to a crowd of clients that are all there.

    Afterwards everybody is watched for as long as it takes to give a peer up.
    """
    name = stage.new_key("crowd")
    group = f"tour.{name}"
    path = f"/{stage.side}/async/"
    async with Crowd(stage.server.port, path, name, CROWD, f"group={group}") as crowd:
        await crowd.echo()
        seconds = await stall(stage)
        over = time.monotonic()
        await asyncio.sleep(FOUND_WITHIN)
        after = await crowd.echo()
        took = time.monotonic() - over
        await crowd.leave()
        state = await _all_ended(stage, name, group)
    facts = Facts(total=CROWD, alive=after["alive"], members=state["members"])
    facts.took = round(took, 2)
    facts.ended = state["ended"]
    facts.disconnects, facts.infos = state["disconnects"], state["infos"]
    facts.left_by = state["left_by"]
    facts.writes_after_end = state["writes_after_end"]
    facts.extra["stall_logged"] = "loop.stalled" in stage.server.log_text()
    facts.extra["stall"] = seconds
    facts.extra["words"] = [f"stalled for {seconds:.0f} s"]
    facts.extra["words"] += [f"{count} x {how}" for how, count in after["endings"].items()]
    return facts


async def _all_ended(stage: Stage, name: str, group: str) -> dict[str, Any]:
    give_up = time.monotonic() + 10
    while True:
        state = await stage.look("/crowd", name=name, group=group)
        if state["ended"] == CROWD or time.monotonic() > give_up:
            return state
        await asyncio.sleep(0.1)


async def block_the_loop(stage: Stage) -> float:
    """An async handler calls something that blocks."""
    seconds = stage.lengths.stall
    blocker = await stage.connect("blocker")
    await blocker.do("block", seconds=seconds)
    await asyncio.sleep(seconds)
    return await _over(blocker)


async def stop_in_the_debugger(stage: Stage) -> float:
    """Somebody looks at a variable for a while."""
    seconds = stage.lengths.stall
    debugged = await stage.connect("debugged")
    with _pipe() as (path, commands):
        await debugged.do("breakpoint", pipe=path)
        await asyncio.sleep(seconds)
        os.write(commands, b"continue\n")
        return await _over(debugged)


async def _over(connection: Connection) -> float:
    """Wait until the consumer's stall is over; return how long it was."""
    state = await connection.noted("stall over")
    await connection.leave()
    await connection.client.aclose()
    return seconds_between(state, "stall began", "stall over") or 0.0


@contextmanager
def _pipe() -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryDirectory(prefix="breakpoint-") as home:
        path = str(Path(home) / "commands")
        os.mkfifo(path)
        # Both ways, so that neither side waits for the other to open it.
        descriptor = os.open(path, os.O_RDWR)
        try:
            yield path, descriptor
        finally:
            os.close(descriptor)


async def stop_the_process(stage: Stage) -> float:
    """The process is stopped and goes on later: SIGSTOP, a suspended machine."""
    began = time.monotonic()
    stage.server.signal_all(signal.SIGSTOP)
    try:
        await asyncio.sleep(stage.lengths.stop)
    finally:
        stage.server.signal_all(signal.SIGCONT)
    return time.monotonic() - began


BEATING = Promise(
    "heartbeats go on during the handler",
    lambda facts: facts.extra["answered"] >= facts.extra["expected"],
)
STALLED = Promise(
    "nobody was heard for long enough to be taken for gone",
    lambda facts: facts.extra["stall"] > 2 * FOUND_WITHIN,
)
SAID = Promise("the log says that the loop stalled", lambda facts: facts.extra["stall_logged"])
RODE_IT_OUT = (STALLED, SAID, *SURVIVES)

FAULTS = (
    Fault("live-in-handler", "live client during a long handler", live_during_a_handler,
          (BEATING, *SURVIVES)),
    Fault("live-in-handler-sync", "live client during a long handler, sync consumer",
          partial(live_during_a_handler, colour="sync"), (BEATING, *SURVIVES), own_server=True),
    Fault("loop-blocked", f"event loop blocked, {CROWD} live clients",
          partial(survive, stall=block_the_loop), RODE_IT_OUT, own_server=True),
    Fault("breakpoint", f"server stops in pdb, {CROWD} live clients",
          partial(survive, stall=stop_in_the_debugger), RODE_IT_OUT, own_server=True),
    Fault("process-stopped", f"server stopped (SIGSTOP), {CROWD} live clients",
          partial(survive, stall=stop_the_process), RODE_IT_OUT, own_server=True),
)  # fmt: skip
