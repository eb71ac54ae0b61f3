"""A slow side slows the other down, and nothing overtakes anything."""

import asyncio

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from contract.variants import Variant, note
from support.loop import virtual


class SlowEcho(AsyncWebsocketConsumer):
    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        note(self, "begins", text_data)
        await self.send(text_data)
        note(self, "ends", text_data)

    async def news(self, event):
        note(self, "event", event["text"])


class Chatty(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        for number in range(5):
            await self.send(f"{text_data}{number}")


class Gate:
    """Holds back what is sent, until opened; then each message takes a second."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, message: dict) -> None:
        if message["type"] == "websocket.send":
            await self.opened.wait()
            await asyncio.sleep(1)


@virtual
async def test_a_blocked_send_holds_back_later_frames_and_events(variant: Variant):
    gate = Gate()
    server = variant.server(variant(SlowEcho), on_send=gate)
    server.client_connects()
    await server.next_sent()
    server.client_sends("a")
    server.client_sends("b")
    await asyncio.sleep(1)
    await get_channel_layer().group_send("room", {"type": "news", "text": "n"})
    await asyncio.sleep(10)
    assert variant.notes == [("begins", "a")]

    gate.opened.set()
    await server.next_sent()
    await server.next_sent()
    server.client_closes()

    assert await server.ended() is None
    frames = [entry for entry in variant.notes if entry[0] != "event"]
    assert frames == [("begins", "a"), ("ends", "a"), ("begins", "b"), ("ends", "b")]
    assert ("event", "n") in variant.notes


@virtual
async def test_a_slow_send_keeps_the_order(variant: Variant):
    gate = Gate()
    gate.opened.set()
    server = variant.server(variant(Chatty), on_send=gate)
    server.client_connects()
    await server.next_sent()

    server.client_sends("a")
    server.client_sends("b")
    heard = [(await server.next_sent())["text"] for _ in range(10)]

    assert heard == [f"{name}{number}" for name in "ab" for number in range(5)]
    assert asyncio.get_running_loop().time() == 10
    server.client_closes()
    assert await server.ended() is None
