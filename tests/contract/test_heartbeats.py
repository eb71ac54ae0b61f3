"""To an ordinary client there is no heartbeat: not one frame, not one changed key, for hours."""

import asyncio
import json

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from contract.variants import Variant, note
from support.loop import virtual
from support.servers import ALL_STYLES, UVICORN

HOUR = 3600.0
every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


class Echo(AsyncWebsocketConsumer):
    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        note(self, text_data, bytes_data)
        await self.send(text_data=text_data, bytes_data=bytes_data)

    async def news(self, event):
        await self.send(event["text"])

    async def disconnect(self, code):
        note(self, "disconnect", code)


class JsonEcho(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content, **kwargs):
        await self.send_json(content)


class LooksAtItsScope(AsyncWebsocketConsumer):
    async def connect(self):
        note(self, id(self.scope) == self.scope["identity"], sorted(self.scope))
        note(self, self.scope["subprotocols"])
        await self.accept(next(iter(self.scope["subprotocols"]), None))


class Ticker(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        for number in range(int(text_data)):
            await self.send(text_data=f"tick {number}")


@every_server
@virtual
async def test_a_silent_client_hears_nothing_for_hours(variant: Variant, style):
    server = variant.server(variant(Echo), style=style)
    server.client_connects()

    await asyncio.sleep(12 * HOUR)

    assert [sent["type"] for sent in variant.sent] == ["websocket.accept"]
    server.client_closes()
    assert await server.ended() is None
    assert variant.notes == [("disconnect", 1000)]


@every_server
@virtual
async def test_a_client_that_says_something_now_and_then_hears_what_it_always_did(
    variant: Variant, style
):
    server = variant.server(variant(Echo), style=style)
    server.client_connects()

    for number in range(100):
        server.client_sends(f"frame {number}" if number % 3 else b"\x1e\x00")
        await asyncio.sleep(7 * number)

    assert len(variant.sent) == 1 + 100
    server.client_closes()
    assert await server.ended() is None


@virtual
async def test_a_client_that_says_much_hears_what_it_always_did(variant: Variant):
    server = variant.server(variant(Ticker))
    server.client_connects()

    for _ in range(10):
        server.client_sends("100")
        await asyncio.sleep(HOUR)

    assert len(variant.sent) == 1 + 1000
    server.client_closes()
    assert await server.ended() is None


@virtual
async def test_a_client_that_vanishes_after_hours_ends_as_it_always_did(variant: Variant):
    server = variant.server(variant(Echo), style=UVICORN)
    server.client_connects()
    server.client_sends("hi")

    await asyncio.sleep(5 * HOUR)
    server.client_vanishes()

    assert await server.ended() is None
    if variant.is_ours:
        variant.differs("a lost connection is 1006 everywhere, and 1005 on plain Uvicorn")
        assert variant.notes[-1] == ("disconnect", 1006)
    assert [sent["type"] for sent in variant.sent] == ["websocket.accept", "websocket.send"]


OURS = [
    "\x1e",
    "\x1e\x1e",
    '\x1e{"type":"hello","version":1}',
    '\x1e{"type":"ping","n":1}',
    '\x1e{"type":"pong","n":1}',
    '\x1e{"type":"bye","code":3513}',
    "ping",
    "pong",
    '{"type":"ping"}',
]


@pytest.mark.parametrize("text", OURS, ids=ascii)
@virtual
async def test_what_means_something_to_others_is_text_to_an_ordinary_client(
    variant: Variant, text: str
):
    client = variant.communicator(variant(Echo))
    await client.connect()

    await client.send_to(text_data=text)

    assert await client.receive_from() == text
    assert variant.notes == [(text, None)]
    await client.disconnect()


@virtual
async def test_a_protocol_of_the_applications_own_may_look_like_ours(variant: Variant):
    client = variant.communicator(variant(JsonEcho))
    await client.connect()

    for kind in ("hello", "ping", "pong", "bye"):
        await client.send_json_to({"type": kind, "n": 1})
        assert json.loads(await client.receive_from()) == {"type": kind, "n": 1}

    await client.disconnect()


@pytest.mark.parametrize(
    "subprotocols",
    [[], ["chat"], ["graphql-transport-ws", "graphql-ws"], ["resilient.v2"], ["chat", "chat"]],
    ids=str,
)
@virtual
async def test_the_scope_is_the_servers_own(variant: Variant, subprotocols: list[str]):
    client = variant.communicator(variant(LooksAtItsScope), subprotocols=subprotocols)
    client.scope["identity"] = id(client.scope)

    assert await client.connect() == (True, next(iter(subprotocols), None))

    (is_the_same, keys), seen = variant.notes
    assert is_the_same
    assert seen == subprotocols
    assert {"type", "path", "subprotocols"} < set(keys)
    await client.disconnect()


@virtual
async def test_news_of_hours_reach_an_ordinary_client_and_nothing_else_does(variant: Variant):
    server = variant.server(variant(Echo))
    server.client_connects()
    await asyncio.sleep(1)

    for number in range(24):
        await get_channel_layer().group_send("room", {"type": "news", "text": f"news {number}"})
        await asyncio.sleep(HOUR)

    assert [sent.get("text") for sent in variant.sent[1:]] == [f"news {n}" for n in range(24)]
    server.client_closes()
    assert await server.ended() is None


@virtual
async def test_to_the_application_a_client_of_the_protocol_is_a_client_like_any_other(
    variant: Variant,
):
    """What differs is on the wire, and the one subprotocol that is not the application's."""
    server = variant.server(variant(Echo), subprotocols=["resilient.v1"])
    server.client_connects()
    await asyncio.sleep(0.1)
    if variant.is_ours:
        variant.differs("the wire protocol was asked for, and is spoken")
        server.client_sends('\x1e{"type":"hello","version":1}')

    for number in range(50):
        server.client_sends(f"frame {number}")
        if variant.is_ours:
            server.client_sends(f'\x1e{{"type":"ping","n":{number}}}')
        await asyncio.sleep(19)
    server.client_closes()
    assert await server.ended() is None

    texts = [sent["text"] for sent in variant.sent[1:] if sent["text"][0] != "\x1e"]
    assert texts == [f"frame {number}" for number in range(50)]
    assert variant.notes == [*((text, None) for text in texts), ("disconnect", 1000)]
