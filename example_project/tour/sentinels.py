"""A Redis that fails over: a master, a replica, and the sentinel that promotes the replica."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from .brokers import Broker
from .servers import ServerFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

NAME = "tour"
# Milliseconds. A master that is silent for so long is taken for dead; real ones wait longer.
DOWN_AFTER = 500
FAILOVER_TIMEOUT = 1000


class Sentinel(Broker):
    """One sentinel process, which watches *master*."""

    def __init__(self, master: Broker) -> None:
        super().__init__()
        self._master = master

    def _arguments(self) -> list[str]:
        configuration = self._home / "sentinel.conf"
        configuration.write_text(
            f"port {self._port}\n"
            "bind 127.0.0.1\n"
            f"dir {self._home}\n"
            f"logfile {self._log}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {self._master.port} 1\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER}\n"
            f"sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT}\n"
        )
        return [str(configuration), "--sentinel"]

    async def knows_a_replica(self) -> bool:
        """Whether there is somebody whom it could promote."""
        return bool(await self.command("SENTINEL", "REPLICAS", NAME))

    async def master_port(self) -> int | None:
        """Return the port that it would send clients to; None while it would not."""
        answer = await self.command("SENTINEL", "MASTER", NAME)
        # A map, or its parts in a row, as the client's protocol has it.
        pairs = (
            answer.items() if isinstance(answer, dict) else zip(*[iter(answer)] * 2, strict=True)
        )
        master = dict(pairs)
        return int(master[b"port"]) if master[b"flags"] == b"master" else None


class Failover:
    """A master, its replica, and one sentinel; an async context manager.

    Attributes:
        master: Dead after ``fail_over()``.
        replica: Takes over then.
        current: Whichever of them is the master now.
    """

    master: Broker
    replica: Broker
    current: Broker
    _sentinel: Sentinel

    def __init__(self, *, deadline: float = 15.0) -> None:
        self._deadline = deadline
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def host(self) -> dict[str, Any]:
        """An entry for ``hosts`` in the configuration of a channels_redis layer."""
        return {"sentinels": [["127.0.0.1", self._sentinel.port]], "master_name": NAME}

    async def fail_over(self) -> None:
        """Kill the master, and return when the replica, with nothing in it, is the new one."""
        await self.master.kill()
        # Whatever had not reached it yet is lost in a failover: here, all of it.
        await self.replica.flushall()
        await self._until(self._is_promoted, "the sentinel did not promote the replica")
        self.current = self.replica

    async def _start(self) -> None:
        self.master = self.current = await self._stack.enter_async_context(Broker())
        leader = ("--replicaof", "127.0.0.1", str(self.master.port), "--replica-read-only", "no")
        self.replica = await self._stack.enter_async_context(Broker(options=leader))
        await self._until(self._is_in_step, "the replica does not follow the master")
        self._sentinel = await self._stack.enter_async_context(Sentinel(self.master))
        await self._until(self._sentinel.knows_a_replica, "the sentinel found no replica")

    async def _is_in_step(self) -> bool:
        return await self._replication("master_link_status") == "up"

    async def _is_promoted(self) -> bool:
        if await self._sentinel.master_port() != self.replica.port:
            return False
        return await self._replication("role") == "master"

    async def _replication(self, what: str) -> str:
        return str((await self.replica.info("replication"))[what])

    async def _until(self, holds: Callable[[], Awaitable[bool]], complaint: str) -> None:
        give_up = time.monotonic() + self._deadline
        while not await holds():
            if time.monotonic() > give_up:
                raise ServerFailed(f"{complaint} within {self._deadline:.0f} s")
            await asyncio.sleep(0.03)
