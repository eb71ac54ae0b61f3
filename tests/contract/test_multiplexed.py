"""Several consumers behind one connection, as multiplexers have them."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from contract.variants import VARIANTS, Variant, note
from support.loop import virtual

under_the_mixin = pytest.mark.parametrize("variant", VARIANTS[1::2], indirect=True)


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data, bytes_data)

    async def disconnect(self, code):
        note(self, "disconnect", code)


class Fragile(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        raise ZeroDivisionError

    async def disconnect(self, code):
        note(self, "disconnect", code)


class RemembersItself(AsyncWebsocketConsumer):
    async def connect(self):
        self.seen = 0
        self.state = {"open": True}
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        self.seen += 1
        await self.send(f"{self.seen} {self.state['open']}")


class Multiplexer:
    """Hands one scope to several consumers, each with pipes of its own."""

    def __init__(self, *applications) -> None:
        self.applications = applications
        self.out: asyncio.Queue = asyncio.Queue()

    async def __call__(self, scope, receive, send):
        inboxes = [asyncio.Queue() for _ in self.applications]
        tasks = [
            asyncio.ensure_future(application(scope, inbox.get, self.out.put))
            for application, inbox in zip(self.applications, inboxes, strict=True)
        ]
        message = {"type": ""}
        while message["type"] != "websocket.disconnect":
            message = await receive()
            for inbox in inboxes:
                inbox.put_nowait(dict(message))
        await asyncio.gather(*tasks)


@virtual
async def test_two_consumers_can_share_one_scope(variant: Variant):
    multiplexer = Multiplexer(variant(Echo).as_asgi(), variant(RemembersItself).as_asgi())
    server = variant.server(multiplexer.__call__)
    server.client_connects()
    server.client_sends("x")
    sent = [await multiplexer.out.get() for _ in range(4)]
    server.client_closes(4000)

    assert await server.ended() is None
    assert sorted(message.get("text", message["type"]) for message in sent) == [
        "1 True",
        "websocket.accept",
        "websocket.accept",
        "x",
    ]
    assert variant.notes == [("disconnect", 4000)]


@under_the_mixin
@virtual
async def test_of_two_consumers_on_one_scope_both_are_protected(variant: Variant):
    fragile = variant(Fragile).as_asgi()
    server = variant.server(Multiplexer(fragile, fragile).__call__)
    server.client_connects()
    server.client_sends("boom")
    server.client_closes(4000)

    assert await server.ended() is None

    assert variant.notes == [("disconnect", 4000), ("disconnect", 4000)]
