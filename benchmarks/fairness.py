"""Fairness: how long an async echo takes while sync consumers of the same process are busy."""

from __future__ import annotations

import time
from collections import deque
from statistics import quantiles
from typing import TYPE_CHECKING

from .load import Crowd, masked
from .processes import ask, serving
from .results import Result, compare
from .variants import BARE, FAIRNESS

if TYPE_CHECKING:
    from .load import Wire
    from .scale import Scale

SLEEPERS = 3
PROBES = 10
PERIOD = 0.1
MESSAGE = masked(1, b'{"type":"chat.message","text":"are you there?"}')


class Probe:
    """A connection that sends at fixed times, whether or not it has been answered.

    Waiting for an answer before asking again would hide how long everybody else had to wait.
    """

    def __init__(self, wire: Wire, due: float) -> None:
        self.wire = wire
        self.due = due
        self.sent: deque[float] = deque()
        self.latencies: list[float] = []

    def ask(self, now: float) -> None:
        """Send if it is time."""
        if now >= self.due:
            self.sent.append(now)
            self.due += PERIOD
            self.wire.raw.send(MESSAGE)

    def hear(self, now: float) -> None:
        """Write down how long the answers that have come took; they come in order."""
        while len(self.latencies) < self.wire.texts:
            self.latencies.append(now - self.sent.popleft())


async def measure(server: str, scale: Scale, loop: str | None) -> list[Result]:
    """All variants at the same time: who sleeps needs no CPU."""
    async with serving(server, FAIRNESS, loop) as processes:
        with Crowd() as crowd:
            wires = {
                variant: crowd.open(process.port, "echo", range(PROBES))
                for variant, process in processes.items()
            }
            sleepers = [
                wire
                for variant, process in processes.items()
                if variant is not BARE
                for wire in crowd.open(process.port, "sleep", range(SLEEPERS))
            ]
            start = time.monotonic()
            probes = {
                variant: [
                    Probe(wire, start + number * PERIOD / PROBES) for number, wire in enumerate(own)
                ]
                for variant, own in wires.items()
            }
            for sleeper in sleepers:
                sleeper.raw.send(masked(1, str(scale.sleep_seconds).encode()))
            _run(crowd, [probe for some in probes.values() for probe in some], sleepers, scale)
        facts = {
            "loop": ask(processes[BARE].port)["loop"],
            "sync handlers": SLEEPERS,
            "asleep for seconds": scale.sleep_seconds,
        }
    samples = {variant.name: [_percentile_99(some) * 1000] for variant, some in probes.items()}
    return [
        Result(
            work="fairness",
            server=server,
            unit="p99 of an async echo, ms",
            rows=compare(samples, BARE.name),
            facts=facts,
        )
    ]


def _run(crowd: Crowd, probes: list[Probe], sleepers: list[Wire], scale: Scale) -> None:
    by_wire = {probe.wire.raw.fileno(): probe for probe in probes}
    give_up = time.monotonic() + SLEEPERS * scale.sleep_seconds + 10.0

    def over() -> bool:
        return all(sleeper.texts for sleeper in sleepers)

    def answered() -> bool:
        return not any(probe.sent for probe in probes)

    while not (over() and answered()) and time.monotonic() < give_up:
        if not over():
            for probe in probes:
                probe.ask(time.monotonic())
        for wire, data in crowd.read(time.monotonic() + 0.005):
            wire.take(data)
            if (probe := by_wire.get(wire.raw.fileno())) is not None:
                probe.hear(time.monotonic())


def _percentile_99(probes: list[Probe]) -> float:
    latencies = [latency for probe in probes for latency in probe.latencies]
    return quantiles(latencies, n=100)[98]
