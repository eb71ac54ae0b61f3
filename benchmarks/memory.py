"""Idle memory: what one more connection adds to the server process while nothing happens."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from .load import Crowd
from .processes import ask, rss_bytes, serving
from .results import Result, compare
from .variants import BARE, IDLE

if TYPE_CHECKING:
    from tour.servers import Server

    from .scale import Scale
    from .variants import Variant


async def measure(server: str, scale: Scale, loop: str | None) -> list[Result]:
    """Every round has fresh processes: memory that was given back would be used again."""
    samples: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(scale.idle_rounds):
        async with serving(server, IDLE, loop) as processes:
            for variant, process in processes.items():
                samples[variant.name].append(_sample(variant, process, scale))
            facts = {
                "loop": ask(processes[BARE].port)["loop"],
                "connections": scale.idle_connections,
            }
    return [
        Result(
            work="idle memory",
            server=server,
            unit="KB per connection",
            rows=compare(samples, BARE.name),
            facts=facts,
        )
    ]


def _sample(variant: Variant, process: Server, scale: Scale) -> float:
    early, late = scale.idle_early, scale.idle_connections
    with Crowd() as crowd:
        _fill(crowd, variant, process, range(early))
        before = rss_bytes(process.pid)
        _fill(crowd, variant, process, range(early, early + late))
        after = rss_bytes(process.pid)
    return (after - before) / late / 1024


def _fill(crowd: Crowd, variant: Variant, process: Server, numbers: range) -> None:
    crowd.open(process.port, "idle", numbers, negotiated=variant.negotiated)
    if variant.negotiated:
        crowd.serve_until(lambda: all(wire.pings for wire in crowd.wires.values()), 20.0)
    crowd.serve(0.3)
    for _ in range(2):
        ask(process.port, "/collect")
