"""Unit tests that never run a consumer: they set attributes and call one method."""

import inspect
from unittest.mock import AsyncMock, MagicMock

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from contract.variants import Variant
from support.layers import ScriptedLayer
from support.loop import virtual


class Chat(AsyncJsonWebsocketConsumer):
    async def connect(self):
        self.room = self.scope["url_route"]["kwargs"]["room"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def receive_json(self, content, **kwargs):
        await self.send_json({"echo": content})

    async def chat_message(self, event):
        await self.send(text_data=event["text"])

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.room, self.channel_name)


async def settled(result):
    """Await it where it can be awaited: the sync variants are plain calls."""
    return await result if inspect.isawaitable(result) else result


def mock_for(variant: Variant):
    return MagicMock() if variant.sync else AsyncMock()


@virtual
async def test_send_can_be_replaced(variant: Variant):
    consumer = variant(Chat)()
    consumer.send = mock_for(variant)

    await settled(consumer.chat_message({"text": "hi"}))

    consumer.send.assert_called_once_with(text_data="hi")


@virtual
async def test_send_json_can_be_replaced(variant: Variant):
    consumer = variant(Chat)()
    consumer.send_json = mock_for(variant)

    await settled(consumer.receive_json({"a": 1}))

    consumer.send_json.assert_called_once_with({"echo": {"a": 1}})


@virtual
async def test_base_send_can_be_replaced(variant: Variant):
    consumer = variant(Chat)()
    consumer.base_send = mock_for(variant)

    await settled(consumer.receive_json({"a": 1}))

    consumer.base_send.assert_called_once_with(
        {"type": "websocket.send", "text": '{"echo": {"a": 1}}'}
    )


@virtual
async def test_a_frame_can_be_received_by_hand(variant: Variant):
    consumer = variant(Chat)()
    consumer.base_send = mock_for(variant)

    await settled(consumer.websocket_receive({"type": "websocket.receive", "text": "[1]"}))

    consumer.base_send.assert_called_once_with({"type": "websocket.send", "text": '{"echo": [1]}'})


@virtual
async def test_scope_layer_and_name_can_be_set(variant: Variant):
    if variant.sync:
        layer = MagicMock(group_add=AsyncMock(), group_discard=AsyncMock())
    else:
        layer = ScriptedLayer()
    consumer = variant(Chat)()
    consumer.scope = {"type": "websocket", "url_route": {"kwargs": {"room": "lobby"}}}
    consumer.channel_layer = layer
    consumer.channel_name = "specific.test!abc"
    consumer.accept = mock_for(variant)

    assert consumer.channel_layer is layer
    if variant.sync:
        return
    await consumer.connect()
    assert layer.members("lobby") == {"specific.test!abc"}
    consumer.accept.assert_called_once_with()
    await consumer.disconnect(1000)
    assert layer.groups == {}


def test_a_consumer_that_never_ran_has_its_defaults(variant: Variant):
    consumer = variant(Chat)()

    assert list(consumer.groups) == []
    assert consumer.channel_layer_alias == "default"
    assert not hasattr(consumer, "scope")
    assert not hasattr(consumer, "channel_name")


@virtual
async def test_the_methods_take_what_channels_takes(variant: Variant):
    plain = variant(Chat).__mro__[-1 if not variant.resilient else 2]
    for name in ("send", "send_json", "close", "accept", "decode_json", "encode_json"):
        ours = inspect.signature(getattr(variant(Chat), name))
        theirs = inspect.signature(getattr(plain, name, getattr(variant(Chat), name)))
        assert list(ours.parameters) == list(theirs.parameters), name
