"""Settings to check, and the parts that several tests make them of."""

from typing import Any

import pytest
from django.test import override_settings

from resilient_channels.checks import APP, CORE_LAYER, HUB, PUBSUB_LAYER

REDIS_LAYERS = [CORE_LAYER, PUBSUB_LAYER]
ASYNC_RETRY, SYNC_RETRY = "redis.asyncio.retry", "redis.retry"
SENTINELS = {"master_name": "main", "sentinels": [("localhost", 26379)]}


def layers(backend: str, **config: Any) -> Any:
    """Settings with one layer."""
    layer: dict[str, Any] = {"BACKEND": backend}
    if config:
        layer["CONFIG"] = config
    return override_settings(CHANNEL_LAYERS={"default": layer})


def hub(backend: Any = None, **config: Any) -> Any:
    """Settings with one layer behind a hub."""
    return layers(HUB, BACKEND=backend, CONFIG=config)


def lasting(**options: Any) -> dict[str, Any]:
    """A host whose reads may wait for ever, as W001 wants it."""
    return {"host": "localhost", "socket_timeout": None, **options}


def retry(module: str) -> Any:
    """A ``Retry`` of one of the two kinds."""
    backoff = pytest.importorskip("redis.backoff")
    return pytest.importorskip(module).Retry(backoff.NoBackoff(), 3)


def ids(messages: list[Any]) -> list[str]:
    """The identifiers of *messages*, without the application's name."""
    return [message.id.removeprefix(f"{APP}.") for message in messages]
