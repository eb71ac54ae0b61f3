"""System checks: what is known to break a consumer, told before it does.

Each reads settings and installed versions only; none opens a connection or imports a broker's
client. Identifiers are never reused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning
from django.core.checks import register as register_check

from .conf import ATTRIBUTE, SETTING, find_setting_problems, get_policies
from .core.policies import Policies, TeardownPolicy
from .mixins import find_consumers

APP = "resilient_channels"
CORE_LAYER = "channels_redis.core.RedisChannelLayer"
PUBSUB_LAYER = "channels_redis.pubsub.RedisPubSubChannelLayer"
IN_MEMORY_LAYER = "channels.layers.InMemoryChannelLayer"

BLOCKING_READ_SECONDS = 5
"""How long channels_redis.core blocks in one read; a shorter socket timeout ends it by error."""

DAPHNE_CLOSE_TIMEOUT = 10

CHECK_IDS = {
    f"{APP}.E001": "`RESILIENT_CHANNELS` has an unknown key or an impossible value.",
    f"{APP}.E002": "Two heartbeat options contradict each other, or the interval reaches the limit "
    "of the proxy that `HEARTBEAT.proxy_idle_timeout` declares.",
    f"{APP}.W001": "redis-py 8 or newer with its default `socket_timeout` under "
    "`channels_redis.core`: one idle plain consumer dies every 5 seconds, and a message may be "
    "lost.",
    f"{APP}.W002": "A synchronous `redis.retry.Retry` in `hosts`: it is silently useless.",
    f"{APP}.W003": "`on_disconnect` or `on_reconnect` given to the pub/sub layer: it never calls "
    "them.",
    f"{APP}.W004": "`TEARDOWN.timeout` is not below the 10 seconds after which Daphne kills a "
    "consumer.",
    f"{APP}.W005": "(`--deploy`) The in-memory layer with `DEBUG` off: processes do not see each "
    "other.",
    f"{APP}.W006": "`LIFETIME.idle_timeout` is not above `HEARTBEAT.interval`: clients that answer "
    "every heartbeat would be closed as idle.",
}


def register() -> None:
    """Register every check with Django."""
    register_check(check_settings, APP)
    register_check(check_heartbeats, APP)
    register_check(check_layers, APP)
    register_check(check_in_memory_layer, Tags.security, deploy=True)


def check_settings(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E001 and W004."""
    problems = find_setting_problems()
    messages: list[CheckMessage] = [
        Error(problem, hint=f"Correct settings.{SETTING}.", id=f"{APP}.E001")
        for problem in problems
    ]
    if problems:
        return messages
    section = getattr(settings, SETTING, {}).get(TeardownPolicy.section, {})
    timeout = section.get("timeout", TeardownPolicy().timeout)
    if timeout >= DAPHNE_CLOSE_TIMEOUT:
        messages.append(
            Warning(
                f"{SETTING}['TEARDOWN']['timeout'] is {timeout}, but Daphne kills a consumer "
                f"{DAPHNE_CLOSE_TIMEOUT} seconds after its client has left.",
                hint="Keep it below 10, or raise Daphne's --application-close-timeout too.",
                id=f"{APP}.W004",
            )
        )
    return messages


def check_heartbeats(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E002 and W006, for the settings and for every consumer class that has been imported."""
    if find_setting_problems():
        return []  # E001 has said so
    found: dict[str, CheckMessage] = {}  # each sentence once, with the first place it is true of
    for owner in (_Settings, *find_consumers()):
        where = f"settings.{SETTING}" if owner is _Settings else _name(owner)
        policies = get_policies(owner)
        contradiction = policies.heartbeat.contradiction
        if contradiction is not None:
            hint = "Correct the HEARTBEAT section there, or in the settings."
            found.setdefault(
                contradiction, Error(f"{where}: {contradiction}.", hint=hint, id=f"{APP}.E002")
            )
        haste = _find_haste(policies)
        if haste is not None:
            hint = f"Make LIFETIME.idle_timeout more than {policies.heartbeat.interval}."
            found.setdefault(haste, Warning(f"{where}: {haste}.", hint=hint, id=f"{APP}.W006"))
    return list(found.values())


def _find_haste(policies: Policies) -> str | None:
    """Whether an idle limit would strike before a live client was asked for a sign of life."""
    limit, interval = policies.lifetime.idle_timeout, policies.heartbeat.interval
    if limit is None or limit > interval or policies.heartbeat.mode == "off":
        return None
    return (
        f"LIFETIME.idle_timeout is {limit}, but a client is asked for a sign of life every "
        f"{interval} seconds only, so that live ones would be closed as idle"
    )


class _Settings:
    """Stands for the settings alone: an owner of policies with nothing of its own."""


def _name(owner: type) -> str:
    return f"{owner.__module__}.{owner.__qualname__}.{ATTRIBUTE}"


def check_layers(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W001, W002 and W003, for each configured layer."""
    messages: list[CheckMessage] = []
    for alias, backend, config in _layers():
        if backend == CORE_LAYER:
            messages += _check_socket_timeout(alias, config)
        if backend in (CORE_LAYER, PUBSUB_LAYER):
            messages += _check_retry(alias, config)
        if backend == PUBSUB_LAYER:
            messages += _check_dead_options(alias, config)
    return messages


def check_in_memory_layer(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W005."""
    return [
        Warning(
            f"CHANNEL_LAYERS[{alias!r}] is the in-memory layer and DEBUG is off: group messages "
            "reach only the process that sent them.",
            hint="Use channels_redis, or make sure that there is exactly one process.",
            id=f"{APP}.W005",
        )
        for alias, backend, _ in _layers()
        if backend == IN_MEMORY_LAYER and not settings.DEBUG
    ]


def _layers() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    layers = getattr(settings, "CHANNEL_LAYERS", None) or {}
    for alias, layer in layers.items():
        # What is misshapen here, Channels refuses in its own words.
        config = layer.get("CONFIG", {}) if isinstance(layer, Mapping) else None
        if isinstance(config, Mapping):
            yield alias, str(layer.get("BACKEND", "")), config


def _hosts(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The hosts of a layer as dicts, options in a URL's query included."""
    hosts = config.get("hosts") or [("localhost", 6379)]
    if isinstance(hosts, str | bytes):
        return []  # channels_redis refuses it, and says so itself
    return [_read_host(host) for host in hosts]


def _read_host(host: Any) -> dict[str, Any]:
    if isinstance(host, Mapping):
        address = host.get("address")
        # The URL has the last word, as in redis-py.
        return {**host, **(_read_url(address) if isinstance(address, str) else {})}
    return _read_url(host) if isinstance(host, str) else {}


def _read_url(url: str) -> dict[str, Any]:
    query = parse_qs(urlsplit(url).query)
    return {key: values[-1] for key, values in query.items()}


def _redis_major() -> int | None:
    try:
        return int(metadata.version("redis").split(".")[0])
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _check_socket_timeout(alias: str, config: Mapping[str, Any]) -> Iterator[CheckMessage]:
    major = _redis_major()
    if major is None or major < 8:
        return
    value = "None" if sys.version_info < (3, 12) else "15"
    for host in _hosts(config):
        if "socket_timeout" in host and not _is_short(host["socket_timeout"]):
            continue
        yield Warning(
            f"CHANNEL_LAYERS[{alias!r}]: redis-py {major} ends a read after 5 seconds by default, "
            f"and channels_redis.core blocks for {BLOCKING_READ_SECONDS}: one idle plain consumer "
            "dies every 5 seconds, and a message that had just arrived may be lost.",
            hint=f'Write each host as a dict and add "socket_timeout": {value}.',
            id=f"{APP}.W001",
        )
        return


def _is_short(timeout: Any) -> bool:
    if timeout is None:
        return False
    try:
        return float(timeout) <= BLOCKING_READ_SECONDS
    except (TypeError, ValueError):
        return False


def _check_retry(alias: str, config: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for host in _hosts(config):
        retry = host.get("retry")
        if retry is not None and type(retry).__module__ == "redis.retry":
            yield Warning(
                f"CHANNEL_LAYERS[{alias!r}]: `retry` is a synchronous redis.retry.Retry, which "
                "has no effect on asynchronous connections.",
                hint="Use redis.asyncio.retry.Retry.",
                id=f"{APP}.W002",
            )
            return


def _check_dead_options(alias: str, config: Mapping[str, Any]) -> Iterator[CheckMessage]:
    dead = sorted({"on_disconnect", "on_reconnect"} & set(config))
    if dead:
        yield Warning(
            f"CHANNEL_LAYERS[{alias!r}]: {' and '.join(dead)} are accepted by the pub/sub layer, "
            "but never called.",
            hint="Define layer_down(event) and layer_up(event) on the consumer instead.",
            id=f"{APP}.W003",
        )
