"""Handlers use the database inside Django's own test cases, on a real event loop."""

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model
from django.test import TestCase, TransactionTestCase

from contract.variants import Variant


class AsyncUsers(AsyncJsonWebsocketConsumer):
    async def connect(self):
        await get_user_model().objects.acreate(username="made-in-connect")
        await self.accept()

    async def receive_json(self, content, **kwargs):
        await get_user_model().objects.acreate(username=content)
        await self.send_json(await self.names())

    @database_sync_to_async
    def names(self):
        return sorted(get_user_model().objects.values_list("username", flat=True))


class SyncUsers(JsonWebsocketConsumer):
    def connect(self):
        get_user_model().objects.create(username="made-in-connect")
        self.accept()

    def receive_json(self, content, **kwargs):
        get_user_model().objects.create(username=content)
        names = get_user_model().objects.values_list("username", flat=True)
        self.send_json(sorted(names))


CONSUMERS = [
    plain if not resilient else Variant(sync, resilient).mix(plain)
    for sync, plain in ((False, AsyncUsers), (True, SyncUsers))
    for resilient in (False, True)
]


class ConversationsWithTheDatabase:
    async def test_handlers_and_the_test_share_the_database(self) -> None:
        for consumer in CONSUMERS:
            with self.subTest(consumer=consumer.__mro__[:2]):
                await get_user_model().objects.all().adelete()
                await get_user_model().objects.acreate(username="made-by-test")
                client = WebsocketCommunicator(consumer.as_asgi(), "/")
                assert (await client.connect())[0]
                await client.send_json_to("made-in-receive")

                assert await client.receive_json_from() == [
                    "made-by-test",
                    "made-in-connect",
                    "made-in-receive",
                ]
                await client.disconnect()
                assert await get_user_model().objects.acount() == 3


class InATransaction(ConversationsWithTheDatabase, TestCase):
    pass


class OutsideOne(ConversationsWithTheDatabase, TransactionTestCase):
    pass
