"""What can happen to a channel layer on Redis. Each ends when the layer could work again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..eviction import evict
from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ..brokers import Broker
    from .rigs import Kind, Layer, Rig

AWAY = 3.0
# Longer than a call to a layer may take by default.
FROZEN = 6.0
IDLE = 12.0


class Scene(Protocol):
    """What an event works with."""

    rig: Rig
    shared: str

    @property
    def own(self) -> list[str]:
        """The group of each."""
        raise NotImplementedError

    async def quiet(self, is_quiet: bool) -> None:
        """Have the stream fall silent, or go on."""


@dataclass(frozen=True, eq=False)
class Event:
    """One part of the table.

    Attributes:
        name: What ``--only`` takes.
        title: What the table says.
        happen: Lets it happen, and returns when it is over.
        rig: The kind of Redis that it needs.
        found_by: What tells that something is wrong: a "failure", if nothing else at least that
            of a connection; a "probe", which has to be lost first; or not even that, but the
            "renewal" of every group in its time.
        needs_broker: Whether it cannot happen to a layer in the process.
        options: Options of the wrapped layer, where they are not at their default.
    """

    name: str
    title: str
    happen: Callable[[Scene], Awaitable[None]]
    rig: Kind = "single"
    found_by: Literal["failure", "probe", "renewal"] = "failure"
    needs_broker: bool = True
    options: Mapping[Layer, Mapping[str, Any]] = field(default_factory=dict)


async def nothing(scene: Scene) -> None:
    """Be silent for longer than redis-py waits for an answer by default."""
    await scene.quiet(True)
    await asyncio.sleep(IDLE)
    await scene.quiet(False)


async def killed(scene: Scene) -> None:
    """Redis dies, and is back after some seconds."""
    await scene.rig.broker.kill()
    await asyncio.sleep(AWAY)
    await scene.rig.broker.restart()


async def connections_killed(scene: Scene) -> None:
    """Redis cuts every connection, once."""
    await scene.rig.broker.client_kill(None)


async def flushed(scene: Scene) -> None:
    """Somebody deletes everything in Redis."""
    await scene.rig.broker.flushall()


async def frozen(scene: Scene) -> None:
    """Redis keeps its connections open, and answers nobody."""
    scene.rig.broker.freeze()
    try:
        await asyncio.sleep(FROZEN)
    finally:
        scene.rig.broker.thaw()


async def reset(scene: Scene) -> None:
    """Every link to Redis is torn down, once."""
    scene.rig.proxy.cut()


async def silent(scene: Scene) -> None:
    """Every link to Redis loses all it is given; those that come later are good again."""
    scene.rig.proxy.drop()
    await asyncio.sleep(AWAY)
    scene.rig.proxy.resume()


async def failed_over(scene: Scene) -> None:
    """The master dies, and the sentinel makes a replica the master that has nothing."""
    await scene.rig.failover.fail_over()


async def idle_closed(scene: Scene) -> None:
    """Redis closes connections that wait in a pool."""
    broker = scene.rig.broker
    await broker.configure(timeout=1)
    await scene.quiet(True)
    pooled = await broker.pooled()

    async def are_closed() -> bool:
        return not pooled & await broker.pooled()

    await until(are_closed, 4.0)
    await scene.quiet(False)


async def idle_cut_over_tls(scene: Scene) -> None:
    """Redis cuts TLS connections that wait in a pool."""
    await scene.quiet(True)
    await until(lambda: _has_pooled(scene.rig.broker), 3.0)
    await scene.rig.broker.client_kill_idle()
    await scene.quiet(False)


async def _has_pooled(broker: Broker) -> bool:
    return bool(await broker.pooled())


async def out_of_memory(scene: Scene) -> None:
    """Redis refuses every write."""
    await scene.rig.broker.run_out_of_memory()
    await asyncio.sleep(AWAY)
    await scene.rig.broker.have_memory()


async def evicted(scene: Scene) -> None:
    """Redis runs full, and throws out the group of all and that of one."""
    groups = (scene.shared, scene.own[0])
    await evict(scene.rig.broker, *(f"asgi:group:{group}" for group in groups))


async def locked_out(scene: Scene) -> None:
    """Redis asks for a password that nobody has been told, and then for none again."""
    await scene.rig.broker.change_password("open sesame")
    await asyncio.sleep(AWAY)
    await scene.rig.broker.change_password(None)


# The hub joins each group anew in a third of it.
EXPIRY = 30

EVENTS = (
    Event("nothing", f"Nothing, for {IDLE:.0f} s", nothing, needs_broker=False),
    Event("killed-empty", f"Redis killed, back empty after {AWAY:.0f} s", killed),
    Event("killed-kept", f"Redis killed, back with its data after {AWAY:.0f} s", killed,
          "persistent"),
    Event("client-kill", "`CLIENT KILL`, all connections", connections_killed),
    Event("flushall", "`FLUSHALL`", flushed, found_by="probe"),
    Event("frozen", f"Redis stopped (SIGSTOP) for {FROZEN:.0f} s", frozen),
    Event("reset", "Every TCP link to Redis reset", reset, "proxied"),
    Event("silent", f"Every TCP link silently lost; new ones work after {AWAY:.0f} s", silent,
          "proxied", found_by="probe"),
    Event("failover", "Sentinel failover to an empty replica", failed_over, "failover"),
    Event("timeout", "Redis with `timeout 1` closes idle connections", idle_closed),
    Event("tls-idle", "TLS, idle connections cut", idle_cut_over_tls, "tls"),
    Event("out-of-memory", f"`maxmemory` reached, writes refused for {AWAY:.0f} s", out_of_memory),
    Event("evicted", f"Two groups evicted (`allkeys-lru`); `group_expiry` {EXPIRY}", evicted,
          found_by="renewal", options={"core": {"group_expiry": EXPIRY}}),
    Event("password", f"Password changed, and back after {AWAY:.0f} s", locked_out),
)  # fmt: skip
