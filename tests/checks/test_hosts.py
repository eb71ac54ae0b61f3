"""Hosts are read as channels_redis and redis-py read them, in each of their forms."""

from importlib import metadata
from typing import Any

import pytest

from resilient_channels.checks.brokers import BROKEN_POOLS, _trusts_closed_connections
from resilient_channels.checks.hosts import Host, read_hosts

redis = pytest.importorskip("redis.asyncio")
utils = pytest.importorskip("channels_redis.utils")

SENTINELS = {"master_name": "main", "sentinels": [("localhost", 26379)]}
FORMS: list[Any] = [
    ("localhost", 6379),
    ["localhost", 6379],
    "redis://localhost:6379/0",
    "redis://localhost",
    "redis:///0",
    "redis://localhost?socket_timeout=15&protocol=2&health_check_interval=7",
    "redis://localhost?socket_timeout=3&socket_timeout=15",
    "redis://localhost?retry_on_timeout=yes",
    "redis://localhost?retry_on_timeout=no",
    "rediss://localhost:6379/0",
    "rediss://localhost?protocol=3",
    "unix:///run/redis.sock",
    "unix:///run/redis.sock?protocol=2",
    {"address": "redis://localhost"},
    {"address": "rediss://localhost", "health_check_interval": 30},
    {"address": "redis://localhost?socket_timeout=3", "socket_timeout": None},
    {"address": "unix:///run/redis.sock", "socket_timeout": 15},
    {"address": "redis://localhost", "connection_class": redis.SSLConnection},
    {"address": "redis://localhost?protocol=3", "protocol": 2},
    {},
    {"host": "localhost"},
    {"host": "localhost", "port": 6380, "socket_timeout": None, "protocol": 2},
    {"host": "localhost", "protocol": "2"},
    {"host": "localhost", "connection_class": redis.SSLConnection},
    {"path": "/run/redis.sock", "connection_class": redis.UnixDomainSocketConnection},
    {"host": "localhost", "retry_on_error": [ConnectionError]},
    {"host": "localhost", "retry_on_error": []},
    {"host": "localhost", "retry_on_timeout": True},
    {**SENTINELS},
    {"master_name": "main", "sentinels": [["localhost", 26379], ["localhost", 26380]]},
    {**SENTINELS, "socket_timeout": None, "protocol": 2, "health_check_interval": 9},
    {**SENTINELS, "ssl": True},
    {**SENTINELS, "ssl": False},
    # These are for talking to the sentinels, not to the master.
    {**SENTINELS, "sentinel_kwargs": {"socket_timeout": 1, "protocol": 2, "ssl": True}},
]


def read(form: Any) -> Host:
    [host] = read_hosts([form])
    return host


def make_pool(form: Any) -> Any:
    [host] = utils.decode_hosts([form])
    return utils.create_pool(host)


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_options_are_those_that_the_connections_get(form: Any):
    connection = make_pool(form).make_connection()
    defaults = redis.Connection()

    options = read(form).options

    for name in ("socket_timeout", "health_check_interval", "protocol"):
        ours, theirs = options.get(name, getattr(defaults, name)), getattr(connection, name)
        assert ours == theirs or float(ours) == float(theirs)


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_tls_is_recognised(form: Any):
    assert read(form).is_tls == issubclass(make_pool(form).connection_class, redis.SSLConnection)


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_what_redis_py_will_try_again_is_known(form: Any):
    retry = make_pool(form).make_connection().retry

    assert read(form).is_retried == bool(retry._retries)


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.skipif(
    metadata.version("redis") != BROKEN_POOLS, reason=f"is about redis-py {BROKEN_POOLS}"
)
def test_which_pools_trust_closed_connections_is_known(form: Any):
    """Retried or not: whoever retries does not notice, and is not warned."""
    host, pool = read(form), make_pool(form)

    assert _trusts_closed_connections(host) == (
        bool(pool.maint_notifications_enabled()) and not host.is_retried
    )


@pytest.mark.parametrize(
    "kind", ["redis.retry", "redis.asyncio.retry", "project.sync", "project.async"]
)
def test_only_an_asynchronous_retry_counts_and_so_does_one_derived_from_it(kind: str):
    module = pytest.importorskip("redis.asyncio.retry" if "async" in kind else "redis.retry")
    retry_class = module.Retry
    if kind.startswith("project"):
        retry_class = type("Retry", (module.Retry,), {"__module__": kind})
    retry = retry_class(pytest.importorskip("redis.backoff").NoBackoff(), 3)

    for form in ({"host": "localhost"}, {"address": "redis://localhost"}, SENTINELS):
        host = read({**form, "retry": retry})
        assert host.has_sync_retry == ("async" not in kind)
        assert host.is_retried == ("async" in kind)


@pytest.mark.parametrize("hosts", [None, [], ()], ids=repr)
def test_no_hosts_are_the_one_on_this_machine(hosts: Any):
    [theirs] = utils.decode_hosts(hosts)

    assert read_hosts(hosts) == read_hosts([theirs])


@pytest.mark.parametrize("hosts", ["redis://localhost", b"redis://localhost", 3], ids=repr)
def test_hosts_that_the_layer_refuses_are_none(hosts: Any):
    with pytest.raises((ValueError, TypeError)):
        utils.decode_hosts(hosts)

    assert read_hosts(hosts) == []


@pytest.mark.parametrize(
    "address", ["redis://localhost?socket_timeout=soon", "redis://[::1", "http://localhost"]
)
def test_an_address_that_redis_py_refuses_is_read_as_far_as_it_goes(address: str):
    with pytest.raises(ValueError, match=r"Invalid|must specify"):
        make_pool(address)

    assert read(address).is_tls is False
