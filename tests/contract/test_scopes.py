"""Consumers that are no websocket consumers, and raw ones that are."""

import pytest
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from channels.testing import ApplicationCommunicator, HttpCommunicator

from contract.variants import Variant, note
from support.loop import virtual


class RawWebsocket(AsyncConsumer):
    async def websocket_connect(self, message):
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, message):
        await self.send({"type": "websocket.send", "text": message["text"] + "!"})

    async def websocket_disconnect(self, message):
        note(self, "disconnect", message["code"])
        raise StopConsumer


class Page(AsyncConsumer):
    async def http_request(self, message):
        note(self, self.scope["method"], message.get("body"))
        await self.send({"type": "http.response.start", "status": 200, "headers": []})
        await self.send({"type": "http.response.body", "body": b"hello"})
        raise StopConsumer


class Lifespan(AsyncConsumer):
    async def lifespan_startup(self, message):
        await self.send({"type": "lifespan.startup.complete"})

    async def lifespan_shutdown(self, message):
        await self.send({"type": "lifespan.shutdown.complete"})
        raise StopConsumer


class Worker(AsyncConsumer):
    async def job_do(self, message):
        note(self, message["number"])
        if message["number"] == 3:
            raise StopConsumer


class WithoutSuchHandler(AsyncConsumer):
    pass


def client_of(variant: Variant, consumer: type, scope: dict) -> ApplicationCommunicator:
    application = variant.transcribe(variant(consumer).as_asgi())
    return ApplicationCommunicator(application, scope)


@virtual
async def test_a_bare_consumer_speaks_raw_websocket_messages(variant: Variant):
    client = variant.communicator(variant(RawWebsocket))
    assert await client.connect() == (True, None)

    await client.send_to("hi")

    assert await client.receive_from() == "hi!"
    await client.disconnect(4000)
    assert variant.notes == [("disconnect", 4000)]


@virtual
async def test_a_bare_consumer_answers_http(variant: Variant):
    application = variant.transcribe(variant(Page).as_asgi())
    client = HttpCommunicator(application, "POST", "/", body=b"question")

    response = await client.get_response()

    assert (response["status"], response["body"]) == (200, b"hello")
    assert variant.notes == [("POST", b"question")]
    await client.wait()


@virtual
async def test_a_bare_consumer_lives_a_lifespan(variant: Variant):
    client = client_of(variant, Lifespan, {"type": "lifespan"})

    await client.send_input({"type": "lifespan.startup"})
    assert await client.receive_output() == {"type": "lifespan.startup.complete"}
    await client.send_input({"type": "lifespan.shutdown"})
    assert await client.receive_output() == {"type": "lifespan.shutdown.complete"}

    await client.wait()


@virtual
async def test_a_worker_consumer_works_on_its_channel(variant: Variant):
    client = client_of(variant, Worker, {"type": "channel", "channel": "jobs"})

    for number in (1, 2, 3):
        await client.send_input({"type": "job.do", "number": number})
    await client.wait()

    assert variant.notes == [1, 2, 3]


@virtual
async def test_outside_websockets_an_unknown_message_is_raised(variant: Variant):
    client = client_of(variant, WithoutSuchHandler, {"type": "channel", "channel": "jobs"})

    await client.send_input({"type": "job.do"})

    with pytest.raises(ValueError, match=r"No handler for message type job\.do"):
        await client.wait()
