"""Consumers that take long to come to their end."""

from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import DisconnectKind, on_disconnect
from shells.visits import note

TIMEOUT = 8.0
END = [DisconnectKind.CLIENT, ("disconnect", 1000)]


class Busy(AsyncWebsocketConsumer):
    """Works for as many seconds as the client asks."""

    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        await self.pause(float(text_data))
        note(self, "finished")

    @on_disconnect
    async def ended(self, info):
        note(self, info.kind)

    async def disconnect(self, code):
        note(self, "disconnect", code)


class HangingHook(Busy):
    @on_disconnect
    async def ended(self, info):
        await self.pause(1000)
        note(self, "never")


class HangingDisconnect(Busy):
    async def disconnect(self, code):
        note(self, "disconnect", code)
        await self.pause(1000)
        note(self, "never")
