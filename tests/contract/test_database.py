"""Handlers use the database inside Django's own test cases, on a real event loop."""

from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.test import TestCase, TransactionTestCase

from contract.variants import Variant
from support.databases import forget, in_thread


class AsyncUsers(AsyncJsonWebsocketConsumer):
    async def connect(self):
        await get_user_model().objects.acreate(username="made-in-connect")
        await self.accept()

    async def receive_json(self, content, **kwargs):
        if content == "boom":
            raise ValueError(content)
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
        if content == "boom":
            raise ValueError(content)
        get_user_model().objects.create(username=content)
        names = get_user_model().objects.values_list("username", flat=True)
        self.send_json(sorted(names))


CONSUMERS = [
    plain if not resilient else Variant(sync, resilient).mix(plain)
    for sync, plain in ((False, AsyncUsers), (True, SyncUsers))
    for resilient in (False, True)
]
RESILIENT = CONSUMERS[1::2]


def closings():
    """Counts what tries to close a connection; one to an in-memory database would stay open."""
    return mock.patch.object(type(connections["default"]), "close", autospec=True)


async def converse(consumer: type, *words: str) -> list[str]:
    """What the consumer answers to the last word."""
    client = WebsocketCommunicator(consumer.as_asgi(), "/")
    assert (await client.connect())[0]
    for word in words:
        await client.send_json_to(word)
        names: list[str] = await client.receive_json_from()
    await client.disconnect()
    return names


class ConversationsWithTheDatabase:
    async def test_handlers_and_the_test_share_the_database(self) -> None:
        for consumer in CONSUMERS:
            with self.subTest(consumer=consumer.__mro__[:2]):
                await get_user_model().objects.all().adelete()
                await get_user_model().objects.acreate(username="made-by-test")

                names = await converse(consumer, "made-in-receive")

                assert names == ["made-by-test", "made-in-connect", "made-in-receive"]
                assert await get_user_model().objects.acount() == 3

    def test_so_they_do_in_a_synchronous_test(self) -> None:
        for consumer in CONSUMERS:
            with self.subTest(consumer=consumer.__mro__[:2]):
                get_user_model().objects.all().delete()
                get_user_model().objects.create(username="made-by-test")

                names = async_to_sync(converse)(consumer, "made-in-receive", "more")

                assert names == ["made-by-test", "made-in-connect", "made-in-receive", "more"]
                assert get_user_model().objects.count() == 4


class InATransaction(ConversationsWithTheDatabase, TestCase):
    def setUp(self) -> None:
        assert get_user_model().objects.count() == 0, "the transaction before was not rolled back"

    def tearDown(self) -> None:
        assert connection.in_atomic_block
        assert not connection.needs_rollback

    async def test_nothing_closes_the_connection_between_the_messages(self) -> None:
        for consumer in CONSUMERS:
            with self.subTest(consumer=consumer.__mro__[:2]):
                client = WebsocketCommunicator(consumer.as_asgi(), "/")
                with closings() as close:
                    await client.connect()
                    for number in range(3):
                        await client.send_json_to(f"{consumer.__mro__[:2]} {number}")
                        await client.receive_json_from()

                assert close.call_count == 0
                await client.disconnect()
                await get_user_model().objects.all().adelete()

    async def test_not_even_after_a_handler_has_failed(self) -> None:
        for consumer in RESILIENT:
            with self.subTest(consumer=consumer.__mro__[:2]):
                client = WebsocketCommunicator(consumer.as_asgi(), "/")
                with closings() as close:
                    await client.connect()
                    await client.send_json_to("boom")
                    await client.send_json_to("after")
                    assert await client.receive_json_from() == ["after", "made-in-connect"]

                assert close.call_count == 0
                await client.disconnect()
                await get_user_model().objects.all().adelete()


class OutsideOne(ConversationsWithTheDatabase, TransactionTestCase):
    pass


@pytest.fixture
def forgotten():
    """An in-memory database stays open in the thread, where other tests must not touch it."""
    yield
    in_thread(lambda: forget("default"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: str(consumer.__mro__[:2]))
async def test_so_they_do_in_the_way_of_pytest(consumer: type):
    names = await converse(consumer, "made-in-receive", "more")

    assert names == ["made-in-connect", "made-in-receive", "more"]
