"""Consumers that name a layer which there is not, before they miss it."""

from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from django.core.checks import ERROR
from django.test import override_settings

from checks.configurations import ids
from resilient_channels import AsyncResilientMixin, AsyncResilientWebsocketConsumer
from resilient_channels.checks import (
    APP,
    IN_MEMORY_LAYER,
    check_layers,
)
from support.ids import named

TWO_LAYERS = {"default": {"BACKEND": IN_MEMORY_LAYER}, "chat": {"BACKEND": IN_MEMORY_LAYER}}


@pytest.fixture
def consumer():
    """Make a consumer with an alias, which does not outlive the test."""
    made: list[type] = []

    def make(alias: Any, *bases: type) -> type:
        bases = bases or (AsyncResilientWebsocketConsumer,)
        made.append(type("Chat", bases, {"channel_layer_alias": alias}))
        return made[-1]

    yield make
    for cls in made:
        cls.channel_layer_alias = "default"


@override_settings(CHANNEL_LAYERS=TWO_LAYERS)
@pytest.mark.parametrize(
    ("alias", "hint"), [("chats", "Did you mean 'chat'?"), ("x", "Add 'x' to CHANNEL_LAYERS.")]
)
def test_an_alias_that_is_not_configured_is_an_error(consumer, alias: str, hint: str):
    consumer(alias)

    [message] = check_layers()

    assert message.id == f"{APP}.E008"
    assert message.level == ERROR
    assert f"Chat.channel_layer_alias is {alias!r}" in message.msg
    assert message.hint == hint


@override_settings(CHANNEL_LAYERS=TWO_LAYERS)
@pytest.mark.parametrize("alias", ["default", "chat", None, property(lambda self: "x")], ids=named)
def test_an_alias_that_is_configured_or_not_asked_for_is_fine(consumer, alias: Any):
    consumer(alias)

    assert check_layers() == []


@override_settings(CHANNEL_LAYERS={})
def test_without_any_layer_only_the_default_need_not_be_there(consumer):
    consumer("default")
    assert check_layers() == []

    consumer("chat")
    assert ids(check_layers()) == ["E008"]


@override_settings(CHANNEL_LAYERS=TWO_LAYERS)
def test_an_alias_that_many_inherit_is_one_error_where_it_is_written(consumer):
    base = consumer("chats")
    heirs = [type(name, (base,), {}) for name in ("One", "Two")]

    [message] = check_layers()

    assert "Chat.channel_layer_alias" in message.msg
    assert len(heirs) == 2


@override_settings(CHANNEL_LAYERS=TWO_LAYERS)
def test_a_consumer_may_have_its_alias_from_a_plain_one(consumer):
    plain = consumer("chats", AsyncWebsocketConsumer)
    assert check_layers() == []  # of plain ones nothing is known

    mixed = type("Mixed", (AsyncResilientMixin, plain), {})

    [message] = check_layers()
    assert "Chat.channel_layer_alias" in message.msg
    assert issubclass(mixed, plain)
