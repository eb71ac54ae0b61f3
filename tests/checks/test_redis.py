"""Checks of redis-py under the two layers of channels_redis: timeouts, retries, pools."""

import re
from typing import Any

import pytest
from django.core.checks import INFO
from django.test import override_settings

from checks.configurations import (
    ASYNC_RETRY,
    REDIS_LAYERS,
    SENTINELS,
    SYNC_RETRY,
    hub,
    ids,
    lasting,
    layers,
    retry,
)
from resilient_channels.checks import (
    APP,
    CORE_LAYER,
    HUB,
    IN_MEMORY_LAYER,
    PUBSUB_LAYER,
    check_deployment,
    check_layers,
)


def core(*hosts: Any) -> list[str]:
    """What the checks say about ``channels_redis.core`` with *hosts*."""
    with layers(CORE_LAYER, hosts=list(hosts)):
        return ids(check_layers())


# --- W001: redis-py 8's idle timeout ---------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        ("localhost", 6379),
        ["localhost", 6379],
        "redis://localhost:6379/0",
        "redis://localhost:6379/0?max_connections=10",
        "redis://localhost:6379/0?socket_timeout=3",
        "unix:///run/redis.sock",
        {"host": "localhost", "port": 6379},
        {"address": "redis://localhost:6379/0"},
        {"address": "redis://localhost:6379/0?socket_timeout=5"},
        {"host": "localhost", "socket_timeout": 5},
        {"host": "localhost", "socket_timeout": 0.5},
        {"master_name": "main", "sentinels": [("localhost", 26379)]},
        {
            "master_name": "main",
            "sentinels": [("localhost", 26379)],
            "sentinel_kwargs": {"socket_timeout": None},
        },
    ],
    ids=repr,
)
def test_a_read_that_is_cut_off_by_default_is_warned_of(host: Any):
    assert core(host) == ["W001"]


@pytest.mark.parametrize(
    "host",
    [
        {"host": "localhost", "socket_timeout": None},
        {"host": "localhost", "socket_timeout": 15},
        {"host": "localhost", "socket_timeout": 5.5},
        "redis://localhost:6379/0?socket_timeout=15",
        "redis://localhost:6379/0?socket_timeout=15&socket_timeout=3",
        {"address": "redis://localhost:6379/0", "socket_timeout": None},
        {"address": "redis://localhost:6379/0?socket_timeout=15"},
        {"address": "redis://localhost:6379/0?socket_timeout=15", "socket_timeout": 3},
        {"master_name": "main", "sentinels": [("localhost", 26379)], "socket_timeout": None},
    ],
    ids=repr,
)
def test_a_read_that_may_wait_long_enough_is_fine(host: Any):
    assert core(host) == []


def test_the_url_has_the_last_word_as_it_has_in_redis_py():
    host = {"address": "redis://localhost:6379/0?socket_timeout=3", "socket_timeout": None}

    assert core(host) == ["W001"]


@pytest.mark.parametrize("config", [{}, {"capacity": 10}], ids=repr)
def test_the_default_host_is_warned_of_too(config: dict[str, Any]):
    with layers(CORE_LAYER, **config):
        assert ids(check_layers()) == ["W001"]


def test_one_wrong_host_of_several_is_warned_of_once():
    right = {"host": "a", "socket_timeout": None}

    assert core(right, ("b", 6379), ("c", 6379)) == ["W001"]


@pytest.mark.parametrize("version", ["7.2.0", "4.6.0", "5.0.0rc1", "unknown", None], ids=repr)
def test_an_older_redis_py_or_none_is_fine(set_redis, version: str | None):
    set_redis(version)

    assert core(("localhost", 6379)) == []


@pytest.mark.parametrize("version", ["8.0.0", "8.0.0b1", "9.1", "10.0.0"])
def test_every_redis_py_from_8_on_is_warned_of(set_redis, version: str):
    set_redis(version)

    assert core(("localhost", 6379)) == ["W001"]


def test_the_warning_says_what_happens_and_what_to_write():
    with layers(CORE_LAYER):
        [message] = check_layers()

    assert "CHANNEL_LAYERS['default']: redis-py 8" in message.msg
    assert re.search(r'"socket_timeout": (None|15)\. ', message.hint)
    assert HUB in message.hint


@pytest.mark.parametrize(("python", "value"), [((3, 11, 9), "None"), ((3, 12, 0), "15")])
def test_the_advice_depends_on_python(monkeypatch: pytest.MonkeyPatch, python, value: str):
    monkeypatch.setattr("resilient_channels.checks.brokers.sys.version_info", python)

    with layers(CORE_LAYER):
        [message] = check_layers()

    assert f'"socket_timeout": {value}.' in message.hint


def test_other_layers_do_not_block_in_a_read():
    for backend in (PUBSUB_LAYER, IN_MEMORY_LAYER, "project.layers.Own"):
        with layers(backend, hosts=[("localhost", 6379)]):
            assert check_layers() == []


@pytest.mark.parametrize("config", [{}, {"hosts": ["redis://localhost?socket_timeout=3"]}])
def test_the_hub_ends_its_reads_in_time_by_itself(config: dict[str, Any]):
    with hub(CORE_LAYER, **config):
        assert check_layers() == []


def test_every_layer_is_looked_at():
    layer = {"BACKEND": CORE_LAYER}

    with override_settings(CHANNEL_LAYERS={"default": layer, "second": layer}):
        messages = check_layers()

    assert ids(messages) == ["W001", "W001"]
    assert "'second'" in messages[1].msg


# --- W002 and I001: who tries again ----------------------------------------------------------


WITHOUT_RETRY: list[Any] = [
    ("localhost", 6379),
    "redis://localhost",
    "redis://localhost?retry_on_timeout=no",
    {"address": "redis://localhost"},
    {"address": "redis://localhost", "retry": None},
    {"host": "localhost"},
    {**SENTINELS},
]


@pytest.mark.parametrize("backend", REDIS_LAYERS)
@pytest.mark.parametrize("form", [{"address": "redis://localhost"}, SENTINELS], ids=repr)
def test_a_synchronous_retry_is_warned_of_once(backend: str, form: dict[str, Any]):
    host = {**form, "socket_timeout": None, "retry": retry(SYNC_RETRY)}

    with layers(backend, hosts=[host, host]):
        [message] = check_layers()
        deployed = check_deployment()

    assert message.id == f"{APP}.W002"
    assert ASYNC_RETRY in message.hint
    assert deployed == []  # it is meant as a retry; one message is enough


def test_a_synchronous_retry_is_found_in_a_hub():
    with hub(CORE_LAYER, hosts=[lasting(retry=retry(SYNC_RETRY))]):
        [message] = check_layers()

    assert message.id == f"{APP}.W002"
    assert message.msg.startswith("CHANNEL_LAYERS['default']['CONFIG']['CONFIG']: ")
    assert message.hint == "Take it away: the hub retries."


@pytest.mark.parametrize("backend", REDIS_LAYERS)
@pytest.mark.parametrize(
    "options", [{"retry_on_timeout": True}, {"retry_on_error": [OSError]}, {"retry": "async"}]
)
def test_what_is_tried_again_is_fine(backend: str, options: dict[str, Any]):
    if "retry" in options:
        options = {"retry": retry(ASYNC_RETRY)}

    with layers(
        backend, hosts=[lasting(**options), {**SENTINELS, "socket_timeout": 15, **options}]
    ):
        assert check_layers() == check_deployment() == []


@pytest.mark.parametrize("backend", REDIS_LAYERS)
@pytest.mark.parametrize("host", WITHOUT_RETRY, ids=repr)
def test_a_layer_that_never_tries_again_is_a_remark_on_deployment(backend: str, host: Any):
    with layers(backend, hosts=[lasting(retry=retry(ASYNC_RETRY)), host, host]):
        [message] = check_deployment()

    assert message.id == f"{APP}.I001"
    assert message.level == INFO
    assert "CHANNEL_LAYERS['default']: nothing is retried" in message.msg
    assert message.hint.index(HUB) < message.hint.index(ASYNC_RETRY)


@pytest.mark.parametrize("backend", REDIS_LAYERS)
def test_the_default_host_never_tries_again_either(backend: str):
    with layers(backend):
        assert ids(check_deployment()) == ["I001"]


@pytest.mark.parametrize("backend", REDIS_LAYERS)
@pytest.mark.parametrize("host", WITHOUT_RETRY, ids=repr)
def test_the_hub_tries_again(backend: str, host: Any):
    with hub(backend, hosts=[host]):
        assert check_deployment() == []


@override_settings(DEBUG=True)
def test_nothing_is_known_of_the_retries_of_other_layers():
    for backend in (IN_MEMORY_LAYER, "project.layers.Own"):
        with layers(backend, hosts=["redis://localhost"]):
            assert check_deployment() == []


# --- W007: the pool of redis-py 8.1.0 --------------------------------------------------------


@pytest.mark.parametrize("backend", REDIS_LAYERS)
@pytest.mark.parametrize(
    "host",
    [
        lasting(),
        lasting(protocol=3),
        lasting(retry_on_error=[]),
        "redis://localhost?socket_timeout=15",
        "rediss://localhost?socket_timeout=15&health_check_interval=30",
        {"address": "redis://localhost?protocol=3&socket_timeout=15", "protocol": 2},
    ],
    ids=repr,
)
def test_a_pool_that_trusts_closed_connections_is_warned_of(set_redis, backend: str, host: Any):
    set_redis("8.1.0")

    with layers(backend, hosts=[host]):
        [message] = check_layers()

    assert message.id == f"{APP}.W007"
    assert '"protocol": 2' in message.hint


@pytest.mark.parametrize("backend", REDIS_LAYERS)
@pytest.mark.parametrize(
    "host",
    [
        lasting(protocol=2),
        lasting(retry_on_timeout=True),
        "redis://localhost?socket_timeout=15&protocol=2",
        {"address": "redis://localhost?protocol=2&socket_timeout=15", "protocol": 3},
        "unix:///run/redis.sock?socket_timeout=15",
        {**SENTINELS, "socket_timeout": None},
    ],
    ids=repr,
)
def test_a_pool_that_looks_at_its_connections_is_fine(set_redis, backend: str, host: Any):
    set_redis("8.1.0")

    with layers(backend, hosts=[host]):
        assert check_layers() == []


@pytest.mark.parametrize("enabled", [False, True, "auto"])
def test_without_maintenance_notices_the_pool_looks(set_redis, enabled: Any):
    set_redis("8.1.0")
    notices = pytest.importorskip("redis.maint_notifications")
    host = lasting(maint_notifications_config=notices.MaintNotificationsConfig(enabled=enabled))

    with layers(CORE_LAYER, hosts=[host]):
        assert ids(check_layers()) == ([] if enabled is False else ["W007"])


@pytest.mark.parametrize("version", ["8.1.1", "8.0.1", "8.1.0rc1", "8.10.0", "7.4.1", None])
def test_every_other_redis_py_is_fine(set_redis, version: str | None):
    set_redis(version)

    assert core(lasting()) == []


@pytest.mark.parametrize("backend", REDIS_LAYERS)
def test_the_hub_gets_over_such_a_pool(set_redis, backend: str):
    set_redis("8.1.0")

    with hub(backend, hosts=[("localhost", 6379)]):
        assert check_layers() == []
