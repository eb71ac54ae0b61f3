"""What is compared: one server process each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

Layer = Literal["none", "memory", "redis", "hub", "hub-redis"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One application under one configuration.

    Attributes:
        name: How it is called in tables and in JSON.
        consumers: Side and colour of the consumers; None for the bare ASGI application.
        layer: Which of the channel layers of ``served.settings``.
        settings: Django settings that differ from the common ones.
        negotiated: Whether its clients speak the library's protocol.
    """

    name: str
    consumers: str | None = None
    layer: Layer = "memory"
    settings: dict[str, Any] = field(default_factory=dict, hash=False)
    negotiated: bool = False

    @property
    def application(self) -> str:
        """What the server is told to serve."""
        return f"benchmarks.served.{'consumers' if self.consumers else 'bare'}:application"

    @property
    def environment(self) -> dict[str, str]:
        """What the process finds in its environment."""
        if self.consumers is None:
            return {}
        return {
            "DJANGO_SETTINGS_MODULE": "benchmarks.served.settings",
            "BENCHMARK_CONSUMERS": self.consumers,
            "BENCHMARK_LAYER": self.layer,
            "BENCHMARK_SETTINGS": json.dumps(self.settings),
        }

    @property
    def needs_redis(self) -> bool:
        """Whether its layer is on a broker."""
        return self.layer in ("redis", "hub-redis")


_EVERY_SECOND = {"RESILIENT_CHANNELS": {"HEARTBEAT": {"interval": 1.0}}}

BARE = Variant(name="bare ASGI")
BARE_TASKS = Variant(name="bare ASGI, a task for each")

PLAIN_ASYNC = Variant(name="plain async", consumers="plain async")
PLAIN_SYNC = Variant(name="plain sync", consumers="plain sync")
PLAIN_ALONE = Variant(name="plain async, no layer", consumers="plain async", layer="none")
PLAIN_REDIS = Variant(name="plain async, Redis", consumers="plain async", layer="redis")

ASYNC = Variant(name="resilient async", consumers="resilient async")
SYNC = Variant(name="resilient sync", consumers="resilient sync")
ALONE = Variant(name="resilient async, no layer", consumers="resilient async", layer="none")
HUB = Variant(name="resilient async, hub", consumers="resilient async", layer="hub")
HUB_REDIS = Variant(
    name="resilient async, hub on Redis", consumers="resilient async", layer="hub-redis"
)


def _beating(like: Variant, settings: dict[str, Any]) -> Variant:
    return Variant(
        name=f"{like.name}, heartbeats",
        consumers=like.consumers,
        layer=like.layer,
        settings=settings,
        negotiated=True,
    )


HUB_BEATING = _beating(HUB, _EVERY_SECOND)
HUB_REDIS_BEATING = _beating(HUB_REDIS, _EVERY_SECOND)

ECHO = (
    BARE,
    PLAIN_ASYNC,
    ASYNC,
    _beating(ASYNC, {}),
    PLAIN_SYNC,
    SYNC,
    _beating(SYNC, {}),
    PLAIN_ALONE,
    ALONE,
)
GROUP = (BARE, PLAIN_ASYNC, PLAIN_REDIS, HUB, HUB_REDIS)
BROADCAST = (BARE, HUB, HUB_REDIS)
IDLE = (
    BARE,
    PLAIN_ASYNC,
    ASYNC,
    _beating(ASYNC, _EVERY_SECOND),
    HUB_BEATING,
    PLAIN_REDIS,
    HUB_REDIS_BEATING,
    PLAIN_SYNC,
    SYNC,
    _beating(SYNC, _EVERY_SECOND),
)
CHURN = (BARE, PLAIN_ASYNC, HUB_BEATING, HUB_REDIS_BEATING)
HEARTBEAT = {
    BARE: "heartbeat",
    BARE_TASKS: "heartbeat-tasks",
    _beating(ASYNC, _EVERY_SECOND): "echo",
    _beating(SYNC, _EVERY_SECOND): "echo",
}
FAIRNESS = (BARE, PLAIN_ASYNC, ASYNC)
REDIS = (PLAIN_REDIS, HUB_REDIS)


def strained(options: dict[str, Any], *, negotiated: bool) -> Variant:
    """The one whose clients misbehave, with these options of the library's."""
    return Variant(
        name="resilient async, hub",
        consumers="resilient async",
        layer="hub",
        settings={"RESILIENT_CHANNELS": options},
        negotiated=negotiated,
    )
