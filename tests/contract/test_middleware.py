"""Behind the middleware and without it, side by side: what the six variants do not cover."""

import asyncio

import pytest
from asgiref.sync import async_to_sync
from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import TestCase, TransactionTestCase
from django.urls import path

from contract.test_database import AsyncUsers, SyncUsers, closings, converse
from contract.variants import Variant, note
from resilient_channels import ResilientMiddleware
from support.loop import virtual
from support.scripted import ScriptedServer
from support.servers import ALL_STYLES

ACCEPT = {"type": "websocket.accept"}


class Behind:
    """A consumer class behind the middleware, as far as tests use one."""

    def __init__(self, consumer):
        self.consumer = consumer

    def __repr__(self):
        return f"Behind({self.consumer.__name__})"

    def as_asgi(self):
        return ResilientMiddleware(self.consumer.as_asgi())


# --- bare applications, on every server ----------------------------------------------------------


async def echo(scope, receive, send):
    scope["notes"].append(await receive())
    await send({**ACCEPT, "subprotocol": None, "headers": [(b"x-seat", b"12")]})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    scope["notes"].append(message)


async def accepts_unasked(scope, receive, send):
    await send(ACCEPT)
    for _ in range(3):
        scope["notes"].append(await receive())
    await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
    await until_it_leaves(receive)


async def refuses(scope, receive, send):
    scope["notes"].append(await receive())
    await send({"type": "websocket.close", "code": 4003})
    scope["notes"].append(await receive())


async def closes_as_servers_do(scope, receive, send):
    """With codes that not every server can send; some raise, and the connection is still open."""
    await receive()
    await send(ACCEPT)
    for code in (1011, 1008, 3000):
        try:
            await send({"type": "websocket.close", "code": code, "reason": ""})
        except Exception as error:  # noqa: BLE001  # Daphne raises nothing more precise
            scope["notes"].append((code, repr(error)))
        else:
            break
    await until_it_leaves(receive)


async def waits_with_a_limit(scope, receive, send):
    await receive()
    await send(ACCEPT)
    message = {"type": ""}
    while message["type"] != "websocket.disconnect":
        try:
            message = await asyncio.wait_for(receive(), 0.3)
        except TimeoutError:
            await send({"type": "websocket.send", "text": "are you there?"})
        else:
            scope["notes"].append(message)


async def works_in_tasks(scope, receive, send):
    queue = asyncio.Queue()

    async def read():
        while (message := await receive())["type"] != "websocket.disconnect":
            await queue.put(message)
        await queue.put(None)

    async def write():
        while (message := await queue.get()) is not None:
            if message["type"] == "websocket.connect":
                await send(ACCEPT)
            else:
                await send({"type": "websocket.send", "bytes": repr(message).encode()})

    await asyncio.gather(read(), write())


async def fails_at_once(scope, receive, send):
    raise LookupError("at once")


async def fails_in_the_handshake(scope, receive, send):
    await receive()
    raise LookupError("in the handshake")


async def fails_in_between(scope, receive, send):
    await receive()
    await send(ACCEPT)
    await receive()
    raise LookupError("in between")


async def sends_nonsense(scope, receive, send):
    await receive()
    await send(ACCEPT)
    await send({"type": "websocket.send", "text": 12, "more": None})
    await send({"type": "websocket.nonsense"})
    await until_it_leaves(receive)


async def sends_too_early(scope, receive, send):
    await send({"type": "websocket.send", "text": "x"})
    await until_it_leaves(receive)


async def until_it_leaves(receive):
    while (await receive())["type"] != "websocket.disconnect":
        pass


BARE = [
    echo, accepts_unasked, refuses, closes_as_servers_do, waits_with_a_limit, works_in_tasks,
    fails_at_once, fails_in_the_handshake, fails_in_between, sends_nonsense, sends_too_early,
]  # fmt: skip


async def observe(application, style):
    """Everything that a server and an application see of each other in one conversation."""
    notes = []
    server = ScriptedServer(style=style, notes=notes)
    server.start(application)
    server.client_connects()
    await asyncio.sleep(0.1)
    for frame in ("one", b"two", "", "three"):
        server.client_sends(frame)
        await asyncio.sleep(1)
    if not server.closed:
        server.client_closes(4000, "bye")
    return server.sent, server.refused, notes, repr(await server.ended())


@pytest.mark.parametrize("application", BARE, ids=lambda application: application.__name__)
@pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)
@virtual
async def test_a_bare_application_and_its_server_see_the_same_of_each_other(style, application):
    assert await observe(ResilientMiddleware(application), style) == await observe(
        application, style
    )


# --- where it can be put -------------------------------------------------------------------------


class Room(AsyncWebsocketConsumer):
    groups = ["room"]

    async def connect(self):
        note(self, self.scope["url_route"]["kwargs"], str(self.scope["user"]))
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send("room", {"type": "news", "text": text_data})

    async def news(self, event):
        await self.send(event["text"])

    async def disconnect(self, code):
        note(self, "disconnect", code)


def around_everything(consumer):
    return ResilientMiddleware(AuthMiddlewareStack(URLRouter([path("<room>/", consumer)])))


def inside_of_auth(consumer):
    return AuthMiddlewareStack(ResilientMiddleware(URLRouter([path("<room>/", consumer)])))


def around_one_route(consumer):
    return AuthMiddlewareStack(URLRouter([path("<room>/", ResilientMiddleware(consumer))]))


@pytest.mark.parametrize("place", [around_everything, inside_of_auth, around_one_route])
@pytest.mark.parametrize("kind", ["plain", "mixin"])
@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@virtual
async def test_wherever_it_is_put_nothing_changes(place, kind, sync):
    variant = Variant(sync, resilient=kind == "mixin")
    application = ProtocolTypeRouter({"websocket": place(variant(Room).as_asgi())})
    client = variant.communicator(application, "/lobby/")

    assert (await client.connect())[0]
    await client.send_to("hello")

    assert await client.receive_from() == "hello"
    await client.disconnect(4001)
    assert variant.notes == [({"room": "lobby"}, "AnonymousUser"), ("disconnect", 4001)]
    assert get_channel_layer().groups == {}


@virtual
async def test_members_with_and_without_hear_each_other():
    variants = [Variant(*kind) for kind in [(False, False), (True, True), (False, False, True)]]
    scope = {"url_route": {"kwargs": {}}, "user": "somebody"}
    clients = [variant.communicator(variant(Room), scope=scope) for variant in variants]
    for client in clients:
        assert (await client.connect())[0]

    for number, sender in enumerate(clients):
        await sender.send_to(f"from {number}")
        assert [await client.receive_from() for client in clients] == [f"from {number}"] * 3

    for client in clients:
        await client.disconnect()
    assert [variant.notes[-1] for variant in variants] == [("disconnect", 1000)] * 3


# --- the database --------------------------------------------------------------------------------


class Conversations:
    async def test_handlers_and_the_test_share_the_database(self) -> None:
        for consumer in (AsyncUsers, SyncUsers):
            with self.subTest(consumer=consumer):
                await get_user_model().objects.all().adelete()
                await get_user_model().objects.acreate(username="made-by-test")

                names = await converse(Behind(consumer), "made-in-receive")

                assert names == ["made-by-test", "made-in-connect", "made-in-receive"]

    def test_so_they_do_in_a_synchronous_test(self) -> None:
        for consumer in (AsyncUsers, SyncUsers):
            with self.subTest(consumer=consumer):
                get_user_model().objects.all().delete()

                names = async_to_sync(converse)(Behind(consumer), "made-in-receive", "more")

                assert names == ["made-in-connect", "made-in-receive", "more"]

    async def test_what_a_handler_raises_reaches_the_test(self) -> None:
        for consumer in (AsyncUsers, SyncUsers):
            with self.subTest(consumer=consumer):
                await get_user_model().objects.all().adelete()
                with pytest.raises(ValueError, match="boom"):
                    await converse(Behind(consumer), "boom")


class InATransaction(Conversations, TestCase):
    def tearDown(self) -> None:
        assert connection.in_atomic_block
        assert not connection.needs_rollback

    async def test_nothing_closes_the_connection_between_the_messages(self) -> None:
        for consumer in (AsyncUsers, SyncUsers):
            with self.subTest(consumer=consumer):
                await get_user_model().objects.all().adelete()
                client = WebsocketCommunicator(Behind(consumer).as_asgi(), "/")
                with closings() as close:
                    await client.connect()
                    for number in range(3):
                        await client.send_json_to(f"{number}")
                        await client.receive_json_from()

                assert close.call_count == 0
                await client.disconnect()


class OutsideOne(Conversations, TransactionTestCase):
    pass
