"""Heartbeat options that contradict each other, the proxy or the idle limit."""

from typing import Any

import pytest
from django.test import override_settings

from resilient_channels import AsyncResilientWebsocketConsumer
from resilient_channels.checks import (
    APP,
    check_heartbeats,
)


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
