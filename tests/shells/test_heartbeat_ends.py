"""Heartbeats and the end of a connection, whatever ends it; and classes with their own __call__."""

import asyncio

import pytest

from resilient_channels.wheel import get_wheel
from shells.clients import (
    BOUND,
    LATENCY,
    Listener,
    TextClient,
    WireClient,
    come_to_an_end,
    control,
    meet,
)
from shells.endings import ENDINGS, Subject
from shells.visits import both_colours, build, settle
from support.loop import virtual
from support.servers import UVICORN

# --- what is left ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [*ENDINGS, "freezes"])
@both_colours
@virtual
async def test_however_a_connection_ends_no_timer_is_left(colour, ending):
    client = await meet(WireClient(build(Subject, colour), style=UVICORN))
    wheel = get_wheel(asyncio.get_running_loop())
    await settle(60)
    assert len(wheel) > 0

    if ending == "freezes":
        client.freeze()
    else:
        ENDINGS[ending][0](client)
    await client.ended()
    await settle(1)

    assert len(wheel) == 0
    await settle(100)


@virtual
async def test_a_refused_handshake_leaves_no_timer():
    class Refuses(Listener):
        async def connect(self):
            await self.close()

    client = WireClient(build(Refuses))
    assert await client.ended() is None

    assert client.controls == []
    assert len(get_wheel(asyncio.get_running_loop())) == 0


@virtual
async def test_a_second_accept_leaves_no_timer_and_does_not_greet_again():
    """Symptom: a consumer that accepts twice was pinged for ever, and its memory kept."""

    class AcceptsTwice(Listener):
        async def receive(self, text_data=None, bytes_data=None):
            await self.accept()

    client = await meet(WireClient(build(AcceptsTwice)))
    client.client_sends("go")
    await settle(60)

    assert client.control_types().count("hello") == 1
    assert client.consumer.resilient.rtt == LATENCY
    await client.leave()
    assert len(get_wheel(asyncio.get_running_loop())) == 0


# --- a class with a __call__ of its own ------------------------------------------------------


class OwnCall(Listener):
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)


@both_colours
@virtual
async def test_a_consumer_with_its_own_call_has_a_heartbeat_too(colour):
    client = await meet(WireClient(build(OwnCall, colour)))
    client.client_sends("work 100")
    await settle(300)
    assert client.notes == ["work 100", "worked"]
    assert client.consumer.resilient.rtt == LATENCY

    client.freeze()

    assert await come_to_an_end(client) <= BOUND
    assert client.closes == [3408]
    assert client.notes[2:] == [("timed out", 3408, True), ("disconnect", 3408)]


@virtual
async def test_the_modes_of_two_clients_of_one_consumer_are_their_own():
    consumer = build(Listener)
    speaker, stranger = await meet(WireClient(consumer)), await meet(TextClient(consumer))
    await settle(100)

    stranger.client_sends(control(type="ping", n=1))
    await settle()

    assert stranger.notes == [control(type="ping", n=1)]
    assert stranger.pings == []
    assert len(speaker.pings) >= 4
    await speaker.leave()
    await stranger.leave()
