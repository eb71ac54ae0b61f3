"""Checks of what a layer is configured with: dead options, lost members, silent links."""

from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from django.core.checks import run_checks
from django.test import override_settings

from checks.configurations import (
    ASYNC_RETRY,
    REDIS_LAYERS,
    SENTINELS,
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


def test_such_a_callback_is_found_in_a_hub():
    with hub(PUBSUB_LAYER, on_disconnect=print):
        [message] = check_layers()

    assert message.id == f"{APP}.W003"
    assert message.msg.startswith("CHANNEL_LAYERS['default']['CONFIG']['CONFIG']: on_disconnect")


def test_a_pubsub_layer_without_them_is_fine():
    with layers(PUBSUB_LAYER, hosts=[("localhost", 6379)], prefix="chat"):
        assert check_layers() == []


# --- W005: processes that do not see each other ----------------------------------------------


@override_settings(DEBUG=False)
@pytest.mark.parametrize(
    ("configured", "what"),
    [
        (layers(IN_MEMORY_LAYER), "the in-memory layer"),
        (layers(HUB), "the hub without a BACKEND"),
        (layers(HUB, BACKEND=None, capacity=10), "the hub without a BACKEND"),
        (hub(IN_MEMORY_LAYER), "the hub around the in-memory layer"),
        (hub(InMemoryChannelLayer, capacity=10), "the hub around the in-memory layer"),
    ],
    ids=["bare", "hub alone", "hub of None", "hub around its path", "hub around its class"],
)
def test_a_layer_within_one_process_is_warned_of_in_production(configured: Any, what: str):
    with configured:
        [message] = check_deployment()

    assert message.id == f"{APP}.W005"
    assert message.msg.startswith(f"CHANNEL_LAYERS['default'] is {what} and DEBUG is off: ")
    assert "several workers" in message.msg


@override_settings(DEBUG=True)
@pytest.mark.parametrize("configured", [layers(IN_MEMORY_LAYER), layers(HUB), hub(IN_MEMORY_LAYER)])
def test_a_layer_within_one_process_is_fine_under_debug(configured: Any):
    with configured:
        assert check_deployment() == []


@override_settings(DEBUG=False)
@pytest.mark.parametrize("backend", [*REDIS_LAYERS, "project.layers.Own"])
def test_a_layer_that_processes_share_is_fine_in_production(backend: str):
    with layers(backend, hosts=[lasting(retry=retry(ASYNC_RETRY))]):
        assert check_deployment() == []
    with hub(backend):
        assert check_deployment() == []


@override_settings(DEBUG=False)
@pytest.mark.parametrize("deploy", [True, False])
def test_the_in_memory_layer_is_a_matter_of_deployment(deploy: bool):
    with layers(IN_MEMORY_LAYER):
        messages = run_checks(include_deployment_checks=deploy)

    assert (f"{APP}.W005" in {message.id for message in messages}) is deploy


# --- W008: a subscription over a link that is dropped ----------------------------------------

TLS = "rediss://localhost"
TLS_FORMS: list[Any] = [
    TLS,
    f"{TLS}?health_check_interval=0",
    {"address": TLS},
    {"address": TLS, "health_check_interval": 0},
    {**SENTINELS, "ssl": True},
    {**SENTINELS, "ssl": True, "sentinel_kwargs": {"health_check_interval": 30}},
]


@pytest.mark.parametrize("host", TLS_FORMS, ids=repr)
def test_a_subscription_that_never_says_anything_is_warned_of(host: Any):
    with layers(PUBSUB_LAYER, hosts=["redis://localhost", host]):
        [message] = check_layers()

    assert message.id == f"{APP}.W008"
    assert '"health_check_interval": 30' in message.hint


@pytest.mark.parametrize(
    "host",
    [
        "redis://localhost",
        "unix:///run/redis.sock",
        f"{TLS}?health_check_interval=30",
        {"address": TLS, "health_check_interval": 30},
        {**SENTINELS},
        {**SENTINELS, "ssl": False},
        {**SENTINELS, "ssl": True, "health_check_interval": 30},
    ],
    ids=repr,
)
def test_a_subscription_that_is_asked_now_and_then_or_stays_at_home_is_fine(host: Any):
    with layers(PUBSUB_LAYER, hosts=[host]):
        assert check_layers() == []


@pytest.mark.parametrize("host", TLS_FORMS, ids=repr)
def test_the_core_layer_has_no_link_that_waits_for_long(host: Any):
    assert "W008" not in core(host)


@pytest.mark.parametrize("host", TLS_FORMS, ids=repr)
def test_the_hubs_probe_keeps_the_link_to_one_host_busy_but_not_to_several(host: Any):
    with hub(PUBSUB_LAYER, hosts=[host]):
        assert check_layers() == []
    with hub(PUBSUB_LAYER, hosts=[host, host]):
        assert ids(check_layers()) == ["W008"]


# --- W009: members that outlive their membership ---------------------------------------------


@pytest.mark.parametrize("expiry", [1, 3600, 86_399, 86_399.5, 0, -1])
def test_a_group_that_forgets_live_members_is_warned_of(expiry: float):
    with layers(CORE_LAYER, hosts=[lasting()], group_expiry=expiry):
        [message] = check_layers()

    assert message.id == f"{APP}.W009"
    assert f"group_expiry is {expiry}:" in message.msg
    assert "86400" in message.hint
    assert HUB in message.hint


@pytest.mark.parametrize("expiry", [86_400, 604_800, None, "1", True])
def test_a_group_that_remembers_for_a_day_is_fine(expiry: Any):
    """What is no number at all, the layer itself stumbles over."""
    with layers(CORE_LAYER, hosts=[lasting()], group_expiry=expiry):
        assert check_layers() == []


def test_the_hub_renews_memberships_and_pubsub_has_none_that_expire():
    with hub(CORE_LAYER, hosts=[lasting()], group_expiry=60):
        assert check_layers() == []
    with layers(PUBSUB_LAYER, group_expiry=60):
        assert check_layers() == []
