"""System checks of our own settings, and all of them as Django runs them."""

import io
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings
from django.urls import path

from checks.configurations import ids, layers
from resilient_channels import AsyncResilientWebsocketConsumer
from resilient_channels.checks import (
    APP,
    CHECK_IDS,
    CORE_LAYER,
    HUB,
    IN_MEMORY_LAYER,
    PUBSUB_LAYER,
    check_deployment,
    check_layers,
    check_settings,
)


@pytest.fixture(autouse=True)
def redis_of_two_warnings(set_redis) -> None:
    set_redis("8.1.0")


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


# --- as Django runs them ---------------------------------------------------------------------


def test_settings_without_any_layer_are_fine(settings):
    del settings.CHANNEL_LAYERS

    assert check_layers() == []
    assert check_deployment() == []


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {},
        [],
        {"default": {}},
        {"default": None},
        {"default": {"BACKEND": None}},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": None}},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": None}}},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": "redis://localhost"}}},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": [None, 3, b"x", (), "redis://["]}}},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": [{"socket_timeout": "x"}]}}},
        {"default": {"BACKEND": CORE_LAYER, "CONFIG": {"hosts": 3, "group_expiry": "x"}}},
        {"default": {"BACKEND": PUBSUB_LAYER, "CONFIG": {"hosts": [{"connection_class": 3}]}}},
        {"default": {"BACKEND": HUB, "CONFIG": {"BACKEND": 3, "CONFIG": {"hosts": 3}}}},
        {"default": {"BACKEND": "resilient_channels.layers.Nothing", "CONFIG": {}}},
    ],
    ids=repr,
)
def test_a_broken_configuration_does_not_break_the_checks(broken: Any):
    """Channels or the layer itself will say what is wrong with it."""
    with override_settings(CHANNEL_LAYERS=broken):
        assert set(ids(check_layers())) <= {"W001", "W007", "E007"}
        assert set(ids(check_deployment())) <= {"I001"}


def test_identifiers_are_unique_and_well_formed():
    assert all(re.fullmatch(rf"{APP}\.[EWI]\d{{3}}", check_id) for check_id in CHECK_IDS)
    errors = [f"E{n:03}" for n in range(1, 9)]
    warnings = [f"W{n:03}" for n in range(1, 12)]
    assert [*CHECK_IDS] == [f"{APP}.{n}" for n in (*errors, *warnings, "I001", "I002", "I003")]


@override_settings(
    DEBUG=False,
    ALLOWED_HOSTS=["*"],
    RESILIENT_CHANNELS={
        "TEARDOWN": {"timeout": 60},
        "HEARTBEAT": {"pong": "pong"},
        "LIFETIME": {"idle_timeout": 1},
    },
    CHANNEL_LAYERS={
        "core": {"BACKEND": CORE_LAYER, "CONFIG": {"group_expiry": 60}},
        "memory": {"BACKEND": IN_MEMORY_LAYER},
        "pubsub": {
            "BACKEND": PUBSUB_LAYER,
            "CONFIG": {"on_disconnect": print, "hosts": ["rediss://localhost"]},
        },
        "typo": {"BACKEND": HUB, "CONFIG": {"backend": CORE_LAYER}},
        "missing": {"BACKEND": HUB, "CONFIG": {"BACKEND": "nothing.Layer"}},
        "twice": {"BACKEND": HUB, "CONFIG": {"BACKEND": HUB}},
        "half": {"BACKEND": HUB, "CONFIG": {"CONFIG": {"hosts": []}}},
        "no layer": {"BACKEND": HUB, "CONFIG": {"BACKEND": "collections.OrderedDict"}},
    },
)
def test_every_finding_has_an_identifier_that_is_listed(set_application):
    routes = [path("open", AsyncWebsocketConsumer.as_asgi())]
    guarded = AllowedHostsOriginValidator(AsyncWebsocketConsumer.as_asgi())
    set_application(URLRouter([*routes, path("guarded", guarded)]))

    class Elsewhere(AsyncResilientWebsocketConsumer):
        channel_layer_alias = "elsewhere"

    try:
        found = {
            message.id
            for message in run_checks(include_deployment_checks=True)
            if message.id.startswith(f"{APP}.")
        }
    finally:
        Elsewhere.channel_layer_alias = "default"  # it lives as long as somebody refers to it

    assert found == set(CHECK_IDS) - {f"{APP}.E001", f"{APP}.W002"}


def test_the_checks_run_under_their_own_tag():
    with layers(CORE_LAYER):
        assert ids(run_checks(tags=[APP])) == ["W001", "W007"]
        deployed = run_checks(tags=[APP], include_deployment_checks=True)

    assert sorted(ids(deployed)) == ["I001", "I002", "I003", "W001", "W007"]


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


def test_a_remark_does_not_fail_a_deployment_that_warnings_do():
    host = {"host": "localhost", "socket_timeout": None, "protocol": 2}
    options = {"deploy": True, "tags": [APP], "fail_level": "WARNING"}
    err = io.StringIO()

    with layers(CORE_LAYER, hosts=[host]):
        call_command("check", stderr=err, stdout=err, **options)

    assert f"({APP}.I001)" in err.getvalue()


def test_manage_py_check_is_silent_about_this_project():
    out = io.StringIO()

    call_command("check", stdout=out, stderr=out)

    assert APP not in out.getvalue()


PROGRAM = """
import sys, django
from django.conf import settings
from django.core.checks import run_checks
core = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {}}
pubsub = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {}}
hub = "resilient_channels.layers.ResilientChannelLayer"
settings.configure(
    INSTALLED_APPS=["resilient_channels"],
    CHANNEL_LAYERS={
        "core": core,
        "pubsub": pubsub,
        "hub": {"BACKEND": hub, "CONFIG": core},
        "other": {"BACKEND": hub, "CONFIG": pubsub},
    },
)
django.setup()
run_checks(include_deployment_checks=True)
print([name for name in sys.modules if name.partition(".")[0] in ("redis", "channels_redis")])
"""


def test_no_check_imports_a_redis_client():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
    )

    assert result.stdout == "[]\n", result.stderr
