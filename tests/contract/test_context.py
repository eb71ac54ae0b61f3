"""What connect() sets for the context, the later handlers see."""

import contextvars

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from django.utils import timezone, translation

from contract.variants import Variant, note
from support.loop import virtual

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


class Tenant(AsyncWebsocketConsumer):
    groups = ["room"]

    async def connect(self):
        tenant.set(self.scope["path"])
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(tenant.get())
        tenant.set(text_data)

    async def news(self, event):
        await self.send(tenant.get())

    async def disconnect(self, code):
        note(self, tenant.get())


class Translated(AsyncWebsocketConsumer):
    async def connect(self):
        translation.activate("de")
        timezone.activate("Asia/Tokyo")
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(f"{translation.get_language()} {timezone.get_current_timezone_name()}")


@virtual
async def test_a_context_variable_lasts_for_the_connection(variant: Variant):
    client = variant.communicator(variant(Tenant), "/acme")
    await client.connect()

    await client.send_to("renamed")
    assert await client.receive_from() == "/acme"
    await client.send_to("again")
    assert await client.receive_from() == "renamed"
    await get_channel_layer().group_send("room", {"type": "news"})
    assert await client.receive_from() == "again"
    await client.disconnect()

    assert variant.notes == ["again"]
    assert tenant.get() == "nobody"


@virtual
async def test_connections_do_not_see_each_others_context(variant: Variant):
    clients = {path: variant.communicator(variant(Tenant), path) for path in ("/a", "/b")}
    for client in clients.values():
        await client.connect()

    for path, client in clients.items():
        await client.send_to(path)
        assert await client.receive_from() == path
        await client.disconnect()


@virtual
async def test_an_activated_language_lasts_for_the_connection(variant: Variant):
    before = translation.get_language()
    client = variant.communicator(variant(Translated))
    await client.connect()

    await client.send_to("x")

    assert await client.receive_from() == "de Asia/Tokyo"
    await client.disconnect()
    assert translation.get_language() == before
