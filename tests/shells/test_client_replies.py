"""Pings of clients, in their own words: answered at once, and kept from the consumer."""

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from shells.clients import TIMEOUT, Listener, TextClient, meet
from shells.visits import both_colours, build, note, settle
from support.loop import virtual

ALWAYS = {"mode": "always", "ping": "ping"}
REPLY = {"reply": {'{"type":"ping"}': '{"type":"pong"}', "?": "!"}}


@pytest.mark.parametrize("mode", ["auto", "off"])
@both_colours
@virtual
async def test_a_ping_of_the_client_is_answered_and_not_dispatched(colour, mode):
    client = await meet(TextClient(build(Listener, colour, HEARTBEAT={**REPLY, "mode": mode})))

    client.client_sends('{"type":"ping"}')
    client.client_sends("?")
    client.client_sends("what?")
    await settle()

    assert client.texts == ['{"type":"pong"}', "!"]
    assert client.notes == ["what?"]
    await client.leave()


@both_colours
@virtual
async def test_it_is_answered_while_a_handler_runs(colour):
    client = await meet(TextClient(build(Listener, colour, HEARTBEAT=REPLY)))
    client.client_sends("work 100")

    for number in range(10):
        client.client_sends("?")
        await settle(1)
        assert client.texts == ["!"] * (number + 1)

    assert client.notes == ["work 100"]
    client.client_sends("?")
    await settle(100)
    assert client.notes == ["work 100", "worked"]
    await client.leave()


@both_colours
@virtual
async def test_it_is_no_bad_input_to_a_consumer_of_json(colour, facts):
    class Json(AsyncJsonWebsocketConsumer):
        async def receive_json(self, content):
            note(self, content)

    client = await meet(TextClient(build(Json, colour, HEARTBEAT=REPLY)))

    client.client_sends("?")
    client.client_sends("[1]")
    await settle()

    assert client.notes == [[1]]
    assert facts.alarms == []
    await client.leave()
    assert facts("connection.closed")[0].received == 1


@pytest.mark.parametrize("subprotocols", [[], ["resilient.v1"], ["graphql-transport-ws"]], ids=str)
@virtual
async def test_it_is_answered_whatever_the_client_speaks(subprotocols):
    class Accepts(Listener):
        async def connect(self):
            await self.accept(next(iter(self.scope["subprotocols"]), None))

    client = await meet(TextClient(build(Accepts, HEARTBEAT=REPLY), subprotocols=subprotocols))

    client.client_sends("?")
    await settle()

    assert client.texts[-1] == "!"
    assert client.notes == []
    await client.leave()


@virtual
async def test_it_is_a_sign_of_life():
    heartbeat = {**ALWAYS, **REPLY}
    client = await meet(TextClient(build(Listener, HEARTBEAT=heartbeat), answers={}))

    for _ in range(20):
        await settle(TIMEOUT - 1)
        client.client_sends("?")

    assert client.closes == []
    await client.leave()


@virtual
async def test_binary_frames_are_never_pings():
    client = await meet(TextClient(build(Listener, HEARTBEAT=REPLY)))

    client.client_sends(b"?")
    await settle()

    assert client.notes == [b"?"]
    await client.leave()


@virtual
async def test_an_empty_answer_is_none():
    client = await meet(TextClient(build(Listener, HEARTBEAT={"reply": {"noop": ""}})))

    client.client_sends("noop")
    await settle()

    assert client.texts == client.notes == []
    await client.leave()
