"""Clients that know nothing of the wire protocol: let alone, or asked in their own words."""

import asyncio
import time

import pytest

from live.silence import BOUND, HEARTBEAT, LONG, check_given_up, nothing_comes, vanish
from live.stage import do, echoes, hears, on_every_server, until
from tour.client import Text
from tour.heart import MARK, Heart

pytestmark = pytest.mark.live

COLOURS = ["async", "sync"]
OWN_WORDS = {"ping": '{"type":"ping"}', "pong": '{"type":"pong"}'}
PING, PONG = '{"action": "ping"}', '{"action": "pong"}'
ALWAYS = {"mode": "always", "ping": "are you there?", "pong": "yes", **HEARTBEAT}


@on_every_server(options={"HEARTBEAT": HEARTBEAT})
async def test_an_existing_client_is_sent_nothing_and_never_given_up(stage):
    """The drop-in promise: without our subprotocol, and with no ping of its own, all is as ever."""
    clients = [await stage.connect(colour) for colour in COLOURS]
    frozen = [await stage.connect(colour) for colour in COLOURS]
    for client in frozen:
        await vanish(client)

    assert await asyncio.gather(*(nothing_comes(client, LONG) for client in clients)) == [True] * 2

    for client in clients:
        assert await echoes(client)
    assert stage.entries(event="disconnect") == []
    assert stage.events()["heartbeat.timeout"] == 0
    for client in (*clients, *frozen):
        await client.aclose()


@on_every_server(options={"HEARTBEAT": ALWAYS})
async def test_a_client_under_a_foreign_subprotocol_is_never_pinged(stage):
    query = {"subprotocol": "graphql-ws"}
    client = await stage.connect(subprotocols=["graphql-ws"], query=query)
    assert client.subprotocol == "graphql-ws"

    assert await nothing_comes(client, LONG)

    # Nor is anything of what it says taken for ours.
    await client.send_text(MARK + '{"type":"ping","n":1}')
    await client.send_text("yes")
    assert await echoes(client)
    assert await until(lambda: stage.events()["input.rejected"] == 2)
    await client.aclose()


@on_every_server(options={"HEARTBEAT": {**OWN_WORDS, **HEARTBEAT}})
async def test_existing_clients_are_asked_in_their_own_words(stage):
    heart = Heart(replies={OWN_WORDS["ping"]: OWN_WORDS["pong"]})
    answering = await stage.connect(heart=heart)
    mute = await stage.connect()
    leaving = await stage.connect(heart=Heart(replies=heart.replies))
    assert await until(lambda: leaving.heart.answered, BOUND)

    since = await vanish(leaving)
    await check_given_up(stage, leaving, since)

    # Who has never answered may not know how to.
    received = await mute.recv()
    assert received == Text(OWN_WORDS["ping"])
    assert stage.entries(mute.key, "disconnect") == []
    assert await until(lambda: heart.answered >= 3, LONG)
    await do(answering, "calls")
    assert await answering.recv_json() == {"calls": 1}
    for client in (answering, mute, leaving):
        await client.aclose()


@on_every_server(options={"HEARTBEAT": ALWAYS})
async def test_in_mode_always_a_client_that_never_answers_is_given_up(stage):
    since = time.monotonic()
    mute = await stage.connect()
    alive = await stage.connect(heart=Heart(replies={"are you there?": "yes"}))

    await check_given_up(stage, mute, since + 0.5)

    assert await echoes(alive)
    await mute.aclose()
    await alive.aclose()


@on_every_server(options={"HEARTBEAT": {"reply": {PING: PONG}}})
async def test_a_clients_own_ping_is_answered_while_a_handler_runs(stage):
    async def ping_during_a_handler(colour):
        client = await stage.connect(colour)
        await do(client, "work", seconds=3)
        await stage.entry(client.key, "working")
        for _ in range(20):
            await client.send_text(PING)
            assert await client.recv(deadline=2.0) == Text(PONG)
        assert stage.entries(client.key, "worked") == []
        await stage.entry(client.key, "worked")
        await do(client, "calls")
        assert await hears(client, {"calls": 2})
        await client.aclose()

    await asyncio.gather(*map(ping_during_a_handler, COLOURS))
