"""``CHANNEL_LAYERS``, read as Channels and the hub will read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from ..layers import ResilientChannelLayer
from .hosts import Host, read_hosts

CORE_LAYER = "channels_redis.core.RedisChannelLayer"
PUBSUB_LAYER = "channels_redis.pubsub.RedisPubSubChannelLayer"
IN_MEMORY_LAYER = "channels.layers.InMemoryChannelLayer"
HUB = "resilient_channels.layers.ResilientChannelLayer"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer that talks to a broker, or that does not.

    Attributes:
        alias: Its key in ``CHANNEL_LAYERS``.
        where: Where its options are written; messages begin with it.
        backend: Dotted path of its class; empty for a hub alone.
        config: Its options.
        in_hub: Whether a hub stands before it.
    """

    alias: str
    where: str
    backend: str
    config: Mapping[str, Any]
    in_hub: bool = False

    @property
    def is_redis(self) -> bool:
        """Whether it is one of the two layers of channels_redis."""
        return self.backend in (CORE_LAYER, PUBSUB_LAYER)

    @cached_property
    def hosts(self) -> list[Host]:
        """The Redis servers it talks to."""
        return read_hosts(self.config.get("hosts"))


@dataclass(frozen=True, kw_only=True)
class HubEntry:
    """A hub's entry in ``CHANNEL_LAYERS``.

    Attributes:
        alias: Its key there.
        config: Its ``CONFIG``, of whatever type that is.
    """

    alias: str
    config: Any

    @property
    def where(self) -> str:
        """Where its options are written."""
        return f"CHANNEL_LAYERS[{self.alias!r}]['CONFIG']"


def find_entries() -> Iterator[Layer | HubEntry]:
    """What is configured, from the outside: one of the two for each alias."""
    layers = getattr(settings, "CHANNEL_LAYERS", None)
    for alias, entry in layers.items() if isinstance(layers, Mapping) else ():
        if not isinstance(entry, Mapping) or not entry.get("BACKEND"):
            continue  # what is misshapen here, Channels refuses in its own words
        backend, config = str(entry["BACKEND"]), entry.get("CONFIG", {})
        if is_hub(backend):
            yield HubEntry(alias=alias, config=config)
        elif isinstance(config, Mapping):
            where = f"CHANNEL_LAYERS[{alias!r}]"
            yield Layer(alias=alias, where=where, backend=backend, config=config)


def find_layers() -> Iterator[Layer]:
    """The layers that do the work: of a hub, the one that it wraps."""
    for entry in find_entries():
        layer = unwrap(entry) if isinstance(entry, HubEntry) else entry
        if layer is not None:
            yield layer


def unwrap(hub: HubEntry) -> Layer | None:
    """The layer that a hub wraps; ``None`` if it cannot be told, which other checks report."""
    if not isinstance(hub.config, Mapping):
        return None
    backend, config = hub.config.get("BACKEND"), hub.config.get("CONFIG") or {}
    if not isinstance(config, Mapping):
        return None
    return Layer(
        alias=hub.alias,
        where=f"{hub.where}['CONFIG']",
        backend=path_of(backend),
        config=config,
        in_hub=True,
    )


def path_of(backend: object) -> str:
    """The dotted path of a layer's class, which a hub takes in either form; empty for ``None``."""
    if isinstance(backend, type):
        return f"{backend.__module__}.{backend.__qualname__}"
    return "" if backend is None else str(backend)


def is_hub(backend: object) -> bool:
    """Whether a layer's class, or the path to it, is the hub's."""
    if isinstance(backend, str):
        # Nothing but our own modules is imported to find this out.
        if not backend.startswith(f"{HUB.partition('.')[0]}."):
            return False
        try:
            backend = import_string(backend)
        except ImportError:
            return False
    return isinstance(backend, type) and issubclass(backend, ResilientChannelLayer)
