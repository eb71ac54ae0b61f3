"""Frames in both directions, in every form Channels documents."""

import json

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer

from contract.variants import Variant, note
from support.loop import virtual
from support.servers import UVICORN


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        note(self, text_data, bytes_data)
        await self.send(text_data=text_data, bytes_data=bytes_data)


class EchoByPosition(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data, bytes_data)


class SendsNothing(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        try:
            await self.send()
        except ValueError as error:
            note(self, str(error))
        await self.send("still here")


class SendsAndCloses(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send("bye", close={"True": True, "4321": 4321, "False": False}[text_data])


class Burst(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        for number in range(int(text_data)):
            await self.send(text_data=str(number))


class JsonEcho(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content, **kwargs):
        note(self, content)
        await self.send_json(content)


class JsonSendsAndCloses(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content, **kwargs):
        await self.send_json({"bye": content}, close=content)


class OwnCodec(AsyncJsonWebsocketConsumer):
    @classmethod
    async def encode_json(cls, content):
        return "json:" + json.dumps(content, sort_keys=True)

    @classmethod
    async def decode_json(cls, text_data):
        return json.loads(text_data.removeprefix("json:"))

    async def receive_json(self, content, **kwargs):
        await self.send_json({"heard": content, "and": 1})


class PassesKeywords(AsyncJsonWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None, **kwargs):
        await super().receive(text_data, bytes_data, seat=12)

    async def receive_json(self, content, **kwargs):
        await self.send_json({"content": content, "kwargs": kwargs})


class ReceivesRaw(AsyncWebsocketConsumer):
    async def websocket_receive(self, message):
        note(self, message)
        await super().websocket_receive(message)

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data, bytes_data)


@pytest.mark.parametrize("consumer", [Echo, EchoByPosition, ReceivesRaw])
@virtual
async def test_text_and_bytes_go_both_ways(variant: Variant, consumer: type):
    client = variant.communicator(variant(consumer))
    await client.connect()

    await client.send_to(text_data="grüße")
    assert await client.receive_from() == "grüße"
    await client.send_to(bytes_data=b"\x00\xff")
    assert await client.receive_from() == b"\x00\xff"

    assert variant.sent[1:] == [
        {"type": "websocket.send", "text": "grüße"},
        {"type": "websocket.send", "bytes": b"\x00\xff"},
    ]
    await client.disconnect()


@virtual
async def test_an_empty_text_frame_is_text(variant: Variant):
    server = variant.server(variant(Echo))
    server.client_connects()
    server.client_sends("")
    await server.next_sent()

    assert await server.next_sent() == {"type": "websocket.send", "text": ""}

    server.client_closes()
    assert await server.ended() is None
    assert variant.notes == [("", None)]


@virtual
async def test_an_empty_binary_frame_is_bytes(variant: Variant):
    server = variant.server(variant(Echo))
    server.client_connects()
    server.client_sends(b"")
    await server.next_sent()

    assert await server.next_sent() == {"type": "websocket.send", "bytes": b""}

    server.client_closes()
    assert await server.ended() is None


@virtual
async def test_text_wins_when_a_server_gives_both_keys(variant: Variant):
    server = variant.server(variant(Echo))
    server.client_connects()
    server.feed({"type": "websocket.receive", "text": "t", "bytes": None})
    server.feed({"type": "websocket.receive", "text": None, "bytes": b"b"})
    for _ in range(3):
        await server.next_sent()
    server.client_closes()

    assert await server.ended() is None

    assert variant.notes == [("t", None), (None, b"b")]


@virtual
async def test_send_without_content_is_an_error_and_sends_nothing(variant: Variant):
    client = variant.communicator(variant(SendsNothing))
    await client.connect()

    await client.send_to("x")

    assert await client.receive_from() == "still here"
    assert variant.notes == ["You must pass one of bytes_data or text_data"]
    await client.disconnect()


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("True", [{"type": "websocket.close"}]),
        ("4321", [{"type": "websocket.close", "code": 4321}]),
        ("False", []),
    ],
)
@virtual
async def test_send_can_close(variant: Variant, how: str, expected: list):
    server = variant.server(variant(SendsAndCloses), style=UVICORN)
    server.client_connects()
    server.client_sends(how)
    for _ in range(2):
        await server.next_sent()
    if not expected:
        server.client_closes()

    assert await server.ended() is None

    assert variant.sent[1:] == [{"type": "websocket.send", "text": "bye"}, *expected]


@virtual
async def test_many_messages_keep_their_order_both_ways(variant: Variant):
    client = variant.communicator(variant(Echo))
    await client.connect()

    for number in range(300):
        await client.send_to(text_data=str(number))

    assert [await client.receive_from() for _ in range(300)] == [str(n) for n in range(300)]
    await client.disconnect()


@virtual
async def test_a_burst_keeps_its_order(variant: Variant):
    client = variant.communicator(variant(Burst))
    await client.connect()

    await client.send_to("200")

    assert [await client.receive_from() for _ in range(200)] == [str(n) for n in range(200)]
    await client.disconnect()


@virtual
async def test_json_goes_both_ways(variant: Variant):
    client = variant.communicator(variant(JsonEcho))
    await client.connect()

    for content in ({"a": [1, 2.5, None, True]}, [], "text", 0, None):
        await client.send_json_to(content)
        assert await client.receive_json_from() == content

    assert variant.notes == [{"a": [1, 2.5, None, True]}, [], "text", 0, None]
    await client.disconnect()


@pytest.mark.parametrize(
    ("close", "closing"), [(True, {}), (4100, {"code": 4100})], ids=["true", "code"]
)
@virtual
async def test_send_json_can_close(variant: Variant, close, closing: dict):
    server = variant.server(variant(JsonSendsAndCloses), style=UVICORN)
    server.client_connects()
    server.client_sends(json.dumps(close))

    assert await server.ended() is None

    assert variant.sent[1:] == [
        {"type": "websocket.send", "text": json.dumps({"bye": close})},
        {"type": "websocket.close", **closing},
    ]


@virtual
async def test_the_json_hooks_are_used(variant: Variant):
    client = variant.communicator(variant(OwnCodec))
    await client.connect()

    await client.send_to('json:{"b": 2}')

    assert await client.receive_from() == 'json:{"and": 1, "heard": {"b": 2}}'
    await client.disconnect()


@virtual
async def test_receive_passes_keywords_to_receive_json(variant: Variant):
    client = variant.communicator(variant(PassesKeywords))
    await client.connect()

    await client.send_json_to({"x": 1})

    assert await client.receive_json_from() == {"content": {"x": 1}, "kwargs": {"seat": 12}}
    await client.disconnect()


@virtual
async def test_websocket_receive_gets_the_raw_message(variant: Variant):
    client = variant.communicator(variant(ReceivesRaw))
    await client.connect()

    await client.send_to("x")
    await client.receive_from()

    assert variant.notes == [{"type": "websocket.receive", "text": "x"}]
    await client.disconnect()
