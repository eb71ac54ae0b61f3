"""A Redis that runs full under ``allkeys-lru``, and throws out just the keys one names."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from .servers import ServerFailed

if TYPE_CHECKING:
    from .brokers import Broker

# Forgotten for longer than anything else, so that they are what goes first.
IDLE_VICTIM = 7200
IDLE_BALLAST = 3600
# What else is old takes the rest: memory is not measured to the byte.
BALLAST = "ballast:{}"
BALLAST_KEYS = 64
BALLAST_BYTES = 4096

# Atomic, so that nobody meets a key that is away. The data stay what they are; only the time of
# the last use is made up.
_AGE = """
for _, key in ipairs(KEYS) do
    local value, ttl = redis.call('DUMP', key), redis.call('PTTL', key)
    if value then
        redis.call('RESTORE', key, math.max(ttl, 0), value, 'REPLACE', 'IDLETIME', ARGV[1])
    end
end
"""


async def evict(broker: Broker, *keys: str, deadline: float = 10.0) -> None:
    """Have *broker* evict *keys*, as if nobody had used them for two hours, and nothing else.

    Raises:
        ServerFailed: Some were still there after *deadline*.
    """
    from redis.asyncio import Redis

    # A sample of everything there is: then the oldest key is found, not some old one.
    await broker.configure(maxmemory_policy="allkeys-lru", maxmemory_samples=1000)
    ballast = [BALLAST.format(n) for n in range(BALLAST_KEYS)]
    give_up = time.monotonic() + deadline
    client = Redis(host="127.0.0.1", port=broker.port, socket_timeout=5)
    try:
        await client.mset(dict.fromkeys(ballast, "x" * BALLAST_BYTES))
        await _age(client, ballast, IDLE_BALLAST)
        while await client.exists(*keys):
            if time.monotonic() > give_up:
                raise ServerFailed(f"not evicted within {deadline:.0f} s: {keys}")
            await _age(client, keys, IDLE_VICTIM)
            await _run_full(client)
            await asyncio.sleep(0.01)
        await client.delete(*ballast)
    finally:
        await client.aclose()


async def _age(client: Any, keys: Any, idle: int) -> None:
    await client.eval(_AGE, len(keys), *keys, idle)


async def _run_full(client: Any) -> None:
    """Let one command find that there is a little too much in memory."""
    used = (await client.info("memory"))["used_memory"]
    # In one go, so that nothing else runs while the limit holds.
    async with client.pipeline(transaction=False) as pipeline:
        pipeline.execute_command("CONFIG", "SET", "maxmemory", used - 2048)
        pipeline.ping()
        pipeline.execute_command("CONFIG", "SET", "maxmemory", 0)
        await pipeline.execute()
