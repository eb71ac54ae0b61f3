"""Connections torn down without a word, in the middle of a broadcast: what is left of them."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from tour import frames

from .load import Crowd, LoadFailed, masked
from .processes import ask, find_worker, rss_bytes, serving
from .results import Figures
from .served.messages import TELL
from .variants import strained

if TYPE_CHECKING:
    from tour.servers import Server

    from .scale import Scale

# As soon as everybody is there, everybody is told something.
ORDER = masked(frames.TEXT, f"{TELL} 3 1000 0.001".encode())
ABRUPT = struct.pack("ii", 1, 0)  # SO_LINGER: closing is a reset
SERVERS = ("tasks", "timers", "descriptors")
OURS = ("groups", "members", "connections", "waiting")
COUNTED = (*SERVERS, *OURS)
QUIET, FEW = 6.0, 10


async def measure(server: str, scale: Scale, loop: str | None) -> list[Figures]:
    """In rounds; what is left after the first ones is what the rest is compared with."""
    variant = strained({}, negotiated=True)
    async with serving(server, [variant], loop) as processes:
        process, gone, looks = processes[variant], 0, []
        began = time.monotonic()
        for look in scale.disconnects_looks:
            while gone < look:
                count = min(scale.disconnects_at_once, look - gone)
                _tear_down(process, count)
                gone += count
            looks.append(_settle(process, looks))
        seconds = time.monotonic() - began
    return [
        Figures(
            work="abrupt disconnects",
            server=server,
            about=(
                f"What the process holds after {_list(scale.disconnects_looks)} connections, "
                f"{scale.disconnects_at_once} at a time, were reset in the middle of a broadcast. "
                "`disconnect` ran once for each. The connection that asks is counted, and what "
                "the server keeps for a while of those that asked before."
            ),
            cells={
                **{name: _list(look[name] for look in looks) for name in COUNTED},
                "objects of Python": _list(look["objects"] for look in looks),
                "memory, MB": _list(f"{look['memory'] / 1024 / 1024:.1f}" for look in looks),
            },
            samples={"looks": looks, "seconds": seconds},
        )
    ]


def _tear_down(process: Server, count: int) -> None:
    with Crowd() as crowd:
        # Every other one speaks the protocol, and has timers.
        for number in range(count):
            crowd.open(process.port, "strained", [number], negotiated=number % 2 == 0)
        wires = list(crowd.wires.values())
        wires[0].raw.send(ORDER)
        crowd.serve(0.02)
        for wire in wires:
            wire.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPT)
    ended, give_up = 0, time.monotonic() + 60.0
    while (ended := ended + len(ask(process.port, "/endings")["endings"])) < count:
        if time.monotonic() > give_up:
            raise LoadFailed(f"{count - ended} of {count} connections did not end")
        time.sleep(0.05)
    if ended > count:
        raise LoadFailed(f"{ended} ends of {count} connections")


def _settle(process: Server, looks: list[dict[str, Any]]) -> dict[str, Any]:
    """Wait until nothing of ours is left, and no more of the server's than at the first look."""
    give_up = time.monotonic() + 60.0
    while True:
        # Servers keep tasks and timers for whoever has just asked; so not too often.
        time.sleep(QUIET)
        found = ask(process.port, "/rest")
        most = looks[0] if looks else found
        counts = {name: found[name] for name in COUNTED}
        if not any(counts[name] for name in OURS) and all(
            counts[name] <= most[name] + FEW for name in SERVERS
        ):
            memory = rss_bytes(find_worker(process))
            return {**counts, "objects": found["objects"], "memory": memory}
        if time.monotonic() > give_up:
            raise LoadFailed(f"left of connections that have ended: {counts}, was {looks[:1]}")


def _list(values: Any) -> str:
    return ", ".join(str(value) for value in values)
