"""System checks: each speaks up for the configuration it is about, and for no other."""

import io
import re
from importlib import metadata
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from resilient_channels import AsyncResilientWebsocketConsumer
from resilient_channels.checks import (
    APP,
    CHECK_IDS,
    CORE_LAYER,
    IN_MEMORY_LAYER,
    PUBSUB_LAYER,
    check_heartbeats,
    check_in_memory_layer,
    check_layers,
    check_settings,
)


@pytest.fixture(autouse=True)
def redis_8(set_redis) -> None:
    set_redis("8.1.0")


@pytest.fixture
def set_redis(monkeypatch: pytest.MonkeyPatch):
    """Pretend that a version of redis-py is installed; ``None``: that it is not."""
    real = metadata.version

    def set_version(version: str | None) -> None:
        def pretend(name: str) -> str:
            if name != "redis":
                return real(name)
            if version is None:
                raise metadata.PackageNotFoundError(name)
            return version

        monkeypatch.setattr(metadata, "version", pretend)

    return set_version


def layers(backend: str, **config: Any) -> Any:
    """Settings with one layer."""
    layer: dict[str, Any] = {"BACKEND": backend}
    if config:
        layer["CONFIG"] = config
    return override_settings(CHANNEL_LAYERS={"default": layer})


def ids(messages: list[Any]) -> list[str]:
    return [message.id.removeprefix(f"{APP}.") for message in messages]


def core(*hosts: Any) -> list[str]:
    """What the checks say about ``channels_redis.core`` with *hosts*."""
    with layers(CORE_LAYER, hosts=list(hosts)):
        return ids(check_layers())


# --- E001: settings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [{"SENT": {}}, {"SEND": {"deadlin": 1}}, {"SEND": {"deadline": 0}}, {"SEND": 1}, None, [], "x"],
    ids=repr,
)
def test_settings_that_mean_nothing_are_an_error(setting: Any):
    with override_settings(RESILIENT_CHANNELS=setting):
        [message] = check_settings()

    assert message.id == f"{APP}.E001"
    assert message.is_serious()
    assert message.msg.startswith("RESILIENT_CHANNELS")
    assert message.hint == "Correct settings.RESILIENT_CHANNELS."


def test_each_wrong_setting_is_an_error_of_its_own():
    with override_settings(RESILIENT_CHANNELS={"SENT": {}, "SEND": {"deadline": 0}}):
        assert ids(check_settings()) == ["E001", "E001"]


@pytest.mark.parametrize("setting", [{}, {"SEND": {"deadline": None}}, {"ERRORS": {"budget": 0}}])
def test_settings_that_make_sense_are_fine(setting: Any):
    with override_settings(RESILIENT_CHANNELS=setting):
        assert check_settings() == []


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
    assert re.search(r'"socket_timeout": (None|15)\.$', message.hint)


@pytest.mark.parametrize(("python", "value"), [((3, 11, 9), "None"), ((3, 12, 0), "15")])
def test_the_advice_depends_on_python(monkeypatch: pytest.MonkeyPatch, python, value: str):
    monkeypatch.setattr("resilient_channels.checks.sys.version_info", python)

    with layers(CORE_LAYER):
        [message] = check_layers()

    assert f'"socket_timeout": {value}.' in message.hint


def test_other_layers_do_not_block_in_a_read():
    for backend in (PUBSUB_LAYER, IN_MEMORY_LAYER, "project.layers.Own"):
        with layers(backend, hosts=[("localhost", 6379)]):
            assert check_layers() == []


def test_every_layer_is_looked_at():
    layer = {"BACKEND": CORE_LAYER}

    with override_settings(CHANNEL_LAYERS={"default": layer, "second": layer}):
        messages = check_layers()

    assert ids(messages) == ["W001", "W001"]
    assert "'second'" in messages[1].msg


# --- W002: a retry that does nothing ---------------------------------------------------------


def retry(module: str) -> Any:
    backoff = pytest.importorskip("redis.backoff")
    return pytest.importorskip(module).Retry(backoff.NoBackoff(), 3)


@pytest.mark.parametrize("backend", [CORE_LAYER, PUBSUB_LAYER])
def test_a_synchronous_retry_is_warned_of(backend: str):
    host = {"host": "localhost", "socket_timeout": None, "retry": retry("redis.retry")}

    with layers(backend, hosts=[host, host]):
        [message] = check_layers()

    assert message.id == f"{APP}.W002"
    assert "redis.asyncio.retry.Retry" in message.hint


@pytest.mark.parametrize("backend", [CORE_LAYER, PUBSUB_LAYER])
def test_an_asynchronous_retry_is_fine(backend: str):
    host = {"host": "localhost", "socket_timeout": None, "retry": retry("redis.asyncio.retry")}

    with layers(backend, hosts=[host]):
        assert check_layers() == []


# --- W003: options that nobody reads ---------------------------------------------------------


@pytest.mark.parametrize("options", [["on_disconnect"], ["on_reconnect"]])
def test_a_callback_that_is_never_called_is_warned_of(options: list[str]):
    with layers(PUBSUB_LAYER, hosts=[], **dict.fromkeys(options, print)):
        [message] = check_layers()

    assert message.id == f"{APP}.W003"
    assert options[0] in message.msg
    assert "layer_down" in message.hint


def test_two_such_callbacks_are_one_warning():
    with layers(PUBSUB_LAYER, on_disconnect=print, on_reconnect=print):
        [message] = check_layers()

    assert "on_disconnect and on_reconnect" in message.msg


def test_a_pubsub_layer_without_them_is_fine():
    with layers(PUBSUB_LAYER, hosts=[("localhost", 6379)], prefix="chat"):
        assert check_layers() == []


# --- W004: longer than Daphne waits ----------------------------------------------------------


@pytest.mark.parametrize("timeout", [10, 10.0, 30])
def test_a_cleanup_that_daphne_would_kill_is_warned_of(timeout: float):
    with override_settings(RESILIENT_CHANNELS={"TEARDOWN": {"timeout": timeout}}):
        [message] = check_settings()

    assert message.id == f"{APP}.W004"
    assert not message.is_serious()
    assert str(timeout) in message.msg


@pytest.mark.parametrize("setting", [{}, {"TEARDOWN": {}}, {"TEARDOWN": {"timeout": 9.9}}])
def test_a_cleanup_within_daphnes_patience_is_fine(setting: dict[str, Any]):
    with override_settings(RESILIENT_CHANNELS=setting):
        assert check_settings() == []


# --- W005: processes that do not see each other ----------------------------------------------


@override_settings(DEBUG=False)
def test_the_in_memory_layer_in_production_is_warned_of():
    with layers(IN_MEMORY_LAYER):
        [message] = check_in_memory_layer()

    assert message.id == f"{APP}.W005"
    assert "CHANNEL_LAYERS['default']" in message.msg


@override_settings(DEBUG=True)
def test_the_in_memory_layer_under_debug_is_fine():
    with layers(IN_MEMORY_LAYER):
        assert check_in_memory_layer() == []


@override_settings(DEBUG=False)
def test_a_layer_that_processes_share_is_fine_in_production():
    with layers(CORE_LAYER, hosts=[]):
        assert check_in_memory_layer() == []


@override_settings(DEBUG=False)
@pytest.mark.parametrize("deploy", [True, False])
def test_the_in_memory_layer_is_a_matter_of_deployment(deploy: bool):
    with layers(IN_MEMORY_LAYER):
        messages = run_checks(include_deployment_checks=deploy)

    assert (f"{APP}.W005" in {message.id for message in messages}) is deploy


# --- as Django runs them ---------------------------------------------------------------------


def test_settings_without_any_layer_are_fine(settings):
    del settings.CHANNEL_LAYERS

    assert check_layers() == []
    assert check_in_memory_layer() == []


@pytest.mark.parametrize(
    "broken",
    [
        {"default": {}},
        {"default": None},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": None}},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": None}}},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": "redis://localhost"}}},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": [None, 3, b"x"]}}},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": [{"socket_timeout": "x"}]}}},
    ],
    ids=repr,
)
def test_a_broken_configuration_does_not_break_the_checks(broken: Any):
    """Channels or the layer itself will say what is wrong with it."""
    with override_settings(CHANNEL_LAYERS=broken):
        assert set(ids(check_layers())) <= {"W001"}
        check_in_memory_layer()


def test_identifiers_are_unique_and_well_formed():
    assert all(re.fullmatch(rf"{APP}\.[EW]\d{{3}}", check_id) for check_id in CHECK_IDS)
    known = ("E001", "E002", "W001", "W002", "W003", "W004", "W005", "W006")
    assert [*CHECK_IDS] == [f"{APP}.{n}" for n in known]


@override_settings(
    DEBUG=False,
    RESILIENT_CHANNELS={
        "TEARDOWN": {"timeout": 60},
        "HEARTBEAT": {"pong": "pong"},
        "LIFETIME": {"idle_timeout": 1},
    },
    CHANNEL_LAYERS={
        "core": {"BACKEND": CORE_LAYER},
        "memory": {"BACKEND": IN_MEMORY_LAYER},
        "pubsub": {"BACKEND": PUBSUB_LAYER, "CONFIG": {"on_disconnect": print}},
    },
)
def test_every_finding_has_an_identifier_that_is_listed():
    found = {
        message.id
        for message in run_checks(include_deployment_checks=True)
        if message.id.startswith(f"{APP}.")
    }

    assert found == set(CHECK_IDS) - {f"{APP}.E001", f"{APP}.W002"}


def test_the_checks_run_under_their_own_tag():
    with layers(CORE_LAYER):
        assert ids(run_checks(tags=[APP])) == ["W001"]


def test_manage_py_check_prints_a_warning():
    err = io.StringIO()

    with layers(CORE_LAYER):
        call_command("check", stderr=err, stdout=err)

    assert f"({APP}.W001)" in err.getvalue()


def test_manage_py_check_fails_for_wrong_settings():
    with (
        override_settings(RESILIENT_CHANNELS={"SENT": {}}),
        pytest.raises(SystemCheckError, match=r"E001.*did you mean 'SEND'"),
    ):
        call_command("check")


def test_manage_py_check_is_silent_about_this_project():
    out = io.StringIO()

    call_command("check", stdout=out, stderr=out)

    assert APP not in out.getvalue()


# --- E002 and W006: heartbeats ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"mode": "always"}, "HEARTBEAT.ping"),
        ({"pong": "pong"}, "nobody is asked"),
        ({"ping": "ping"}, "is not sent in mode 'auto'"),
        ({"proxy_idle_timeout": 20.0}, "set the interval to 10 or less"),
        ({"interval": 60.0, "proxy_idle_timeout": 60}, "set the interval to 30 or less"),
    ],
)
def test_heartbeat_options_that_contradict_each_other_are_an_error(section: Any, says: str):
    with override_settings(RESILIENT_CHANNELS={"HEARTBEAT": section}):
        [message] = check_heartbeats()

    assert message.id == f"{APP}.E002"
    assert message.is_serious()
    assert message.msg.startswith("settings.RESILIENT_CHANNELS: HEARTBEAT.")
    assert says in message.msg
    assert message.hint


@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"HEARTBEAT": {"mode": "always", "ping": "ping"}},
        {"HEARTBEAT": {"ping": "ping", "pong": "pong"}},
        {"HEARTBEAT": {"proxy_idle_timeout": 60}},
        {"LIFETIME": {"idle_timeout": 26}},
        {"LIFETIME": {"idle_timeout": 5}, "HEARTBEAT": {"mode": "off"}},
    ],
)
def test_heartbeat_options_that_agree_are_fine(setting: Any):
    with override_settings(RESILIENT_CHANNELS=setting):
        assert check_heartbeats() == []


def test_an_idle_limit_that_would_close_live_clients_is_warned_of():
    with override_settings(RESILIENT_CHANNELS={"LIFETIME": {"idle_timeout": 20}}):
        [message] = check_heartbeats()

    assert message.id == f"{APP}.W006"
    assert not message.is_serious()
    assert "idle" in message.msg


def test_a_consumer_class_of_its_own_mind_is_checked_too():
    class Chatty(AsyncResilientWebsocketConsumer):
        resilience = {"HEARTBEAT": {"mode": "always"}}

    try:
        [message] = check_heartbeats()
        assert message.id == f"{APP}.E002"
        assert "Chatty.resilience" in message.msg
    finally:
        Chatty.resilience = {}  # the class lives as long as somebody refers to it


def test_what_e001_has_refused_is_not_looked_at_again():
    with override_settings(RESILIENT_CHANNELS={"HEARTBEAT": {"interval": 0}}):
        assert check_heartbeats() == []
