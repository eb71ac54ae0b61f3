"""What stands behind a channel layer: a Redis that can be broken, or nothing at all."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Literal, Self

from ..brokers import Broker
from ..proxy import FaultProxy
from ..sentinels import Failover

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

Layer = Literal["core", "pubsub", "memory"]
Setup = Literal["hub", "mixin", "plain"]
Kind = Literal["single", "persistent", "tls", "proxied", "failover"]

LAYERS: tuple[Layer, ...] = ("core", "pubsub", "memory")
BACKENDS = {
    "core": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
    "memory": "channels.layers.InMemoryChannelLayer",
}
HUB = "resilient_channels.layers.ResilientChannelLayer"


class Rig:
    """One Redis of a *kind*, or none for the in-memory layer; an async context manager.

    Attributes:
        layer: Which layer it is for.
        proxy: What stands between the server and a Redis that is "proxied".
        failover: The master and the replica of a Redis that is "failover".
    """

    proxy: FaultProxy
    failover: Failover
    _broker: Broker

    def __init__(self, layer: Layer, kind: Kind) -> None:
        self.layer = layer
        self._kind = kind
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            if self.layer != "memory":
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

    async def _start(self) -> None:
        enter = self._stack.enter_async_context
        if self._kind == "failover":
            self.failover = await enter(Failover())
            return
        tls, persistent = self._kind == "tls", self._kind == "persistent"
        self._broker = await enter(Broker(tls=tls, persistent=persistent))
        if self._kind == "proxied":
            self.proxy = await enter(FaultProxy(self._broker.target_port))

    @property
    def broker(self) -> Broker:
        """The Redis that is, or was last, in charge."""
        return self.failover.current if self._kind == "failover" else self._broker

    @property
    def host(self) -> dict[str, Any]:
        """An entry for ``hosts``, with redis-py's defaults for everything else."""
        if self._kind == "failover":
            return self.failover.host
        if self._kind == "proxied":
            return self._broker.host_at(self.proxy.port)
        return self._broker.host

    def settings(
        self, setup: Setup, options: Mapping[str, Any], host_options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the channel layer's settings; *options* are the wrapped layer's own."""
        if self.layer == "memory":
            return {"BACKEND": HUB if setup == "hub" else BACKENDS["memory"]}
        config = {"hosts": [{**self.host, **host_options}], **options}
        bare = {"BACKEND": BACKENDS[self.layer], "CONFIG": config}
        return {"BACKEND": HUB, "CONFIG": bare} if setup == "hub" else bare
