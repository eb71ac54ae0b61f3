"""Whether a peer is there is known within a bound, whatever the consumer does meanwhile."""

import asyncio
import json
import time

import pytest

from live.silence import BOUND, HEARTBEAT, INTERVAL, LONG, TIMEOUT, check_given_up, vanish
from live.stage import do, echoes, hears, on_every_server, until
from tour.client import Text
from tour.heart import MARK, PROTOCOL, Heart, control
from tour.proxy import FaultProxy

pytestmark = pytest.mark.live

COLOURS = ["async", "sync"]


everywhere = on_every_server(options={"HEARTBEAT": HEARTBEAT})


# -- a peer that is not there any more --------------------------------------------------------


@everywhere
async def test_a_frozen_peer_is_given_up_in_time_and_nobody_else(stage):
    bystanders = [await stage.speaker(colour) for colour in COLOURS]
    idle = [await stage.speaker(colour) for colour in COLOURS]
    working = await stage.speaker()
    flooded = await stage.speaker(receive_buffer=4096)
    pouring = await stage.speaker(receive_buffer=4096)
    rude = await stage.connect(subprotocols=[PROTOCOL])  # never says hello
    frozen = [*idle, working, flooded, pouring, rude]

    await do(working, "work", seconds=LONG)
    await stage.entry(working.key, "working")
    await do(flooded, "flood")
    await stage.entry(flooded.key, "flooding")
    await do(pouring, "pour")
    await stage.entry(pouring.key, "pouring")
    since = {client.key: await vanish(client) for client in frozen}

    for client in frozen:
        await check_given_up(stage, client, since[client.key])
    for client in bystanders:
        assert await echoes(client)
    state = await stage.looks(lambda state: state["members"] == len(bystanders))
    assert (state["members"], state["connections"]) == (2, 2)
    assert await until(lambda: stage.events()["heartbeat.timeout"] == len(frozen))
    assert "Traceback" not in stage.log()
    for client in (*frozen, *bystanders):
        await client.aclose()


@everywhere
async def test_a_peer_that_freezes_during_a_sync_handler_is_given_up_in_time(stage):
    client = await stage.speaker("sync")
    bystander = await stage.speaker()

    await do(client, "work", seconds=BOUND + 1)
    await stage.entry(client.key, "working")
    since = await vanish(client)

    # Its group is left at once; its thread ends when the handler does.
    state = await stage.looks(lambda state: state["members"] == 1, deadline=BOUND + 1)
    assert state["members"] == 1
    assert await echoes(bystander)
    await check_given_up(stage, client, since)
    await client.aclose()
    await bystander.aclose()


@everywhere
async def test_a_peer_whose_last_word_was_a_ping_that_cannot_be_answered_is_given_up_in_time(stage):
    """It read nothing of what it was sent, so that our answer waits behind that."""
    client = await stage.speaker(receive_buffer=4096)
    await do(client, "flood")
    await stage.entry(client.key, "flooding")
    await client.stop_reading()
    # Time for the flood to fill every buffer.
    await asyncio.sleep(TIMEOUT / 2)

    await client.send_text(control("ping", n=1))

    await check_given_up(stage, client, time.monotonic())
    await client.aclose()


@everywhere
async def test_a_peer_behind_a_silent_link_is_given_up_in_time(stage):
    async with FaultProxy(stage.server.port) as proxy:
        client = await stage.speaker(port=proxy.port)

        since = time.monotonic()
        proxy.drop()

        await check_given_up(stage, client, since)
        await client.aclose()


@everywhere
async def test_a_link_that_stalls_for_less_than_the_timeout_ends_nothing(stage):
    async with FaultProxy(stage.server.port) as proxy:
        client = await stage.speaker(port=proxy.port)
        for _ in range(3):
            proxy.stall()
            await asyncio.sleep(TIMEOUT - 0.7)
            proxy.resume()
            assert await echoes(client)

        assert stage.entries(client.key, "disconnect") == []
        await client.aclose()


@everywhere
async def test_a_peer_given_up_behind_a_stalled_link_learns_of_it_when_the_link_is_back(stage):
    async with FaultProxy(stage.server.port) as proxy:
        client = await stage.speaker(port=proxy.port)

        since = time.monotonic()
        proxy.stall()
        await check_given_up(stage, client, since)
        proxy.resume()

        ending = await client.ended()
        assert ending.close.code == 3408
        await client.aclose()


# -- a peer that is ---------------------------------------------------------------------------


@everywhere
async def test_a_live_peer_survives_a_handler_of_many_timeouts(stage):
    async def wait_for_the_handler(colour):
        client = await stage.speaker(colour)
        await do(client, "work", seconds=LONG, answers=1)
        await stage.entry(client.key, "working")
        before = client.heart.answered
        assert await hears(client, {"answer": True}, LONG + 3)
        assert client.heart.answered - before >= int(LONG / INTERVAL) - 1
        await do(client, "rtt")
        rtt = (await client.recv_json())["rtt"]
        assert 0 <= rtt < 1
        assert stage.entries(client.key, "disconnect") == []
        await client.aclose()

    await asyncio.gather(*map(wait_for_the_handler, COLOURS))


@everywhere
async def test_a_live_peer_survives_when_a_slow_handler_keeps_us_from_reading(stage):
    """More frames wait than we read ahead, so that its pongs wait, too: silence of our making."""

    async def be_held_up(colour):
        client = await stage.speaker(colour)
        await do(client, "work", seconds=LONG)
        await stage.entry(client.key, "working")
        for number in range(30):
            await do(client, "echo", n=-number)
        assert await hears(client, {"echo": -29}, LONG + 3)
        # And from then on it has its heartbeat again.
        answered = client.heart.answered
        assert await until(lambda: client.heart.answered >= answered + 2, BOUND)
        await check_given_up(stage, client, await vanish(client))
        await client.aclose()

    await asyncio.gather(*map(be_held_up, COLOURS))


@everywhere
async def test_a_peer_that_speaks_but_does_not_answer_pings_lives(stage):
    client = await stage.speaker()
    client.heart.is_beating = False

    for _ in range(int(LONG / 0.5)):
        assert await echoes(client)
        await asyncio.sleep(0.5)

    assert len(client.heart.heard("ping")) >= 3
    await client.aclose()


@everywhere
async def test_the_greeting_is_the_first_frame_and_pings_follow(stage):
    client = await stage.connect(subprotocols=[PROTOCOL])

    hello = await client.recv()
    await client.send_text(MARK + '{"type":"hello","version":1}')
    ping = await client.recv(INTERVAL + 1)

    assert client.subprotocol == PROTOCOL
    connection = json.loads(hello.data[1:])["connection"]
    assert hello == Text(
        f'{MARK}{{"type":"hello","version":1,"connection":"{connection}",'
        f'"interval_ms":{INTERVAL * 1000:.0f},"timeout_ms":{TIMEOUT * 1000:.0f}}}'
    )
    assert ping == Text(MARK + '{"type":"ping","n":1}')
    await client.aclose()


@everywhere
async def test_the_application_chooses_among_its_own_subprotocols(stage):
    offer = ["resilient.v1.chat.v2", PROTOCOL, "chat.v1"]
    query = {"subprotocol": "chat.v2"}

    client = await stage.connect(subprotocols=offer, query=query, heart=Heart())

    assert client.subprotocol == "resilient.v1.chat.v2"
    entry = await stage.entry(client.key, "connect")
    assert entry["subprotocols"] == ["chat.v2", "chat.v1"]
    assert await until(lambda: client.heart.heard("ping"))
    await client.aclose()


# -- limits of another sort -------------------------------------------------------------------


@on_every_server(options={"HEARTBEAT": HEARTBEAT, "LIFETIME": {"max_age": 1.5}})
async def test_a_connection_that_is_too_old_is_told_what_to_do_and_closed(stage):
    client = await stage.speaker()

    ending = await client.ended()

    assert ending.close.code == 3513
    assert client.heart.frames[-1] == {
        "type": "bye", "code": 3513, "reason": "max_age", "verdict": "now", "after_ms": 0,
    }  # fmt: skip
    ended = await stage.entry(client.key, "ended")
    assert (ended["code"], ended["kind"]) == (3513, "server")
    await client.aclose()


@on_every_server(options={"LIFETIME": {"idle_timeout": 1.5}})
async def test_a_connection_that_is_idle_is_closed_whoever_it_is(stage):
    idle, busy = await stage.connect(), await stage.connect()
    since = time.monotonic()

    for _ in range(6):
        assert await echoes(busy)
        await asyncio.sleep(0.4)

    closing = await stage.entry(idle.key, "closing")
    assert (closing["code"], closing["at"] - since < 2.5) == (3440, True)
    assert (await idle.ended()).close.code == 3440
    assert await echoes(busy)
    await idle.aclose()
    await busy.aclose()
