"""Very many clients freeze at once: when the last one is found, and what the others notice."""

from __future__ import annotations

import time
from contextlib import ExitStack
from statistics import median, quantiles
from typing import TYPE_CHECKING

from .fairness import PERIOD, Probe
from .load import Crowd, LoadFailed
from .processes import ask, serving
from .results import Figures
from .variants import strained

if TYPE_CHECKING:
    from tour.servers import Server

    from .load import Wire
    from .scale import Scale

INTERVAL, TIMEOUT = 5.0, 5.0
BOUND = INTERVAL + TIMEOUT + 1.0
PROBES = 20


async def measure(server: str, scale: Scale, loop: str | None) -> list[Figures]:
    """Some go on as before, and write down how long they wait for an answer."""
    settings = {"HEARTBEAT": {"interval": INTERVAL, "timeout": TIMEOUT}}
    variant = strained(settings, negotiated=True)
    async with serving(server, [variant], loop) as processes:
        process = processes[variant]
        with Crowd() as crowd, ExitStack() as stack:
            wires = crowd.open(process.port, "strained", range(PROBES), negotiated=True)
            freezing = crowd.gather(
                process.port, "strained", range(scale.frozen_connections), negotiated=True
            )
            crowd.serve_until(lambda: all(wire.pings > 1 for wire in freezing), 4 * INTERVAL)
            before = _probe(crowd, wires, BOUND)
            crowd.forget(freezing)
            for wire in freezing:
                stack.callback(wire.raw.close)
            since = time.monotonic()
            during = _probe(crowd, wires, BOUND + 1.0)
            found = _read_endings(process, since, len(freezing))
    return [
        Figures(
            work="many clients freeze at once",
            server=server,
            about=(
                f"{scale.frozen_connections} of {scale.frozen_connections + PROBES} clients fall "
                f"silent at once, with a heartbeat of {INTERVAL:g} s + {TIMEOUT:g} s. The others "
                f"have {PROBES / PERIOD:.0f} messages a second sent back, "
                f"{BOUND:g} s before and {BOUND + 1:g} s after."
            ),
            cells={
                "found": str(len(found)),
                "the first after, s": f"{found[0]:.1f}",
                "half of them": f"{median(found):.1f}",
                "the last": f"{found[-1]:.1f}",
                "echo before, p50 and p99, ms": _tell(before),
                "after": _tell(during),
                "echoes lost": "0",
            },
            samples={"found": found, "before": before, "during": during},
        )
    ]


def _probe(crowd: Crowd, wires: list[Wire], seconds: float) -> list[float]:
    """Ask for a while, on time whether there is an answer or not; return how long those took."""
    start = time.monotonic()
    probes = {
        wire.raw.fileno(): Probe(wire, start + number * PERIOD / len(wires))
        for number, wire in enumerate(wires)
    }
    for wire in wires:
        wire.texts = 0
    stop, give_up = start + seconds, start + seconds + 10.0
    while (now := time.monotonic()) < stop or any(probe.sent for probe in probes.values()):
        if now > give_up:
            raise LoadFailed("messages were not sent back")
        if now < stop:
            for probe in probes.values():
                probe.ask(now)
        for wire, data in crowd.read(time.monotonic() + 0.005):
            wire.take(data)
            if (asking := probes.get(wire.raw.fileno())) is not None:
                asking.hear(time.monotonic())
    return [latency for probe in probes.values() for latency in probe.latencies]


def _read_endings(process: Server, since: float, count: int) -> list[float]:
    endings = ask(process.port, "/endings")["endings"]
    if len(endings) != count or any(code != 3408 for _, code in endings):
        raise LoadFailed(f"{len(endings)} of {count} clients were given up")
    return sorted(moment - since for moment, _ in endings)


def _tell(latencies: list[float]) -> str:
    return f"{median(latencies) * 1000:.1f}, {quantiles(latencies, n=100)[98] * 1000:.1f}"
