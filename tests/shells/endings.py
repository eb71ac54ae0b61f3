"""Everything that can end a connection, and a consumer that can be ended so."""

import asyncio

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.layers import get_channel_layer

from resilient_channels import DisconnectKind, on_disconnect
from shells.visits import note


class Subject(AsyncJsonWebsocketConsumer):
    """Can be ended in many ways; notes how it went."""

    groups = ["room"]

    async def connect(self):
        await self.accept()
        self.resilient.spawn(tick(self.scope["notes"]))

    async def receive_json(self, content):
        if content == "fail":
            raise LookupError
        if content == "stop":
            raise StopConsumer
        if content == "close":
            await self.close(4001)
        if content == "send":
            await self.send("text")
        if content == "hang":
            await self.pause(1000)

    @on_disconnect
    async def ended(self, info):
        note(self, info)

    async def disconnect(self, code):
        note(self, "disconnect", code, "room" in get_channel_layer().groups)


async def tick(notes):
    try:
        await asyncio.sleep(100_000)
    finally:
        notes.append("task cancelled")


def server_fails_to_send(visit):
    def fail(message):
        if message["type"] == "websocket.send":
            raise OSError("gone")

    visit.on_send = fail
    visit.client_sends('"send"')


def server_blocks(visit):
    async def block(message):
        if message["type"] == "websocket.send":
            await asyncio.get_running_loop().create_future()

    visit.on_send = block
    visit.client_sends('"send"')


def server_fails_to_receive(visit):
    visit.faults.at, visit.faults.fault = len(visit.faults.passed) + 1, OSError("gone")
    visit.client_sends("1")


def flood_of_errors(visit):
    for _ in range(6):
        visit.client_sends('"fail"')


def flood_of_bad_input(visit):
    for _ in range(6):
        visit.client_sends("{")


def inbox_overflow(visit):
    for _ in range(20):
        visit.client_sends('"hang"')


ENDINGS = {
    "clean close": (lambda visit: visit.client_closes(1000), 1000, DisconnectKind.CLIENT),
    "going away": (lambda visit: visit.client_closes(1001), 1001, DisconnectKind.CLIENT),
    "own code": (lambda visit: visit.client_closes(4321), 4321, DisconnectKind.CLIENT),
    "close without code": (lambda v: v.client_closes(None), 1005, DisconnectKind.CLIENT),
    "lost": (lambda visit: visit.client_vanishes(), 1006, DisconnectKind.LOST),
    "our close": (lambda v: v.client_sends('"close"'), 4001, DisconnectKind.SERVER),
    "StopConsumer": (lambda v: v.client_sends('"stop"'), 1000, DisconnectKind.SERVER),
    "send fails": (server_fails_to_send, 1006, DisconnectKind.LOST),
    "send blocks": (server_blocks, 3420, DisconnectKind.TIMEOUT),
    "receive fails": (server_fails_to_receive, 1006, DisconnectKind.LOST),
    "errors": (flood_of_errors, 3500, DisconnectKind.ERROR),
    "bad input": (flood_of_bad_input, 3400, DisconnectKind.ERROR),
    "overflow": (inbox_overflow, 3503, DisconnectKind.ERROR),
    "cancelled": (lambda visit: visit.task.cancel(), 3512, DisconnectKind.CANCELLED),
}
