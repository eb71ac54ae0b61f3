"""Every touch of an internal of a channel layer, each with a canary test.

No broker's client is imported: layers are known by what they have, or by the name of their module.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.layers import InMemoryChannelLayer, channel_layers


def is_in_process(layer: object) -> bool:
    """Whether a layer cannot have an outage, because it lives in this process."""
    return isinstance(layer, InMemoryChannelLayer)


def read_option(layer: object, name: str) -> Any:
    """An attribute of a layer that holds its configuration; ``None`` if it has none.

    Never by way of ``__getattr__``: the pub/sub layer's asks for a running event loop.
    """
    return inspect.getattr_static(layer, name, None)


def check_message(layer: Any, args: tuple[Any, ...]) -> None:
    """Raise what *layer* raises for a message that it cannot put into bytes.

    Layers of channels_redis have ``serialize``; nothing is known about others' messages.
    """
    if hasattr(type(layer), "serialize"):
        serialize = layer.serialize
        for arg in args:
            if isinstance(arg, Mapping):
                serialize(arg)


def is_plain_in_memory(layer_class: object) -> bool:
    """Whether a layer's class is the in-memory layer of Channels itself."""
    return layer_class is InMemoryChannelLayer


def keeps_one_queue(layer: Any) -> bool:
    """Whether a layer keeps all channels of a process in one queue, as ``channels_redis.core``."""
    return all(
        hasattr(type(layer), name) for name in ("receive_single", "non_local_name", "new_channel")
    ) and isinstance(read_option(layer, "client_prefix"), str)


def find_process_prefix(layer: Any) -> str:
    """What the names of all channels of this process have before their ``!``."""
    return str(layer.client_prefix)


async def receive_single(layer: Any, queue: str) -> tuple[str | list[str], dict[str, Any]]:
    """The next message of one of the process's queues, with the channels it is meant for."""
    received: tuple[str | list[str], dict[str, Any]] = await layer.receive_single(queue)
    heed_cleaner(layer)
    return received


def heed_cleaner(layer: Any) -> None:
    """Look at the failure of the task that a read leaves behind; the layer itself does not."""
    for cleaner in (read_option(layer, "receive_cleaners") or [])[-1:]:
        cleaner.add_done_callback(lambda task: task.cancelled() or task.exception())


def abandon_cleaners(layer: Any) -> None:
    """End what a queue's next ``receive_single`` would wait for: it may hang on a dead link."""
    for cleaner in list(layer.receive_cleaners):
        cleaner.cancel()


PUBSUB = "channels_redis.pubsub"

BLOCKING_READ = 2
"""Seconds that a read of ``channels_redis.core`` blocks under a hub."""


def shorten_blocking_reads(layer: Any) -> None:
    """Let a read of the broker end by itself before the client's own time limit ends it by error.

    From redis-py 8 on that limit is 5 seconds by default, and so is the read: a message that comes
    just then is lost.
    """
    limits = [limit for host in layer.hosts if (limit := _read_socket_timeout(host)) > 0]
    half = min([BLOCKING_READ * 2.0, *limits]) / 2
    layer.brpop_timeout = int(half) if half >= 1 else half  # brokers before Redis 6 know no halves


def _read_socket_timeout(host: Mapping[str, Any]) -> float:
    """The time limit of one host's client; 0 if there is none, or the client's default."""
    address = host.get("address")
    query = parse_qs(urlsplit(address).query) if isinstance(address, str) else {}
    # The URL has the last word, as in redis-py.
    [limit] = query.get("socket_timeout", [host.get("socket_timeout")])[-1:]
    try:
        return float(limit)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0


def name_a_group_per_host(layer: Any, make_name: Callable[[], str]) -> tuple[str, ...]:
    """Names of groups, one for each host of a layer of ``channels_redis``; one on any other."""
    if isinstance(read_option(layer, "ring_size"), int):
        hosts, find_host = layer.ring_size, layer.consistent_hash
    elif type(layer).__module__ == PUBSUB:
        inner = layer._get_layer()
        hosts = len(inner._shards)

        def find_host(group: str) -> int:
            shard = inner._get_shard(inner._get_group_channel_name(group))
            return int(inner._shards.index(shard))
    else:
        return (make_name(),)
    names: dict[int, str] = {}
    while len(names) < hosts:
        name = make_name()
        names.setdefault(find_host(name), name)
    return tuple(names.values())


async def drop_silent_links(layer: Any) -> None:
    """Let a pub/sub layer subscribe anew, on new connections, at its next read."""
    if type(layer).__module__ != PUBSUB:
        return
    for shard in layer._get_layer()._shards:
        connection = getattr(shard._pubsub, "connection", None)
        if connection is not None:
            with suppress(Exception):  # it is dead, that is why
                await connection.disconnect(nowait=True)


async def close_layer(layer: Any) -> None:
    """Close the connections that a layer has on the running event loop, as far as it lets us."""
    for name in ("close_pools", "close"):
        if hasattr(type(layer), name):
            await getattr(layer, name)()
            return
    if type(layer).__module__ == PUBSUB:
        await layer.flush()  # there it deletes nothing: it is the way to close


def find_alias(layer: object, default: str = "default") -> str:
    """What the settings call *layer*."""
    aliases = (alias for alias, known in channel_layers.backends.items() if known is layer)
    return next(aliases, default)


def has_groups(layer: object) -> bool:
    """Whether a layer has the groups extension of the specification."""
    return hasattr(layer, "group_send") and "groups" in getattr(layer, "extensions", ("groups",))
