"""Heartbeats: CPU of the server process per ping sent and pong read, on many idle connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .load import Crowd
from .processes import ask, cpu_seconds, serving
from .results import Result, compare
from .variants import BARE, HEARTBEAT

if TYPE_CHECKING:
    from tour.servers import Server

    from .load import Wire
    from .scale import Scale
    from .variants import Variant


async def measure(server: str, scale: Scale, loop: str | None) -> list[Result]:
    """All variants beat at the same time, once a second; a round is a window of that time."""
    samples: dict[str, list[float]] = {variant.name: [] for variant in HEARTBEAT}
    connections = range(scale.heartbeat_connections)
    async with serving(server, HEARTBEAT, loop) as processes:
        with Crowd() as crowd:
            wires = {
                variant: crowd.open(processes[variant].port, path, connections, negotiated=True)
                for variant, path in HEARTBEAT.items()
            }
            crowd.serve_until(lambda: all(wire.pings > 1 for wire in crowd.wires.values()), 20.0)
            for _ in range(scale.rounds):
                before = _look(processes, wires)
                crowd.serve(scale.heartbeat_seconds)
                for variant, (cpu, pings) in _look(processes, wires).items():
                    cpu_before, pings_before = before[variant]
                    samples[variant.name].append((cpu - cpu_before) / (pings - pings_before) * 1e6)
        facts = {"loop": ask(processes[BARE].port)["loop"], "connections": len(connections)}
    return [
        Result(
            work="heartbeat",
            server=server,
            unit="CPU µs per ping and pong",
            rows=compare(samples, BARE.name),
            facts=facts,
        )
    ]


def _look(
    processes: dict[Variant, Server], wires: dict[Variant, list[Wire]]
) -> dict[Variant, tuple[float, int]]:
    return {
        variant: (cpu_seconds(processes[variant].pid), sum(wire.pings for wire in own))
        for variant, own in wires.items()
    }
