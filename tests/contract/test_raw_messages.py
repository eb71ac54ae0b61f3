"""Messages that consumers build themselves, and sends from outside a handler."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer

from contract.variants import VARIANTS, Variant, note
from support.loop import virtual
from support.servers import UVICORN

only_async = pytest.mark.parametrize("variant", VARIANTS[:2], indirect=True)


class UsesBaseSend(AsyncWebsocketConsumer):
    async def connect(self):
        await self.base_send({"type": "websocket.accept", "subprotocol": "raw"})

    async def receive(self, text_data=None, bytes_data=None):
        await self.base_send({"type": "websocket.send", "text": text_data, "extra": 1})
        await self.base_send({"type": "websocket.close", "code": 4001})

    async def disconnect(self, code):
        note(self, "disconnect", code)


class AnswersWithHttp(AsyncWebsocketConsumer):
    async def connect(self):
        await self.base_send(
            {"type": "websocket.http.response.start", "status": 429, "headers": [(b"x", b"y")]}
        )
        await self.base_send(
            {"type": "websocket.http.response.body", "body": b"slow ", "more_body": True}
        )
        await self.base_send({"type": "websocket.http.response.body", "body": b"down"})

    async def disconnect(self, code):
        note(self, "disconnect", code)


class SendsTooEarly(AsyncWebsocketConsumer):
    async def connect(self):
        try:
            await self.send("early")
        except RuntimeError as error:
            note(self, str(error))
        await self.accept()


class AcceptsTwice(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()
        try:
            await self.accept()
        except RuntimeError:
            note(self, "refused")


class ClosesWithAnyCode(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.close(int(text_data))


class TicksFromATask(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()
        self.ticker = asyncio.ensure_future(self.tick())

    async def tick(self):
        for number in range(3):
            await asyncio.sleep(1)
            await self.send(str(number))

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(f"heard {text_data}")

    async def disconnect(self, code):
        self.ticker.cancel()
        note(self, "disconnect", code)


class AcceptsFromATask(AsyncWebsocketConsumer):
    async def connect(self):
        self.later = asyncio.ensure_future(self.accept_later())

    async def accept_later(self):
        await asyncio.sleep(2)
        await self.accept()
        await self.send("welcome")


@virtual
async def test_base_send_takes_any_message(variant: Variant):
    server = variant.server(variant(UsesBaseSend), style=UVICORN)
    server.client_connects()
    server.client_sends("x")

    assert await server.ended() is None

    assert variant.sent == [
        {"type": "websocket.accept", "subprotocol": "raw"},
        {"type": "websocket.send", "text": "x", "extra": 1},
        {"type": "websocket.close", "code": 4001},
    ]
    assert variant.notes == [("disconnect", 4001)]


@virtual
async def test_a_consumer_may_refuse_with_an_http_response(variant: Variant):
    server = variant.server(variant(AnswersWithHttp), style=UVICORN)
    server.client_connects()

    assert await server.ended() is None

    assert [message.get("body", message.get("status")) for message in variant.sent] == [
        429,
        b"slow ",
        b"down",
    ]
    assert variant.notes == [("disconnect", 1006)]


@virtual
async def test_a_send_before_accept_is_the_servers_to_refuse(variant: Variant):
    server = variant.server(variant(SendsTooEarly), style=UVICORN)
    server.client_connects()
    assert (await server.next_sent())["type"] == "websocket.accept"

    server.client_closes()

    assert await server.ended() is None
    assert variant.notes == ["Expected ASGI message 'websocket.accept' but got 'websocket.send'."]


@virtual
async def test_a_second_accept_reaches_the_server(variant: Variant):
    client = variant.communicator(variant(AcceptsTwice))

    assert (await client.connect())[0]

    assert (await client.receive_output())["type"] == "websocket.accept"
    assert variant.notes == []
    await client.disconnect()


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 1011, 1013, 3000, 4000, 4999])
@virtual
async def test_close_takes_every_code_that_may_travel(variant: Variant, code: int):
    server = variant.server(variant(ClosesWithAnyCode), style=UVICORN)
    server.client_connects()
    server.client_sends(str(code))

    assert await server.ended() is None

    assert variant.sent[1:] == [{"type": "websocket.close", "code": code}]


@only_async
@virtual
async def test_a_task_of_the_consumer_may_send(variant: Variant):
    client = variant.communicator(variant(TicksFromATask))
    await client.connect()

    assert await client.receive_from(timeout=5) == "0"
    await client.send_to("x")
    assert [await client.receive_from(timeout=5) for _ in range(3)] == ["heard x", "1", "2"]

    await client.disconnect()
    assert variant.notes == [("disconnect", 1000)]


@only_async
@virtual
async def test_a_task_of_the_consumer_may_accept(variant: Variant):
    client = variant.communicator(variant(AcceptsFromATask))

    assert await client.connect(timeout=10) == (True, None)

    assert await client.receive_from() == "welcome"
    await client.disconnect()


@virtual
async def test_a_test_that_waits_in_vain_gets_its_timeout(variant: Variant):
    variant.differs("the communicator cancels the application, and the mixin says goodbye")
    client = variant.communicator(variant(ClosesWithAnyCode))
    await client.connect()

    with pytest.raises(TimeoutError):
        await client.receive_from()

    with pytest.raises(asyncio.CancelledError):
        await client.future


@virtual
async def test_nothing_is_sent_while_nothing_happens(variant: Variant):
    client = variant.communicator(variant(ClosesWithAnyCode))
    await client.connect()

    await asyncio.sleep(24 * 3600)

    assert await client.receive_nothing()
    await client.disconnect()
    assert len(variant.sent) == 1


def test_the_bases_are_what_they_were(variant: Variant):
    base = WebsocketConsumer if variant.sync else AsyncWebsocketConsumer

    assert issubclass(variant(UsesBaseSend), base)
    assert variant(UsesBaseSend).__name__ == "UsesBaseSend"
