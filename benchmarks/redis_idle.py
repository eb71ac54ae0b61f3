"""Redis at rest: commands per second of an idle process, with few connections and with many."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

from tour.brokers import Broker

from .load import Crowd
from .processes import ask, possible, serving
from .results import Result, list_rows
from .variants import REDIS

if TYPE_CHECKING:
    from .scale import Scale

# What was begun when the last ones came is over by then, a probe of five seconds among it.
SETTLING = 6.0


class Counter:
    """Counts the commands of a broker by way of one connection, without its own question."""

    def __init__(self, broker: Broker) -> None:
        self._client: Any = Redis(
            host="127.0.0.1", port=broker.port, single_connection_client=True, socket_timeout=60
        )

    async def look(self) -> int:
        """Return the commands processed before this one."""
        return int((await self._client.info("stats"))["total_commands_processed"])

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.aclose()


async def measure(server: str, scale: Scale, loop: str | None) -> list[Result]:
    """Every variant has a broker of its own; all are watched at the same time."""
    samples: dict[str, list[float]] = {}
    facts: dict[str, Any] = {"seconds": scale.redis_seconds}
    async with AsyncExitStack() as stack:
        crowd = stack.enter_context(Crowd())
        processes, counters = {}, {}
        for variant in possible(REDIS):
            broker = await stack.enter_async_context(Broker())
            started = await stack.enter_async_context(
                serving(server, [variant], loop, broker=broker)
            )
            processes.update(started)
            counters[variant] = Counter(broker)
            stack.push_async_callback(counters[variant].close)
            facts["loop"] = ask(started[variant].port)["loop"]
        present = 0
        for connections in scale.redis_connections:
            for process in processes.values():
                crowd.open(process.port, "idle", range(present, connections))
            present = connections
            crowd.serve(SETTLING)
            before = {variant: await counter.look() for variant, counter in counters.items()}
            crowd.serve(scale.redis_seconds)
            for variant, counter in counters.items():
                # The first look counts itself only in the second.
                commands = await counter.look() - before[variant] - 1
                name = f"{variant.name}, {connections} connections"
                samples[name] = [commands / scale.redis_seconds]
    return [
        Result(
            work="Redis at rest",
            server=server,
            unit="commands per second",
            rows=list_rows(samples),
            facts=facts,
        )
    ]
