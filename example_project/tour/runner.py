"""Runs faults against both sides of one server, many at a time where they do not disturb."""

from __future__ import annotations

import asyncio
import json
import traceback
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from .brokers import Broker
from .facts import Facts
from .servers import HERE, Server
from .stage import Side, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .faults import Fault
    from .faults.base import Layer
    from .lengths import Lengths

    Report = Callable[[str, "Row"], None]

APPLICATION = "tour.asgi:application"
HUB = "resilient_channels.layers.ResilientChannelLayer"
SIDES: tuple[Side, Side] = ("plain", "resilient")
# More would measure the machine: every fault means several processes that are busy.
FAULTS_AT_ONCE = 8
BROKERS_AT_ONCE = 3
# They mostly wait.
OWN_SERVERS_AT_ONCE = 3


@dataclass
class Row:
    """What became of both sides under one fault on one server."""

    fault: Fault
    server: str
    facts: dict[Side, Facts] = field(default_factory=dict)


async def run(server: str, faults: Sequence[Fault], lengths: Lengths, report: Report) -> list[Row]:
    """Run *faults* on *server*, and report each as it is done."""
    rows = {fault.name: Row(fault, server) for fault in faults}
    in_memory = [fault for fault in faults if fault.layer == "memory"]
    shared = [fault for fault in in_memory if not fault.own_server]

    async def on_shared_servers() -> None:
        async with AsyncExitStack() as stack:
            stages = await _stages(server, "memory", lengths, stack)

            async def on_shared(fault: Fault) -> None:
                await _both(rows[fault.name], stages)
                report(server, rows[fault.name])

            await _some_at_once([f for f in shared if not f.alone], FAULTS_AT_ONCE, on_shared)
            await _some_at_once([f for f in shared if f.alone], 1, on_shared)

    async def on_its_own(fault: Fault) -> None:
        async with AsyncExitStack() as stack:
            await _both(rows[fault.name], await _stages(server, fault.layer, lengths, stack))
        report(server, rows[fault.name])

    async def on_their_own() -> None:
        patient = [fault for fault in in_memory if fault.own_server]
        await _some_at_once(patient, OWN_SERVERS_AT_ONCE, on_its_own)

    async def with_brokers() -> None:
        needing = [fault for fault in faults if fault.layer != "memory"]
        await _some_at_once(needing, BROKERS_AT_ONCE, on_its_own)

    async with asyncio.TaskGroup() as group:
        group.create_task(on_their_own())
        if shared:
            await on_shared_servers()
        await with_brokers()
    return list(rows.values())


async def _some_at_once(faults: Sequence[Fault], limit: int, work: Callable[[Fault], Any]) -> None:
    gate = asyncio.Semaphore(limit)

    async def one(fault: Fault) -> None:
        async with gate:
            await work(fault)

    async with asyncio.TaskGroup() as group:
        for fault in faults:
            group.create_task(one(fault))


async def _stages(
    server: str, layer: Layer, lengths: Lengths, stack: AsyncExitStack
) -> list[Stage]:
    return await asyncio.gather(*(_stage(server, side, layer, lengths, stack) for side in SIDES))


async def _stage(
    server: str, side: Side, layer: Layer, lengths: Lengths, stack: AsyncExitStack
) -> Stage:
    broker = None
    environment = {}
    if layer != "memory":
        broker = await stack.enter_async_context(Broker(tls=layer == "redis-tls"))
        settings = layer_settings(layer, broker)
        if layer == "redis-hub" and side == "resilient":
            settings = {"BACKEND": HUB, "CONFIG": settings}
        environment["TOUR_LAYERS"] = json.dumps(settings)
    home = Path(stack.enter_context(TemporaryDirectory(prefix="tour-")))
    environment |= {"TOUR_JOURNAL": str(home / "journal"), "TOUR_SOCKETS": str(home / "sockets")}
    process = Server(server, APPLICATION, environment=environment)
    running = await stack.enter_async_context(process)
    return Stage(running, side, broker, lengths, home / "journal")


def layer_settings(layer: Layer, broker: Broker) -> dict[str, Any]:
    """Return the settings of the channel layer; the resilient side may have a hub around it."""
    host = dict(broker.host)
    if layer in ("redis", "redis-hub"):
        # Otherwise redis-py 8 would end a plain consumer every 5 s, whatever the fault.
        host["socket_timeout"] = None
    return {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [host]}}


async def _both(row: Row, stages: Sequence[Stage]) -> None:
    found = await asyncio.gather(*(_measure(row.fault, stage) for stage in stages))
    row.facts = {stage.side: facts for stage, facts in zip(stages, found, strict=True)}


async def _measure(fault: Fault, stage: Stage) -> Facts:
    try:
        async with asyncio.timeout(stage.lengths.row_deadline):
            return await fault.run(stage)
    except Exception as error:  # noqa: BLE001 - a row that fails is a finding, not the end of the tour
        return Facts(error=_where(error))


def _where(error: Exception) -> str:
    """Say what went wrong, and in which of the tour's functions."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame.name for frame in frames if Path(frame.filename).is_relative_to(HERE / "tour")]
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"{what} (in {' > '.join(ours[1:])})"
