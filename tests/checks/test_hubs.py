"""A hub's own entry: what would be ignored, or be found out at the first message."""

import inspect
import sys
from types import ModuleType
from typing import Any

import pytest
from django.core.checks import ERROR
from django.test import override_settings

from checks.configurations import ids
from resilient_channels.checks import (
    APP,
    CORE_LAYER,
    HUB,
    IN_MEMORY_LAYER,
    PUBSUB_LAYER,
    check_layers,
)
from resilient_channels.checks.hubs import METHODS, OF_REDIS, OPTIONS
from resilient_channels.layers import ResilientChannelLayer
from support.ids import named

PLACE = "CHANNEL_LAYERS['default']['CONFIG']"


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module named ``project_layers``, to put layers into."""
    module = ModuleType("project_layers")
    monkeypatch.setitem(sys.modules, "project_layers", module)
    return module


def make_layer(*without: str) -> type:
    """The class of a layer that lacks some of its methods."""
    methods = {name: lambda *_: None for name in METHODS if name not in without}
    return type("Own", (), methods)


def find(config: Any) -> list[Any]:
    """What is said of a hub with *config*."""
    with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": HUB, "CONFIG": config}}):
        messages = check_layers()
    assert all(message.level == ERROR for message in messages)
    return messages


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"BACKEND": None},
        {"CONFIG": None},
        {"CONFIG": {}},
        {"capacity": 10, "expiry": 5, "channel_capacity": {"a*": 3}},
        {"BACKEND": IN_MEMORY_LAYER, "CONFIG": {"capacity": 10}},
        {"BACKEND": PUBSUB_LAYER},
        {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": ["redis://localhost"]}, "capacity": 10},
    ],
    ids=repr,
)
def test_a_hub_that_is_configured_as_it_should_is_fine(config: dict[str, Any]):
    assert find(config) == []


def test_a_hub_without_config_is_fine():
    with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": HUB}}):
        assert check_layers() == []


# --- E003: options that there are not --------------------------------------------------------


def test_the_known_options_are_those_that_the_hub_takes():
    assert tuple(inspect.signature(ResilientChannelLayer).parameters) == OPTIONS


def test_options_that_are_taken_for_those_of_channels_redis_are_theirs():
    core = pytest.importorskip("channels_redis.core").RedisChannelLayer
    pubsub = pytest.importorskip("channels_redis.pubsub").RedisPubSubLoopLayer
    theirs = {*inspect.signature(core).parameters, *inspect.signature(pubsub).parameters}

    assert theirs - OF_REDIS == {"capacity", "expiry", "channel_capacity"} | {
        "channel_layer",
        "kwargs",
    }
    assert theirs > OF_REDIS


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("backend", "BACKEND"),
        ("BACKND", "BACKEND"),
        ("config", "CONFIG"),
        ("Config", "CONFIG"),
        ("capcity", "capacity"),
        ("channel_capacities", "channel_capacity"),
        ("EXPIRY", "expiry"),
    ],
)
def test_a_misspelt_option_is_an_error_that_knows_better(key: str, meant: str):
    [message] = find({key: {}})

    assert message.id == f"{APP}.E003"
    assert message.msg == f"{PLACE} has no option {key!r}."
    assert message.hint == f"Did you mean {meant!r}?"


@pytest.mark.parametrize("key", sorted(OF_REDIS))
def test_an_option_of_the_wrapped_layer_is_sent_to_its_place(key: str):
    [message] = find({"BACKEND": PUBSUB_LAYER, key: "x"})

    assert message.id == f"{APP}.E003"
    assert message.hint == f"It goes one level deeper: {PLACE}['CONFIG'][{key!r}]."


def test_an_option_that_nobody_knows_is_an_error_that_says_where_others_go():
    [message] = find({"BACKEND": PUBSUB_LAYER, "colour": "green"})

    assert message.id == f"{APP}.E003"
    assert "BACKEND, CONFIG, capacity" in message.hint
    assert f"{PLACE}['CONFIG']" in message.hint


def test_each_unknown_option_is_an_error_of_its_own():
    assert ids(find({"one": 1, "two": 2})) == ["E003", "E003"]


@pytest.mark.parametrize("config", [None, [], "redis://localhost", 3], ids=repr)
def test_a_config_that_is_no_dict_is_an_error(config: Any):
    [message] = find(config)
    assert message.id == f"{APP}.E003"
    assert message.msg == f"{PLACE} is not a dict."

    if config:  # `None` and empty ones stand for no options
        [message] = find({"BACKEND": PUBSUB_LAYER, "CONFIG": config})
        assert message.id == f"{APP}.E003"
        assert message.msg == f"{PLACE}['CONFIG'] is not a dict."


# --- E004 and E007: what can be wrapped ------------------------------------------------------


@pytest.mark.parametrize(
    "backend",
    [
        "nothing.Layer",
        "nodots",
        "",
        "channels_redis.core.RedisChanelLayer",
        "channels.layers.MemoryChannelLayer",
        "project_layers.Missing",
    ],
)
def test_a_backend_that_cannot_be_imported_is_an_error(project: ModuleType, backend: str):
    [message] = find({"BACKEND": backend})

    assert message.id == f"{APP}.E004"
    assert message.msg.startswith(f"{PLACE}['BACKEND']: {backend!r} cannot be imported: ")


def test_a_backend_whose_module_fails_is_an_error(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "failing_layers.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)

    [message] = find({"BACKEND": "failing_layers.Own"})

    assert message.id == f"{APP}.E004"
    assert message.msg.endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("backend", [CORE_LAYER, PUBSUB_LAYER])
def test_a_channels_redis_that_is_not_installed_is_an_error(
    monkeypatch: pytest.MonkeyPatch, backend: str
):
    monkeypatch.setitem(sys.modules, "channels_redis", None)  # as if it could not be found

    messages = find({"BACKEND": backend, "CONFIG": {"hosts": []}})

    assert ids(messages) == ["E004"]
    assert messages[0].hint == "pip install channels_redis"


def test_a_layer_of_the_projects_own_is_fine_by_path_and_by_class(project: ModuleType):
    project.Own = make_layer()

    assert find({"BACKEND": "project_layers.Own"}) == []
    assert find({"BACKEND": project.Own}) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_that_lacks_a_method_is_an_error_by_path_and_by_class(
    project: ModuleType, method: str
):
    project.Own = make_layer(method)

    for backend in ("project_layers.Own", project.Own):
        [message] = find({"BACKEND": backend})
        assert message.id == f"{APP}.E007"
        assert message.msg.endswith(f"it lacks {method}.")


@pytest.mark.parametrize("backend", [3, object(), "sys.path", "channels.layers"], ids=named)
def test_what_cannot_even_be_called_is_no_layer(backend: Any):
    assert ids(find({"BACKEND": backend})) == ["E007"]


def test_a_layer_that_makes_up_its_methods_and_a_factory_are_believed(project: ModuleType):
    project.Own = type("Own", (), {"__getattr__": lambda self, name: None})
    project.make = lambda **config: make_layer()()

    assert find({"BACKEND": "project_layers.Own"}) == []
    assert find({"BACKEND": "project_layers.make"}) == []


# --- E005 and E006: a hub too many, a backend too few ----------------------------------------


class Special(ResilientChannelLayer):
    """A project's own hub."""


@pytest.mark.parametrize(
    "backend",
    [
        HUB,
        ResilientChannelLayer,
        f"{ResilientChannelLayer.__module__}.ResilientChannelLayer",
        Special,
    ],
)
def test_a_hub_in_a_hub_is_an_error(backend: Any):
    inner = {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": []}}

    assert ids(find({"BACKEND": backend, "CONFIG": inner})) == ["E005"]


def test_a_config_for_nobody_is_an_error():
    [message] = find({"CONFIG": {"hosts": ["redis://localhost"]}})

    assert message.id == f"{APP}.E006"
    assert f"no {PLACE}['BACKEND']" in message.msg
    assert CORE_LAYER in message.hint
