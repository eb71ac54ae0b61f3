"""Consumers that override what Channels lets them override."""

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from contract.variants import Variant, note
from support.loop import virtual


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data, bytes_data)

    async def disconnect(self, code):
        note(self, "disconnect", code)


class OwnCall(Echo):
    async def __call__(self, scope, receive, send):
        scope["notes"].append("call begins")
        await super().__call__({**scope, "path": "/changed"}, receive, send)
        scope["notes"].append("call ends")

    async def connect(self):
        note(self, self.scope["path"])
        await self.accept()


class OwnDispatch(Echo):
    async def dispatch(self, message):
        note(self, message["type"])
        await super().dispatch(message)


class OwnWebsocketMethods(Echo):
    async def websocket_connect(self, message):
        note(self, "before connect")
        await super().websocket_connect(message)
        note(self, "after connect")

    async def websocket_receive(self, message):
        note(self, "before receive")
        await super().websocket_receive(message)
        note(self, "after receive")

    async def websocket_disconnect(self, message):
        note(self, "before disconnect")
        await super().websocket_disconnect(message)


class ReadOnlyGroups(AsyncWebsocketConsumer):
    @property
    def groups(self):
        return [f"room-{self.room}"]

    @property
    def room(self):
        return self.scope["path"].strip("/") if hasattr(self, "scope") else "none"

    async def news(self, event):
        await self.send(event["text"])


class OwnSend(AsyncJsonWebsocketConsumer):
    async def send(self, text_data=None, bytes_data=None, close=False):
        await super().send(text_data=f"<{text_data}>", close=close)

    async def receive_json(self, content, **kwargs):
        await self.send_json(content)


class OwnSendDict(AsyncWebsocketConsumer):
    async def send(self, message, **kwargs):
        await super().send(text_data=message["text"], **kwargs)

    async def receive(self, text_data=None, bytes_data=None):
        await self.send({"text": text_data}, close=4002)


class OwnClose(AsyncWebsocketConsumer):
    async def close(self, code=None, reason=None):
        note(self, "close", code)
        await super().close(4007, "overridden")

    async def receive(self, text_data=None, bytes_data=None):
        await self.send("last", close=True)


class OwnAccept(AsyncWebsocketConsumer):
    async def accept(self, subprotocol=None, headers=None):
        await super().accept(subprotocol or "fallback", headers)


class Configured(AsyncWebsocketConsumer):
    colour = "red"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.colour = kwargs.get("colour", self.colour)

    async def connect(self):
        await self.accept(self.colour)


class HandlersNamedLikeLibraries(AsyncWebsocketConsumer):
    groups = ["room"]

    async def ping(self, event):
        await self.send("ping")

    async def heartbeat(self, event):
        await self.send("heartbeat")

    async def close_connection(self, event):
        await self.close(4010)


class RemembersItself(AsyncWebsocketConsumer):
    async def connect(self):
        self.seen = 0
        self.state = {"open": True}
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        self.seen += 1
        await self.send(f"{self.seen} {self.state['open']}")


@virtual
async def test_an_own_call_surrounds_the_connection(variant: Variant):
    client = variant.communicator(variant(OwnCall))
    await client.connect()
    await client.send_to("x")
    assert await client.receive_from() == "x"

    await client.disconnect(4000)

    assert variant.notes == ["call begins", "/changed", ("disconnect", 4000), "call ends"]


@virtual
async def test_an_own_dispatch_sees_every_message(variant: Variant):
    client = variant.communicator(variant(OwnDispatch))
    await client.connect()
    await client.send_to("x")
    assert await client.receive_from() == "x"

    await client.disconnect(4000)

    assert variant.notes == [
        "websocket.connect",
        "websocket.receive",
        "websocket.disconnect",
        ("disconnect", 4000),
    ]


@virtual
async def test_own_websocket_methods_surround_the_handlers(variant: Variant):
    client = variant.communicator(variant(OwnWebsocketMethods))
    await client.connect()
    await client.send_to("x")
    assert await client.receive_from() == "x"

    await client.disconnect(4000)

    assert variant.notes == [
        "before connect",
        "after connect",
        "before receive",
        "after receive",
        "before disconnect",
        ("disconnect", 4000),
    ]


@virtual
async def test_groups_may_be_a_read_only_property(variant: Variant):
    client = variant.communicator(variant(ReadOnlyGroups), "/7")
    await client.connect()

    await get_channel_layer().group_send("room-7", {"type": "news", "text": "seven"})

    assert await client.receive_from() == "seven"
    await client.disconnect()
    assert get_channel_layer().groups == {}


@virtual
async def test_send_json_skips_an_own_send_as_in_channels(variant: Variant):
    client = variant.communicator(variant(OwnSend))
    await client.connect()

    await client.send_json_to({"a": 1})

    # Channels calls super().send() from send_json(), so the override is not on its way.
    assert await client.receive_from() == '{"a": 1}'
    await client.disconnect()


@virtual
async def test_an_own_send_may_have_another_signature(variant: Variant):
    server = variant.server(variant(OwnSendDict))
    server.client_connects()
    server.client_sends("x")

    assert await server.ended() is None

    assert variant.sent[1:] == [
        {"type": "websocket.send", "text": "x"},
        {"type": "websocket.close", "code": 4002},
    ]


@virtual
async def test_an_own_close_is_used_by_send(variant: Variant):
    server = variant.server(variant(OwnClose))
    server.client_connects()
    server.client_sends("x")

    assert await server.ended() is None

    assert variant.notes == [("close", True)]
    assert variant.sent[1:] == [
        {"type": "websocket.send", "text": "last"},
        {"type": "websocket.close", "code": 4007, "reason": "overridden"},
    ]


@virtual
async def test_an_own_accept_is_used_by_connect(variant: Variant):
    client = variant.communicator(variant(OwnAccept))

    assert await client.connect() == (True, "fallback")

    await client.disconnect()


@virtual
async def test_as_asgi_passes_its_arguments_and_names_the_class(variant: Variant):
    consumer = variant(Configured)
    application = consumer.as_asgi(colour="blue")

    assert application.consumer_class is consumer
    assert application.consumer_initkwargs == {"colour": "blue"}
    assert application.__name__ == "Configured"
    client = variant.communicator(application)
    assert await client.connect() == (True, "blue")
    await client.disconnect()


@virtual
async def test_every_connection_has_its_own_consumer(variant: Variant):
    application = variant(RemembersItself).as_asgi()
    clients = [variant.communicator(application) for _ in range(2)]
    for client in clients:
        await client.connect()

    for client in clients:
        await client.send_to("x")
        assert await client.receive_from() == "1 True"
        await client.disconnect()


@pytest.mark.parametrize("name", ["ping", "heartbeat"])
@virtual
async def test_handlers_may_be_named_like_a_librarys_methods(variant: Variant, name: str):
    client = variant.communicator(variant(HandlersNamedLikeLibraries))
    await client.connect()

    await get_channel_layer().group_send("room", {"type": name})

    assert await client.receive_from() == name
    await client.disconnect()


@virtual
async def test_a_handler_for_events_may_close(variant: Variant):
    server = variant.server(variant(HandlersNamedLikeLibraries))
    server.client_connects()
    await server.next_sent()

    await get_channel_layer().group_send("room", {"type": "close.connection"})

    assert await server.next_sent() == {"type": "websocket.close", "code": 4010}
    assert await server.ended() is None
