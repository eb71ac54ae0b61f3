"""What is known to go wrong between channels_redis, redis-py and a Redis."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Info, Warning

from .configured import CORE_LAYER, HUB, PUBSUB_LAYER, Layer
from .identifiers import APP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .hosts import Host

BLOCKING_READ_SECONDS = 5
"""How long channels_redis.core blocks in one read; a shorter socket timeout ends it by error."""

DAY = 86_400
"""The default of ``group_expiry``, and also what Daphne lets a socket live."""

BROKEN_POOLS = "8.1.0"
"""The redis-py whose pool hands out connections that the server has closed."""


def find_broker_messages(layer: Layer) -> Iterator[CheckMessage]:
    """W001 to W003 and W007 to W009."""
    if layer.backend == CORE_LAYER:
        yield from _check_socket_timeout(layer)
        yield from _check_group_expiry(layer)
    if layer.backend == PUBSUB_LAYER:
        yield from _check_dead_options(layer)
        yield from _check_idle_links(layer)
    if layer.is_redis:
        yield from _check_sync_retry(layer)
        yield from _check_pool(layer)


def find_advice(layer: Layer) -> Iterator[CheckMessage]:
    """I001."""
    # The hub tries again by itself. What W002 speaks of was meant as a retry.
    if not layer.is_redis or layer.in_hub or any(host.has_sync_retry for host in layer.hosts):
        return
    if not all(host.is_retried for host in layer.hosts):
        yield Info(
            f"{layer.where}: nothing is retried, because channels_redis makes a connection pool "
            "of its own, without redis-py's default. A group_send from a view or a plain consumer "
            "fails at once when its connection was reset, or Redis restarts.",
            hint=f"Wrap the layer in {HUB}. Or write each host as a dict and add "
            '"retry": redis.asyncio.retry.Retry(ExponentialBackoff(cap=1, base=0.05), 10).',
            id=f"{APP}.I001",
        )


def _check_socket_timeout(layer: Layer) -> Iterator[CheckMessage]:
    version = _redis_version()
    major = int(version.split(".")[0]) if version.split(".")[0].isdecimal() else 0
    # The hub keeps its reads shorter than the timeout.
    if major < 8 or layer.in_hub or not any(_cuts_reads_off(host) for host in layer.hosts):
        return
    value = "None" if sys.version_info < (3, 12) else "15"
    yield Warning(
        f"{layer.where}: redis-py {major} ends a read after 5 seconds by default, and "
        f"channels_redis.core blocks for {BLOCKING_READ_SECONDS}: one idle plain consumer dies "
        "every 5 seconds, and a message that had just arrived may be lost.",
        hint=f'Write each host as a dict and add "socket_timeout": {value}. Or wrap the layer in '
        f"{HUB}.",
        id=f"{APP}.W001",
    )


def _cuts_reads_off(host: Host) -> bool:
    if "socket_timeout" not in host.options:
        return True
    timeout = host.options["socket_timeout"]
    return _is_number(timeout) and timeout <= BLOCKING_READ_SECONDS


def _check_group_expiry(layer: Layer) -> Iterator[CheckMessage]:
    expiry = layer.config.get("group_expiry", DAY)
    if layer.in_hub or not _is_number(expiry) or expiry >= DAY:
        return  # the hub renews
    yield Warning(
        f"{layer.where}: group_expiry is {expiry}: a plain consumer that is still connected "
        f"{expiry} seconds after it joined a group drops out of it, and no error says so.",
        hint=f"Leave it at its default of {DAY}, or wrap the layer in {HUB}, which renews "
        "memberships. Consumers with the mixin renew theirs themselves.",
        id=f"{APP}.W009",
    )


def _check_dead_options(layer: Layer) -> Iterator[CheckMessage]:
    dead = sorted({"on_disconnect", "on_reconnect"} & set(layer.config))
    if dead:
        yield Warning(
            f"{layer.where}: {' and '.join(dead)} are accepted by the pub/sub layer, but never "
            "called.",
            hint="Define layer_down(event) and layer_up(event) on the consumer instead.",
            id=f"{APP}.W003",
        )


def _check_idle_links(layer: Layer) -> Iterator[CheckMessage]:
    # The hub's probe goes by way of one host, so that with a single one no link is ever idle.
    if layer.in_hub and len(layer.hosts) == 1:
        return
    if any(host.is_tls and not host.options.get("health_check_interval") for host in layer.hosts):
        yield Warning(
            f"{layer.where}: a host is reached over TLS and has no health_check_interval. "
            "Subscriptions say nothing while there is nothing to hear, and managed services and "
            "load balancers drop such links, some without a word: from then on the process "
            "receives nothing, and no error says so.",
            hint='Write each host as a dict and add "health_check_interval": 30, or less than '
            "your provider's idle limit.",
            id=f"{APP}.W008",
        )


def _check_sync_retry(layer: Layer) -> Iterator[CheckMessage]:
    if any(host.has_sync_retry for host in layer.hosts):
        yield Warning(
            f"{layer.where}: `retry` is a synchronous redis.retry.Retry, which has no effect on "
            "asynchronous connections.",
            hint="Take it away: the hub retries."
            if layer.in_hub
            else "Use redis.asyncio.retry.Retry.",
            id=f"{APP}.W002",
        )


def _check_pool(layer: Layer) -> Iterator[CheckMessage]:
    if layer.in_hub or _redis_version() != BROKEN_POOLS:
        return  # the hub tries again
    if any(_trusts_closed_connections(host) for host in layer.hosts):
        yield Warning(
            f"{layer.where}: redis-py {BROKEN_POOLS} does not notice that Redis has closed a "
            "connection in its pool, if it speaks RESP3 as it does by default: the next call on "
            "it fails.",
            hint='Write each host as a dict and add "protocol": 2, install another redis-py, or '
            f"wrap the layer in {HUB}.",
            id=f"{APP}.W007",
        )


def _trusts_closed_connections(host: Host) -> bool:
    """Whether the pool skips its look at a connection, as it does with maintenance notices on."""
    notices: Any = host.options.get("maint_notifications_config")
    is_off = notices is not None and not getattr(notices, "enabled", True)
    # Notices are for named hosts: pools of Unix sockets and of sentinels go on looking.
    speaks_resp3 = str(host.options.get("protocol")) != "2"
    return host.is_named and speaks_resp3 and not is_off and not host.is_retried


def _redis_version() -> str:
    try:
        return metadata.version("redis")
    except metadata.PackageNotFoundError:
        return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
