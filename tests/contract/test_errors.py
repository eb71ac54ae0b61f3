"""With ``ERRORS.mode = "raise"`` every error reaches the server, as in Channels."""

import json

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from contract.variants import Variant
from support.layers import ScriptedLayer, installed
from support.loop import virtual


class Broken(Exception):
    pass


class BreaksInConnect(AsyncWebsocketConsumer):
    async def connect(self):
        raise Broken("connect")


class BreaksAfterAccept(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()
        raise Broken("after accept")


class BreaksInReceive(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        raise Broken(text_data)


class BreaksInDisconnect(AsyncWebsocketConsumer):
    async def disconnect(self, code):
        raise Broken(f"disconnect {code}")


class BreaksInEvent(AsyncWebsocketConsumer):
    groups = ["room"]

    async def news(self, event):
        raise Broken(event["text"])


class Deaf(AsyncWebsocketConsumer):
    groups = ["room"]


class Misnamed(AsyncWebsocketConsumer):
    groups = ["no spaces please"]


class ForbidsRoom(ScriptedLayer):
    """A layer that is well, and refuses one group."""

    async def group_add(self, group, channel):
        if group == "room":
            raise Broken("room is forbidden")
        await super().group_add(group, channel)


class Json(AsyncJsonWebsocketConsumer):
    pass


async def connected(variant: Variant, consumer: type):
    client = variant.communicator(variant.raising(consumer))
    assert (await client.connect())[0]
    return client


@virtual
async def test_an_error_in_connect_is_raised(variant: Variant):
    client = variant.communicator(variant.raising(BreaksInConnect))

    with pytest.raises(Broken, match=r"^connect$"):
        await client.connect()

    assert variant.sent == []


@virtual
async def test_an_error_after_accept_is_raised(variant: Variant):
    client = await connected(variant, BreaksAfterAccept)

    with pytest.raises(Broken, match="after accept"):
        await client.receive_from()


@virtual
async def test_an_error_in_receive_is_raised(variant: Variant):
    client = await connected(variant, BreaksInReceive)

    await client.send_to("boom")

    with pytest.raises(Broken, match=r"^boom$"):
        await client.receive_from()


@virtual
async def test_the_mode_can_be_a_setting(variant: Variant, settings):
    settings.RESILIENT_CHANNELS = {"ERRORS": {"mode": "raise"}}
    client = variant.communicator(variant(BreaksInReceive))
    assert (await client.connect())[0]

    await client.send_to("boom")

    with pytest.raises(Broken, match=r"^boom$"):
        await client.receive_from()


@virtual
async def test_an_error_in_receive_is_raised_by_the_next_send_too(variant: Variant):
    client = await connected(variant, BreaksInReceive)
    await client.send_to("boom")
    with pytest.raises(Broken, match=r"^boom$"):
        await client.wait()

    with pytest.raises(Broken, match=r"^boom$"):
        await client.send_to("again")


@virtual
async def test_an_error_in_disconnect_is_raised(variant: Variant):
    client = await connected(variant, BreaksInDisconnect)

    with pytest.raises(Broken, match="disconnect 4000"):
        await client.disconnect(4000)


@virtual
async def test_an_error_in_an_event_handler_is_raised(variant: Variant):
    client = await connected(variant, BreaksInEvent)

    await get_channel_layer().group_send("room", {"type": "news", "text": "bad news"})

    with pytest.raises(Broken, match="bad news"):
        await client.receive_from()
    await get_channel_layer().flush()


@virtual
async def test_an_event_without_a_handler_is_raised(variant: Variant):
    client = await connected(variant, Deaf)

    await get_channel_layer().group_send("room", {"type": "no.such.thing"})

    with pytest.raises(ValueError, match=r"No handler for message type no\.such\.thing"):
        await client.receive_from()
    await get_channel_layer().flush()


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ({"type": "_private"}, "leading underscore"),
        ({"text": "typeless"}, "no 'type' attribute"),
    ],
)
@virtual
async def test_a_malformed_event_is_raised(variant: Variant, event: dict, complaint: str):
    client = await connected(variant, Deaf)

    await get_channel_layer().group_send("room", event)

    with pytest.raises(ValueError, match=complaint):
        await client.receive_from()
    await get_channel_layer().flush()


@virtual
async def test_malformed_json_is_raised(variant: Variant):
    client = await connected(variant, Json)

    await client.send_to("{not json")

    with pytest.raises(json.JSONDecodeError):
        await client.receive_from()


@virtual
async def test_a_binary_frame_to_a_json_consumer_is_raised(variant: Variant):
    client = await connected(variant, Json)

    await client.send_to(bytes_data=b"{}")

    with pytest.raises(ValueError, match="No text section for incoming WebSocket frame!"):
        await client.receive_from()


@virtual
async def test_an_empty_frame_to_a_json_consumer_is_raised(variant: Variant):
    server = variant.server(variant.raising(Json))
    server.client_connects()
    server.client_sends("")

    error = await server.ended()

    assert repr(error) == "ValueError('No text section for incoming WebSocket frame!')"


@virtual
async def test_a_frame_without_content_is_raised(variant: Variant):
    server = variant.server(variant.raising(Json))
    server.client_connects()
    server.feed({"type": "websocket.receive"})

    assert isinstance(await server.ended(), KeyError)


@virtual
async def test_a_group_name_that_the_layer_refuses_is_raised(variant: Variant):
    client = variant.communicator(variant.raising(Misnamed))

    with pytest.raises(TypeError, match="Group name must be a valid unicode string"):
        await client.connect()


@virtual
async def test_a_group_add_that_fails_is_raised(variant: Variant):
    with installed(ForbidsRoom()):
        client = variant.communicator(variant.raising(Deaf))

        with pytest.raises(Broken, match="room is forbidden"):
            await client.connect()
