"""Echo: CPU of the server process per message, many connections, one message in flight on each."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from .load import Crowd
from .processes import ask, cpu_seconds, serving
from .results import Result, compare
from .variants import BARE, ECHO

if TYPE_CHECKING:
    from tour.servers import Server

    from .scale import Scale
    from .variants import Variant

TEXT = '{"type":"chat.message","text":"to be sent back","number":12345}'


# A round has as many turns, so that a disturbance of a second does not hit one variant alone.
TURNS = 4


async def measure(server: str, scale: Scale, loop: str | None) -> list[Result]:
    """Take turns: each variant works alone for a moment, then the next."""
    samples: dict[str, list[float]] = {variant.name: [] for variant in ECHO}
    async with serving(server, ECHO, loop) as processes:
        with ExitStack() as stack:
            crowds = {variant: stack.enter_context(Crowd()) for variant in processes}
            for variant, crowd in crowds.items():
                connections = range(scale.echo_connections)
                port = processes[variant].port
                crowd.open(port, "echo", connections, negotiated=variant.negotiated)
                crowd.echo(TEXT, scale.echo_seconds / 2)
            for _ in range(scale.rounds):
                for variant, sample in _round(processes, crowds, scale.echo_seconds).items():
                    samples[variant.name].append(sample)
        facts = {"loop": ask(processes[BARE].port)["loop"], "connections": scale.echo_connections}
    return [
        Result(
            work="echo",
            server=server,
            unit="CPU µs per message",
            rows=compare(samples, BARE.name),
            facts=facts,
        )
    ]


def _round(
    processes: dict[Variant, Server], crowds: dict[Variant, Crowd], seconds: float
) -> dict[Variant, float]:
    cpu, counts = dict.fromkeys(crowds, 0.0), dict.fromkeys(crowds, 0)
    for _ in range(TURNS):
        for variant, crowd in crowds.items():
            before = cpu_seconds(processes[variant].pid)
            counts[variant] += crowd.echo(TEXT, seconds / TURNS)
            cpu[variant] += cpu_seconds(processes[variant].pid) - before
    return {variant: cpu[variant] / counts[variant] * 1e6 for variant in crowds}
