"""Churn: what connections that have come and gone leave behind in the server process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tour import frames

from .load import Crowd, LoadFailed, masked
from .processes import ask, rss_bytes, serving
from .results import Growth
from .variants import CHURN

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from tour.servers import Server

    from .scale import Scale
    from .variants import Variant

# So many are open at a time.
BATCH = 50
GOODBYE = masked(frames.CLOSE, frames.close_payload(1000))


async def measure(server: str, scale: Scale, loop: str | None) -> list[Growth]:
    """One process after the other; each is looked at several times."""
    async with serving(server, CHURN, loop) as processes:
        values = {
            variant.name: _sample(variant, process, scale.churn_looks)
            for variant, process in processes.items()
        }
    return [
        Growth(
            work="memory after connections have come and gone",
            server=server,
            unit="MB of the process",
            columns=[str(look) for look in scale.churn_looks],
            values=values,
        )
    ]


def _sample(variant: Variant, process: Server, looks: Sequence[int]) -> list[float]:
    tasks, found, gone = ask(process.port)["tasks"], [], 0
    for look in looks:
        _come_and_go(variant, process, range(gone, look))
        gone = look
        found.append(_settle(process, tasks) / 1024 / 1024)
    return found


def _come_and_go(variant: Variant, process: Server, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, BATCH):
        with Crowd() as crowd:
            batch = range(start, min(start + BATCH, numbers.stop))
            wires = crowd.open(process.port, "idle", batch, negotiated=variant.negotiated)
            # Every other one says goodbye and hears it, too. The rest is just gone.
            orderly = wires[::2]
            for wire in orderly:
                wire.raw.send(GOODBYE)
            for wire in orderly:
                _wait_for_end(wire.raw)


def _wait_for_end(raw: socket.socket) -> None:
    try:
        while raw.recv(65_536):
            pass
    except ConnectionError:
        pass
    except TimeoutError as error:
        raise LoadFailed("the server did not end a connection that the client closed") from error


def _settle(process: Server, tasks: int) -> int:
    """Wait until the process does nothing for any of them any more; return its memory.

    A few tasks of its own a process may have started meanwhile, not one per connection.
    """
    give_up = time.monotonic() + 60.0
    while (left := ask(process.port, "/collect")["tasks"] - tasks) > BATCH / 5:
        if time.monotonic() > give_up:
            raise LoadFailed(f"{left} tasks are left of connections that have ended")
        time.sleep(0.1)
    ask(process.port, "/collect")
    return rss_bytes(process.pid)
