"""The channel layer as a consumer sees it."""

import itertools

import pytest
from channels.exceptions import InvalidChannelLayerError
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from contract.variants import Variant, note
from support.layers import ScriptedLayer, installed
from support.loop import virtual


class Room(AsyncJsonWebsocketConsumer):
    groups = ["room", "lobby"]

    async def receive_json(self, content, **kwargs):
        await self.channel_layer.group_send("room", {"type": "room.message", "text": content})

    async def room_message(self, event):
        await self.send_json(event)

    async def disconnect(self, code):
        note(self, "disconnect", code)


class JoinsByHand(AsyncWebsocketConsumer):
    async def connect(self):
        await self.channel_layer.group_add("by-hand", self.channel_name)
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_discard("by-hand", self.channel_name)
        await self.send("left")

    async def news(self, event):
        await self.send(event["text"])

    async def disconnect(self, code):
        await self.channel_layer.group_discard("by-hand", self.channel_name)


class WritesToItself(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.send(
            self.channel_name, {"type": "note.to_self", "text": text_data}
        )

    async def note_to_self(self, event):
        await self.send(event["text"])


class OtherLayer(AsyncWebsocketConsumer):
    channel_layer_alias = "other"
    groups = ["room"]

    async def news(self, event):
        await self.send(event["text"])


class WithoutGroups(AsyncWebsocketConsumer):
    async def connect(self):
        note(self, "layer", self.channel_layer is None)
        note(self, "name", hasattr(self, "channel_name"))
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data)


class UnknownAliasWithoutGroups(WithoutGroups):
    channel_layer_alias = "nowhere"


class GroupsWithoutLayer(AsyncWebsocketConsumer):
    groups = ["room"]


class UnknownAliasWithGroups(AsyncWebsocketConsumer):
    channel_layer_alias = "nowhere"
    groups = ["room"]


class Narrates(AsyncWebsocketConsumer):
    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(f"client {text_data}")

    async def news(self, event):
        await self.send(f"layer {event['number']}")


class GroupsFromInit(AsyncWebsocketConsumer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.groups = ["chosen"]

    async def news(self, event):
        await self.send(event["text"])


@virtual
async def test_groups_are_joined_and_left(variant: Variant):
    with installed(ScriptedLayer()) as layer:
        client = variant.communicator(variant(Room))
        await client.connect()
        assert len(layer.members("room")) == len(layer.members("lobby")) == 1

        await client.disconnect()

        assert layer.groups == {}
        assert variant.notes == [("disconnect", 1000)]


@virtual
async def test_a_group_event_reaches_its_handler_unchanged(variant: Variant):
    client = variant.communicator(variant(Room))
    await client.connect()

    await get_channel_layer().group_send(
        "lobby", {"type": "room.message", "text": "hi", "nested": {"a": [1]}}
    )

    assert await client.receive_json_from() == {
        "type": "room.message",
        "text": "hi",
        "nested": {"a": [1]},
    }
    await client.disconnect()


@virtual
async def test_members_hear_each_other_and_themselves(variant: Variant):
    one, two = variant.communicator(variant(Room)), variant.communicator(variant(Room))
    for client in (one, two):
        await client.connect()

    await one.send_json_to("hello")

    for client in (one, two):
        assert (await client.receive_json_from())["text"] == "hello"
        await client.disconnect()


@virtual
async def test_groups_can_be_joined_and_left_by_hand(variant: Variant):
    client = variant.communicator(variant(JoinsByHand))
    await client.connect()

    await get_channel_layer().group_send("by-hand", {"type": "news", "text": "first"})
    assert await client.receive_from() == "first"
    await client.send_to("leave")
    assert await client.receive_from() == "left"
    await get_channel_layer().group_send("by-hand", {"type": "news", "text": "second"})

    assert await client.receive_nothing()
    await client.disconnect()
    assert get_channel_layer().groups == {}


@virtual
async def test_the_channel_name_is_an_address(variant: Variant):
    client = variant.communicator(variant(WritesToItself))
    await client.connect()

    await client.send_to("remember")

    assert await client.receive_from() == "remember"
    await client.disconnect()


@virtual
async def test_the_layer_is_chosen_by_its_alias(variant: Variant):
    with installed(ScriptedLayer(), "other") as other:
        client = variant.communicator(variant(OtherLayer))
        await client.connect()
        assert len(other.members("room")) == 1

        await other.group_send("room", {"type": "news", "text": "from the other"})

        assert await client.receive_from() == "from the other"
        await client.disconnect()
        assert other.groups == {}


@virtual
async def test_groups_set_in_the_constructor_count(variant: Variant):
    client = variant.communicator(variant(GroupsFromInit))
    await client.connect()

    await get_channel_layer().group_send("chosen", {"type": "news", "text": "yes"})

    assert await client.receive_from() == "yes"
    await client.disconnect()


@virtual
async def test_without_a_layer_the_attribute_is_none_and_all_else_works(variant, settings):
    settings.CHANNEL_LAYERS = {}
    client = variant.communicator(variant(WithoutGroups))
    assert (await client.connect())[0]

    await client.send_to("x")

    assert await client.receive_from() == "x"
    assert variant.notes == [("layer", True), ("name", False)]
    await client.disconnect()


@virtual
async def test_an_unknown_alias_is_no_layer(variant: Variant):
    client = variant.communicator(variant(UnknownAliasWithoutGroups))

    assert (await client.connect())[0]

    assert variant.notes == [("layer", True), ("name", False)]
    await client.disconnect()


@pytest.mark.parametrize("consumer", [GroupsWithoutLayer, UnknownAliasWithGroups])
@virtual
async def test_groups_without_a_layer_are_an_error(variant, settings, consumer):
    if consumer is GroupsWithoutLayer:
        settings.CHANNEL_LAYERS = {}
    client = variant.communicator(variant.raising(consumer))

    with pytest.raises(InvalidChannelLayerError, match="BACKEND is unconfigured"):
        await client.connect()

    assert variant.sent == []


@virtual
async def test_events_of_one_sender_keep_their_order(variant: Variant):
    client = variant.communicator(variant(Narrates))
    await client.connect()

    for number in range(90):  # the in-memory layer holds 100
        await get_channel_layer().group_send("room", {"type": "news", "number": number})

    assert [await client.receive_from() for _ in range(90)] == [f"layer {n}" for n in range(90)]
    await client.disconnect()


@virtual
async def test_neither_client_nor_layer_starves_the_other(variant: Variant):
    variant.differs("which of two sources is first is nobody's promise")
    client = variant.communicator(variant(Narrates))
    await client.connect()

    for number in range(50):
        await client.send_to(str(number))
        await get_channel_layer().group_send("room", {"type": "news", "number": number})
    heard = [await client.receive_from() for _ in range(100)]

    leads = list(itertools.accumulate(1 if text[0] == "c" else -1 for text in heard))
    assert max(map(abs, leads)) <= 8, heard
    assert [text for text in heard if text.startswith("client")] == [
        f"client {number}" for number in range(50)
    ]
    assert [text for text in heard if text.startswith("layer")] == [
        f"layer {number}" for number in range(50)
    ]
    await client.disconnect()
