"""What is compared: one server process each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One application under one configuration.

    Attributes:
        name: How it is called in tables and in JSON.
        consumers: Side and colour of the consumers; None for the bare ASGI application.
        settings: Django settings that differ from the common ones.
        negotiated: Whether its clients speak the library's protocol.
    """

    name: str
    consumers: str | None = None
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
            "BENCHMARK_CONSUMERS": self.consumers,
            "BENCHMARK_SETTINGS": json.dumps(self.settings),
        }


_EVERY_SECOND = {"RESILIENT_CHANNELS": {"HEARTBEAT": {"interval": 1.0}}}
_NO_LAYER: dict[str, Any] = {"CHANNEL_LAYERS": {}}

BARE = Variant(name="bare ASGI")
BARE_TASKS = Variant(name="bare ASGI, a task for each")

PLAIN_ASYNC = Variant(name="plain async", consumers="plain async")
PLAIN_SYNC = Variant(name="plain sync", consumers="plain sync")
PLAIN_ALONE = Variant(name="plain async, no layer", consumers="plain async", settings=_NO_LAYER)

ASYNC = Variant(name="resilient async", consumers="resilient async")
SYNC = Variant(name="resilient sync", consumers="resilient sync")
ALONE = Variant(name="resilient async, no layer", consumers="resilient async", settings=_NO_LAYER)


def _beating(colour: str, settings: dict[str, Any]) -> Variant:
    return Variant(
        name=f"resilient {colour}, heartbeats",
        consumers=f"resilient {colour}",
        settings=settings,
        negotiated=True,
    )


ECHO = (
    BARE,
    PLAIN_ASYNC,
    ASYNC,
    _beating("async", {}),
    PLAIN_SYNC,
    SYNC,
    _beating("sync", {}),
    PLAIN_ALONE,
    ALONE,
)
IDLE = (
    BARE,
    PLAIN_ASYNC,
    ASYNC,
    _beating("async", _EVERY_SECOND),
    PLAIN_SYNC,
    SYNC,
    _beating("sync", _EVERY_SECOND),
)
HEARTBEAT = {
    BARE: "heartbeat",
    BARE_TASKS: "heartbeat-tasks",
    _beating("async", _EVERY_SECOND): "echo",
    _beating("sync", _EVERY_SECOND): "echo",
}
FAIRNESS = (BARE, PLAIN_ASYNC, ASYNC)
