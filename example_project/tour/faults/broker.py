"""A Redis that dies, forgets, stops answering, or cuts connections."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..client import Dropped, Refused
from ..facts import Facts, conclusion
from ..judge import SURVIVES, Promise
from .base import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..brokers import Broker
    from ..stage import Connection, Stage

CROWD = 5
DOWN_FOR = 3.0
IDLE_FOR = 12.0
# How long a group may take to hear again; promised are 2 s after the broker's return.
RECOVERED_BY = 12.0
SEED = "Error UNKNOWN while writing to socket. Connection lost."


async def killed(stage: Stage) -> Facts:
    """Redis dies, stays away for 3 s, and comes back empty."""
    broker, crowd = find_broker(stage), await gather(stage)
    await broker.kill()
    down = time.monotonic() + DOWN_FOR
    echoes = await _echoing(crowd)
    await asyncio.sleep(max(0.0, down - time.monotonic()))
    await broker.restart()
    facts = await recovery(crowd, until_logged="layer.up ")
    log = stage.server.log_text()
    facts.extra |= {
        "echoed_meanwhile": echoes,
        "downs": log.count("layer.down "),
        "ups": log.count("layer.up "),
    }
    return facts


async def cut(stage: Stage) -> Facts:
    """Somebody cuts every connection to Redis, once."""
    broker, crowd = find_broker(stage), await gather(stage)
    await broker.client_kill("normal")
    return await recovery(crowd)


async def flushed(stage: Stage) -> Facts:
    """Somebody deletes everything in Redis."""
    broker, crowd = find_broker(stage), await gather(stage)
    await broker.flushall()
    return await recovery(crowd)


async def frozen(stage: Stage) -> Facts:
    """Redis keeps its connections open, and answers nothing; somebody says something."""
    broker, crowd = find_broker(stage), await gather(stage)
    broker.freeze()
    try:
        speaker, *others = crowd
        await speaker.do("say", text="into the void")
        newcomer, behind, echoes = await asyncio.gather(
            _newcomer(stage, crowd), speaker.echoes(7.5), _echoing(others)
        )
    finally:
        broker.thaw()
    joined, seconds = newcomer
    facts = await recovery([*crowd, joined] if joined else crowd)
    came = f"a new client gets in after {seconds:.1f} s" if joined else "new clients do not get in"
    heard = f"{echoes} of {len(others)} answer meanwhile"
    stuck = "" if behind else ", the one that spoke does not"
    facts.extra |= {
        "newcomer_seconds": seconds if joined else None,
        "echoed_meanwhile": echoes,
        "speaker_echoed": behind,
        "words": [came, heard + stuck],
    }
    return facts


async def idle(stage: Stage) -> Facts:
    """Nothing happens at all."""
    crowd = await gather(stage)
    await asyncio.gather(*(_watch(connection, IDLE_FOR) for connection in crowd))
    return await recovery(crowd)


async def lost_over_tls(stage: Stage) -> Facts:
    """Redis cuts connections that wait in a pool; then somebody says one thing."""
    broker, crowd = find_broker(stage), await gather(stage, 1)
    # Each message borrows a connection, so that some are in the pool.
    await _say_and_hear(crowd, "warm up", 5.0)
    await _listening(broker)
    before = stage.server.open_files()
    killed = await broker.client_kill_idle()
    await _noticed(crowd[0], before, killed)
    heard = await _say_and_hear(crowd, "one chat message", 8.0)
    facts = await recovery(crowd)
    logged = SEED in stage.server.log_text()
    facts.extra |= {"seed_logged": logged, "message_heard": heard == 1}
    facts.extra["words"] = [
        "the message arrives" if heard else "the message is lost",
        f'log {"says" if logged else "does not say"} "{SEED}"',
    ]
    return facts


async def _listening(broker: Broker) -> None:
    """Wait until the reader is back in its blocking command, and not among the idle ones."""
    for _ in range(200):
        if await broker.blocked():
            return
        await asyncio.sleep(0.02)


async def _noticed(connection: Connection, before: int | None, killed: int) -> None:
    """Wait until the server's event loop knows that *killed* of its connections are gone."""
    give_up = time.monotonic() + 3.0
    # Each echo is a turn of that loop; where descriptors cannot be counted, some have to do.
    for turn in range(1000):
        await connection.echoes()
        now = connection.stage.server.open_files()
        known = turn >= 20 if before is None or now is None else now <= before - killed
        if known or time.monotonic() > give_up:
            return


def find_broker(stage: Stage) -> Broker:
    """Return the Redis behind *stage*."""
    if stage.broker is None:
        raise LookupError("this fault needs a Redis")
    return stage.broker


async def gather(stage: Stage, size: int = CROWD) -> list[Connection]:
    """Connect a crowd of one group, and see that it hears."""
    crowd = [await stage.connect("crowd", group="room") for _ in range(size)]
    if await _say_and_hear(crowd, "before", 5.0) < size:
        raise RuntimeError("the group did not hear a message before anything had happened")
    return crowd


async def _say_and_hear(crowd: Sequence[Connection], text: str, deadline: float) -> int:
    """Let one say something to the group, and count who hears it."""
    for speaker in crowd:
        with suppress(OSError):
            await speaker.do("say", text=text)
            break
    return sum(await asyncio.gather(*(each.hear("said", text, deadline) for each in crowd)))


async def _echoing(crowd: Sequence[Connection]) -> int:
    return sum(await asyncio.gather(*(each.echoes(2.0) for each in crowd)))


async def _watch(connection: Connection, seconds: float) -> None:
    # Ends early when the connection does.
    await connection.until(lambda state: state["ended"], seconds)


async def _newcomer(stage: Stage, crowd: Sequence[Connection]) -> tuple[Connection | None, float]:
    began = time.monotonic()
    try:
        joined = await stage.connect("newcomer", group=crowd[0].group, deadline=6.5)
    except (Refused, Dropped, TimeoutError):
        return None, time.monotonic() - began
    return joined, round(time.monotonic() - began, 1)


async def recovery(crowd: Sequence[Connection], until_logged: str | None = None) -> Facts:
    """Measure who is still there, and how long it takes until all of those hear the group.

    They stay until *until_logged* is in the resilient side's log: it may serve its own early.
    """
    began = time.monotonic()
    alive = await _alive(crowd)
    hearing, seconds, number = 0, 0.0, 0
    while alive and hearing < len(alive) and seconds < RECOVERED_BY:
        number += 1
        hearing = await _say_and_hear(alive, f"after {number}", 1.0)
        seconds = time.monotonic() - began
        alive = await _alive(alive)
    if alive and until_logged is not None:
        await _logged(alive[0].stage, until_logged)
    for each in alive:
        await each.leave()
    facts = await conclusion(crowd)
    facts.alive, facts.hearing = len(alive), hearing
    if alive and hearing == len(alive):
        facts.seconds = round(seconds, 1)
    return facts


async def _logged(stage: Stage, text: str) -> None:
    give_up = time.monotonic() + RECOVERED_BY
    while stage.side == "resilient" and text not in stage.server.log_text():
        if time.monotonic() > give_up:
            return
        await asyncio.sleep(0.05)


async def _alive(crowd: Sequence[Connection]) -> list[Connection]:
    echoes = await asyncio.gather(*(each.echoes(3.0) for each in crowd))
    return [each for each, echoed in zip(crowd, echoes, strict=True) if echoed]


HEARS = Promise("every socket hears its group again", lambda facts: facts.hearing == facts.total)
RECOVERS = (HEARS, *SURVIVES)
ALL_ANSWER = Promise(
    "sockets answer while Redis is away",
    lambda facts: facts.extra["echoed_meanwhile"] == CROWD,
)
OTHERS_ANSWER = Promise(
    "sockets that need no Redis answer while it is frozen",
    lambda facts: facts.extra["echoed_meanwhile"] == CROWD - 1,
)
WITHIN_2 = Promise(
    "delivery resumes within 2 s of the broker's return",
    lambda facts: facts.seconds is not None and facts.seconds <= 2.5,
)
ONE_LINE = Promise(
    "one layer.down and one layer.up in the log",
    lambda facts: facts.extra["downs"] == facts.extra["ups"] == 1,
)
GETS_IN = Promise(
    "a new client gets in within a second",
    lambda facts: (
        facts.extra["newcomer_seconds"] is not None and facts.extra["newcomer_seconds"] <= 1.0
    ),
)
UNSTUCK = Promise(
    "a message to a frozen layer holds its own socket up for LAYER.deadline at most",
    lambda facts: facts.extra["speaker_echoed"],
)
ARRIVES = Promise("the message arrives", lambda facts: facts.extra["message_heard"])
UNSAID = Promise("the error text is not in the log", lambda facts: not facts.extra["seed_logged"])

FAULTS = (
    Fault("redis-killed", f"Redis killed, back empty after {DOWN_FOR:.0f} s", killed,
          (ALL_ANSWER, WITHIN_2, ONE_LINE, *RECOVERS), "redis"),
    Fault("redis-client-kill", "Redis: CLIENT KILL", cut, RECOVERS, "redis"),
    Fault("redis-flushall", "Redis: FLUSHALL", flushed, RECOVERS, "redis"),
    Fault("redis-frozen", "Redis frozen (SIGSTOP)", frozen,
          (GETS_IN, OTHERS_ANSWER, UNSTUCK, *RECOVERS), "redis"),
    Fault("redis-idle", f"{IDLE_FOR:.0f} s idle, Redis hosts at their defaults", idle, RECOVERS,
          "redis-defaults"),
    Fault("redis-tls-lost", "Redis over TLS cuts its idle connections", lost_over_tls,
          (ARRIVES, UNSAID, *RECOVERS), "redis-tls",
          provoked=lambda facts: bool(facts.extra.get("seed_logged"))),
)  # fmt: skip
