"""Groups: CPU of the server process per delivery, one message at a time to all members.

A client asks for a message; the server process itself sends it to the group; the next one is asked
for when every member has read it. So nothing can be saved by delivering several at once.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING

from tour import frames

from .load import Crowd, masked, unmasked
from .processes import WITHOUT_PINGS, ask, cpu_seconds, cpu_seconds_at_rest, serving
from .results import Growth, Result, compare
from .served.messages import BROADCAST, EVENT, SEND
from .variants import BARE, BROADCAST as BROADCASTING, GROUP as SENDING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tour.servers import Server

    from .load import Wire
    from .scale import Scale
    from .variants import Variant

EXPECTED = unmasked(json.dumps(EVENT).encode())
UNIT = "CPU µs per delivery"
# As many turns in a round as those of echo, for the same reason.
TURNS = 4


class Room:
    """The members of one process's group, and the one who asks for messages."""

    def __init__(self, crowd: Crowd, process: Server, order: str) -> None:
        self._crowd = crowd
        self._process = process
        self._order = masked(frames.TEXT, order.encode())
        self._control: Wire = crowd.open(process.port, "control", range(1))[0]
        self.members = 0

    def grow(self, members: int) -> None:
        """Let more come until there are as many."""
        self._crowd.open(self._process.port, "member", range(self.members, members))
        self.members = members

    def send(self, seconds: float) -> tuple[float, int]:
        """Send for a while, once at least; return CPU seconds and deliveries."""
        before, deliveries = cpu_seconds(self._process.pid), 0
        stop = time.monotonic() + seconds
        while not deliveries or time.monotonic() < stop:
            self._control.raw.send(self._order)
            self._crowd.hear(EXPECTED, self.members)
            deliveries += self.members
        return cpu_seconds_at_rest(self._process.pid) - before, deliveries


async def measure(server: str, scale: Scale, loop: str | None) -> list[Result | Growth]:
    """The groups grow; at each size all variants take turns."""
    sizes = scale.group_sizes
    results = await _measure("group", SEND, SENDING, sizes, server, scale, loop)
    costs: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    for result in results:
        for row in result.rows:
            costs.setdefault(row.variant, []).append(median(row.samples))
            ratios.setdefault(row.variant, []).append(median(row.ratios))
    columns = [f"{size} members" for size in sizes]
    multiples = f"in multiples of that at {sizes[0]} members"
    return [
        *results,
        _grow("growth with the group", server, f"{UNIT}, {multiples}", columns, costs),
        # The more connections there are, the less of them is in the processor's caches: every
        # server pays for that, and this is what is left.
        _grow("growth beside the floor's", server, f"ratio, {multiples}", columns, ratios),
    ]


def _grow(
    work: str, server: str, unit: str, columns: list[str], values: dict[str, list[float]]
) -> Growth:
    return Growth(
        work=work,
        server=server,
        unit=unit,
        columns=columns,
        values={name: [value / own[0] for value in own] for name, own in values.items()},
    )


async def measure_broadcast(server: str, scale: Scale, loop: str | None) -> list[Result]:
    """The same with a text that is made once."""
    sizes = (scale.broadcast_members,)
    return await _measure("broadcast", BROADCAST, BROADCASTING, sizes, server, scale, loop)


async def _measure(
    work: str,
    order: str,
    variants: Sequence[Variant],
    sizes: Sequence[int],
    server: str,
    scale: Scale,
    loop: str | None,
) -> list[Result]:
    results = []
    options = WITHOUT_PINGS[server]
    async with serving(server, variants, loop, options=options) as processes:
        with ExitStack() as stack:
            rooms = {
                variant: Room(stack.enter_context(Crowd()), process, order)
                for variant, process in processes.items()
            }
            facts = {"loop": ask(processes[BARE].port)["loop"]}
            for size in sizes:
                for room in rooms.values():
                    room.grow(size)
                    room.send(scale.group_seconds / TURNS)
                samples: dict[str, list[float]] = {variant.name: [] for variant in rooms}
                for _ in range(scale.rounds):
                    for variant, sample in _round(rooms, scale.group_seconds).items():
                        samples[variant.name].append(sample)
                results.append(
                    Result(
                        work=f"{work} of {size}",
                        server=server,
                        unit=UNIT,
                        rows=compare(samples, BARE.name),
                        facts={**facts, "members": size},
                    )
                )
    return results


def _round(rooms: dict[Variant, Room], seconds: float) -> dict[Variant, float]:
    cpu, counts = dict.fromkeys(rooms, 0.0), dict.fromkeys(rooms, 0)
    left = dict.fromkeys(rooms, seconds)
    for _ in range(TURNS):
        for variant, room in rooms.items():
            # One message of plain Channels to a crowd takes longer than a whole round should.
            if left[variant] <= 0:
                continue
            began = time.monotonic()
            used, deliveries = room.send(seconds / TURNS)
            left[variant] -= time.monotonic() - began
            cpu[variant] += used
            counts[variant] += deliveries
    return {variant: cpu[variant] / counts[variant] * 1e6 for variant in rooms}
