"""Pings: when they come, what they measure, and servers that will not take them."""

import asyncio
from itertools import pairwise

import pytest

from shells.clients import INTERVAL, LATENCY, Listener, WireClient, come_to_an_end, meet
from shells.visits import both_colours, build, now, settle
from support.loop import virtual
from support.servers import ALL_STYLES

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


# --- pings -----------------------------------------------------------------------------------


@virtual
async def test_pings_come_a_little_sooner_than_the_interval_and_never_later():
    client = await meet(WireClient(build(Listener)))

    await settle(3600)

    gaps = [after - before for before, after in pairwise(client.pings)]
    assert client.pings[0] <= INTERVAL + 0.1
    assert min(gaps) >= INTERVAL * 0.9
    assert max(gaps) <= INTERVAL * 1.02
    assert len({round(gap, 1) for gap in gaps}) > 5
    await client.leave()


@virtual
async def test_the_pings_of_a_crowd_are_spread():
    crowd = [WireClient(build(Listener)) for _ in range(100)]
    await settle(INTERVAL + 1)

    first = sorted(client.pings[0] for client in crowd)

    assert first[0] < 3
    assert first[-1] > INTERVAL - 3
    assert max(after - before for before, after in pairwise(first)) < 3
    for client in crowd:
        await client.leave()


@virtual
async def test_pings_are_numbered_and_carry_the_last_round_trip():
    client = await meet(WireClient(build(Listener), latency=0.125))

    await settle(80)

    first, *others = [frame for frame in client.controls if frame["type"] == "ping"]
    assert first == {"type": "ping", "n": 1}
    assert others[:2] == [
        {"type": "ping", "n": 2, "rtt_ms": 125.0},
        {"type": "ping", "n": 3, "rtt_ms": 125.0},
    ]
    await client.leave()


@both_colours
@virtual
async def test_the_consumer_knows_the_round_trip(colour, facts):
    client = WireClient(build(Listener, colour), latency=0.125)
    assert client.consumer.resilient.rtt is None
    await meet(client)
    assert client.consumer.resilient.rtt is None

    await settle(INTERVAL + 1)
    assert client.consumer.resilient.rtt == 0.125
    client.latency = 0.5
    await settle(INTERVAL + 1)
    assert client.consumer.resilient.rtt == 0.5

    await client.leave()
    assert facts("connection.closed")[0].rtt == 0.5


@pytest.mark.parametrize("latency", [6, 12, 19])
@virtual
async def test_a_client_that_answers_after_the_next_ping_is_not_accused(latency, facts):
    """Symptom: each answer over a slow line was logged as one that nobody had asked for."""
    heartbeat = {"interval": 5, "timeout": 20}
    client = await meet(WireClient(build(Listener, HEARTBEAT=heartbeat), latency=latency))

    await settle(300)

    assert facts("control.ignored") == []
    assert client.consumer.resilient.rtt == latency
    await client.leave()


@virtual
async def test_the_heartbeat_is_not_counted_among_the_applications_frames(facts):
    client = await meet(WireClient(build(Listener)))
    for _ in range(3):
        client.client_sends("say hi")
        await settle(200)

    await client.leave()

    [closed] = facts("connection.closed")
    assert (closed.received, closed.sent, closed.unsent, closed.ignored) == (3, 3, 0, 0)


@every_server
@virtual
async def test_after_our_own_close_nobody_is_pinged(style):
    class Patient(type(style)):
        def own_close(self, server, message):
            return {"type": "websocket.receive", "text": "not yet"}

    client = await meet(WireClient(build(Listener), style=Patient(), latency=1000))
    client.client_sends("close 4000")
    await settle(1000)

    assert client.pings == []
    assert client.refused == []
    assert client.closes == [4000]


# --- servers in trouble ----------------------------------------------------------------------


class Blocked:
    """An ``on_send`` that takes no ping before it is released."""

    def __init__(self):
        self.tried = 0
        self.released = asyncio.Event()

    async def __call__(self, message):
        if '"ping"' in message.get("text", ""):
            self.tried += 1
            await self.released.wait()


@both_colours
@virtual
async def test_a_ping_that_cannot_be_written_is_not_written_twice_and_holds_nothing_up(colour):
    blocked = Blocked()
    heartbeat = {"interval": 2, "timeout": 15}
    client = await meet(WireClient(build(Listener, colour, HEARTBEAT=heartbeat), on_send=blocked))

    silent_for = await come_to_an_end(client)

    assert blocked.tried == 1
    assert 15 <= silent_for <= 2 + 15 + 1
    assert client.closes == [3408]
    assert client.notes == [("timed out", 3408, True), ("disconnect", 3408)]


@both_colours
@virtual
async def test_a_ping_that_cannot_be_written_yet_harms_nobody_who_gives_signs_of_life(colour):
    blocked = Blocked()
    client = await meet(WireClient(build(Listener, colour), on_send=blocked))

    for _ in range(30):
        await settle(15)
        client.client_sends("hi")
    blocked.released.set()
    await settle(60)

    assert blocked.tried <= 1 + 3
    assert client.closes == []
    assert client.consumer.resilient.rtt == LATENCY
    await client.leave()


@pytest.mark.parametrize(
    "error",
    [RuntimeError("weird"), ValueError(), KeyError("x"), asyncio.CancelledError()],
    ids=repr,
)
@both_colours
@virtual
async def test_a_server_that_refuses_pings_makes_no_trouble(colour, error, facts):
    def refuse(message):
        if '"ping"' in message.get("text", ""):
            raise error

    client = await meet(WireClient(build(Listener, colour), on_send=refuse))

    for _ in range(20):
        await settle(15)
        client.client_sends("say hi")
    await settle()

    assert client.texts == ["hi"] * 20
    assert facts.alarms == []
    await client.leave()


@both_colours
@virtual
async def test_a_ping_that_finds_the_peer_gone_ends_the_connection(colour, facts):
    def fail(message):
        if '"ping"' in message.get("text", ""):
            raise OSError("gone")

    client = await meet(WireClient(build(Listener, colour), on_send=fail))

    assert await client.ended() is None

    assert now() <= INTERVAL + 2
    assert facts("connection.closed")[0].kind == "lost"
    assert client.notes == [("disconnect", 1006)]
    assert facts.alarms == []
