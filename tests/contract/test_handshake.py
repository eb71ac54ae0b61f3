"""Accepting and refusing a connection, and what the consumer knows about it."""

import pytest
from channels.exceptions import AcceptConnection, DenyConnection
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser
from django.urls import path

from contract.variants import Variant, as_application, note
from support.loop import virtual
from support.servers import DAPHNE, UVICORN, ServerStyle


class Default(AsyncWebsocketConsumer):
    pass


class Chooses(AsyncWebsocketConsumer):
    async def connect(self):
        wanted = self.scope["subprotocols"]
        await self.accept(wanted[-1] if wanted else None, headers=[(b"x-seat", b"12")])


class AcceptsByKeyword(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept(subprotocol="graphql-ws")


class AcceptsByException(AsyncWebsocketConsumer):
    async def connect(self):
        raise AcceptConnection


class RefusesByException(AsyncWebsocketConsumer):
    async def connect(self):
        raise DenyConnection

    async def disconnect(self, code):
        note(self, "disconnect", code)


class RefusesByClose(AsyncWebsocketConsumer):
    async def connect(self):
        await self.close()

    async def disconnect(self, code):
        note(self, "disconnect", code)


class RefusesWithCode(AsyncWebsocketConsumer):
    async def connect(self):
        await self.close(4003, "not you")

    async def disconnect(self, code):
        note(self, "disconnect", code)


class Talkative(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()
        await self.send(text_data="welcome")


class AcceptsThenCloses(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()
        await self.close(4001)


class AcceptsAgain(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        try:
            await self.accept()
        except Exception as error:  # noqa: BLE001  # servers raise different ones
            note(self, type(error).__name__)
        await self.send(text_data=text_data)


# Known by its name and its text; the real one is held against both where servers are.
UnexpectedMessageError = type(
    "UnexpectedMessageError", (Exception,), {"__module__": "hypercorn.utils"}
)


class Hypercorn(ServerStyle):
    """Refuses to accept what is open, and is otherwise lenient."""

    def take(self, server, message):
        if message["type"] == "websocket.accept" and server.accepted:
            raise UnexpectedMessageError(
                "Unexpected message type, websocket.accept given the state "
                "ASGIWebsocketState.CONNECTED"
            )
        return super().take(server, message)


class Undecided(AsyncWebsocketConsumer):
    async def connect(self):
        note(self, "connect")

    async def receive(self, text_data=None, bytes_data=None):
        note(self, "receive", text_data)

    async def disconnect(self, code):
        note(self, "disconnect", code)


class Describes(AsyncWebsocketConsumer):
    async def connect(self):
        note(self, "user", str(self.scope["user"]))
        note(self, "room", self.scope["url_route"]["kwargs"]["room"])
        note(self, "query", self.scope["query_string"])
        note(self, "headers", self.scope["headers"])
        note(self, "path", self.scope["path"])
        note(self, "type", self.scope["type"])
        await self.accept()


@virtual
async def test_connect_accepts_by_default(variant: Variant):
    client = variant.communicator(variant(Default))

    assert await client.connect() == (True, None)

    assert variant.sent == [{"type": "websocket.accept", "subprotocol": None}]
    await client.disconnect()


@virtual
async def test_accept_passes_subprotocol_and_headers(variant: Variant):
    client = variant.communicator(variant(Chooses), subprotocols=["v1", "v2"])

    assert await client.connect() == (True, "v2")

    assert client.response_headers == [(b"x-seat", b"12")]
    await client.disconnect()


@virtual
async def test_accept_takes_the_subprotocol_by_keyword(variant: Variant):
    client = variant.communicator(variant(AcceptsByKeyword))

    assert await client.connect() == (True, "graphql-ws")

    await client.disconnect()


@virtual
async def test_accept_connection_accepts(variant: Variant):
    client = variant.communicator(variant(AcceptsByException))

    assert await client.connect() == (True, None)

    await client.disconnect()


@pytest.mark.parametrize("consumer", [RefusesByException, RefusesByClose])
@virtual
async def test_a_refusal_is_a_bare_close(variant: Variant, consumer: type):
    client = variant.communicator(variant(consumer))

    assert await client.connect() == (False, 1000)

    assert variant.sent == [{"type": "websocket.close"}]
    await client.disconnect()


@virtual
async def test_a_refusal_keeps_its_code_and_reason(variant: Variant):
    client = variant.communicator(variant(RefusesWithCode))

    assert await client.connect() == (False, 4003)

    assert variant.sent == [{"type": "websocket.close", "code": 4003, "reason": "not you"}]
    await client.disconnect()


@pytest.mark.parametrize("style", [UVICORN, DAPHNE], ids=lambda style: style.name)
@pytest.mark.parametrize("consumer", [RefusesByException, RefusesByClose, RefusesWithCode])
@virtual
async def test_a_refused_client_is_disconnected_once(variant: Variant, consumer: type, style):
    """A refusal is no close frame, whatever code it was given: servers report 1006."""
    server = variant.server(variant(consumer), style=style)
    server.client_connects()

    assert await server.ended() is None

    assert variant.notes == [("disconnect", 1006)]
    assert [message["type"] for message in variant.sent] == ["websocket.close"]


@virtual
async def test_connect_may_send_at_once(variant: Variant):
    client = variant.communicator(variant(Talkative))

    await client.connect()

    assert await client.receive_from() == "welcome"
    await client.disconnect()


@virtual
async def test_connect_may_accept_and_close(variant: Variant):
    server = variant.server(variant(AcceptsThenCloses), style=UVICORN)
    server.client_connects()

    assert await server.ended() is None

    assert variant.sent == [
        {"type": "websocket.accept", "subprotocol": None},
        {"type": "websocket.close", "code": 4001},
    ]


@virtual
async def test_a_second_accept_fails_as_the_server_has_it_and_ends_nothing(variant: Variant):
    server = variant.server(variant(AcceptsAgain), style=Hypercorn())
    server.client_connects()
    await server.next_sent()

    for text in ("one", "two"):
        server.client_sends(text)
        assert (await server.next_sent())["text"] == text

    assert variant.notes == ["UnexpectedMessageError"] * 2
    server.client_closes()
    assert await server.ended() is None


@virtual
async def test_a_client_that_leaves_before_the_answer_is_disconnected(variant: Variant):
    server = variant.server(variant(Undecided))
    server.client_connects()
    server.client_vanishes()

    assert await server.ended() is None

    assert variant.notes == ["connect", ("disconnect", 1006)]
    assert variant.sent == []


@virtual
async def test_the_scope_has_route_user_headers_and_query(variant: Variant):
    router = URLRouter([path("rooms/<str:room>/", as_application(variant(Describes)))])
    client = variant.communicator(
        router,
        "/rooms/lobby/?token=1&x=y",
        headers=[(b"origin", b"https://example.org")],
        scope={"user": AnonymousUser()},
    )

    assert (await client.connect())[0]

    assert variant.notes == [
        ("user", "AnonymousUser"),
        ("room", "lobby"),
        ("query", b"token=1&x=y"),
        ("headers", [(b"origin", b"https://example.org")]),
        ("path", "/rooms/lobby/"),
        ("type", "websocket"),
    ]
    await client.disconnect()
