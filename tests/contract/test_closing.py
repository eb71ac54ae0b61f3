"""Ending a connection: codes, reasons, and disconnect() once."""

import pytest
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from contract.variants import Variant, note
from support.loop import virtual
from support.servers import DAPHNE, UVICORN


class Closes(AsyncWebsocketConsumer):
    """Closes as its path says."""

    ways = {
        "/nothing": {},
        "/code": {"code": 4001},
        "/reason": {"code": 4001, "reason": "enough"},
        "/only-reason": {"reason": "enough"},
        "/true": {"code": True},
        "/normal": {"code": 1000},
    }

    async def receive(self, text_data=None, bytes_data=None):
        await self.close(**self.ways[self.scope["path"]])

    async def disconnect(self, code):
        note(self, "disconnect", code)


class ClosesByPosition(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.close(4001, "enough")

    async def disconnect(self, code):
        note(self, "disconnect", code)


class Listens(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        note(self, text_data)

    async def disconnect(self, code):
        note(self, "disconnect", code)


class CallsItCloseCode(AsyncWebsocketConsumer):
    async def disconnect(self, close_code):
        note(self, close_code)


class StopsInReceive(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        note(self, text_data)
        raise StopConsumer


class StopsInConnect(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()
        raise StopConsumer


class StopsInDisconnect(AsyncWebsocketConsumer):
    async def disconnect(self, code):
        note(self, code)
        raise StopConsumer


class StopsInEvent(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.send(self.channel_name, {"type": "please.stop"})

    async def please_stop(self, event):
        raise StopConsumer


@pytest.mark.parametrize(
    ("path", "close", "code"),
    [
        ("/nothing", {}, 1000),
        ("/code", {"code": 4001}, 4001),
        ("/reason", {"code": 4001, "reason": "enough"}, 4001),
        ("/only-reason", {"reason": "enough"}, 1000),
        ("/true", {}, 1000),
        ("/normal", {"code": 1000}, 1000),
    ],
)
@pytest.mark.parametrize("style", [UVICORN, DAPHNE], ids=lambda style: style.name)
@virtual
async def test_close_sends_code_and_reason_as_given(variant: Variant, style, path, close, code):
    server = variant.server(variant(Closes), style=style, path=path)
    server.client_connects()
    server.client_sends("now")

    assert await server.ended() is None

    assert variant.sent[1:] == [{"type": "websocket.close", **close}]
    assert variant.notes == [("disconnect", code)]


@virtual
async def test_close_takes_its_arguments_by_position(variant: Variant):
    server = variant.server(variant(ClosesByPosition), style=UVICORN)
    server.client_connects()
    server.client_sends("now")

    assert await server.ended() is None

    assert variant.sent[1:] == [{"type": "websocket.close", "code": 4001, "reason": "enough"}]
    assert variant.notes == [("disconnect", 4001)]


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 3000, 4999])
@pytest.mark.parametrize("consumer", [Listens, CallsItCloseCode])
@virtual
async def test_disconnect_gets_the_clients_code(variant: Variant, consumer: type, code: int):
    client = variant.communicator(variant(consumer))
    await client.connect()

    await client.disconnect(code)

    assert variant.notes in ([("disconnect", code)], [code])
    assert variant.sent == [{"type": "websocket.accept", "subprotocol": None}]


@virtual
async def test_what_was_received_is_handled_before_the_disconnect(variant: Variant):
    server = variant.server(variant(Listens))
    server.client_connects()
    for number in range(20):
        server.client_sends(str(number))
    server.client_closes(4000)

    assert await server.ended() is None

    assert variant.notes == [*map(str, range(20)), ("disconnect", 4000)]


@virtual
async def test_the_client_that_leaves_after_our_close_is_not_a_second_disconnect(
    variant: Variant,
):
    server = variant.server(variant(Closes), path="/code")
    server.client_connects()
    server.client_sends("now")
    for _ in range(2):
        await server.next_sent()
    server.client_vanishes()

    assert await server.ended() is None

    assert variant.notes == [("disconnect", 4001)]


@pytest.mark.parametrize("consumer", [StopsInReceive, StopsInConnect, StopsInEvent])
@virtual
async def test_stop_consumer_ends_the_application_quietly(variant: Variant, consumer: type):
    """Plain, the open socket is left behind: Daphne keeps it, and reads it for nobody."""
    variant.differs("what a consumer left open is closed")
    server = variant.server(variant(consumer))
    server.client_connects()
    server.client_sends("x")

    assert await server.ended() is None

    accept, close = {"type": "websocket.accept", "subprotocol": None}, {"type": "websocket.close"}
    assert variant.sent == ([accept, close] if variant.is_ours else [accept])


@virtual
async def test_stop_consumer_in_disconnect_is_harmless(variant: Variant):
    client = variant.communicator(variant(StopsInDisconnect))
    await client.connect()

    await client.disconnect(4000)

    assert variant.notes == [4000]
