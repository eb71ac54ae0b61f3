"""When the event loop does not run, the peers' silence is ours: nobody is given up for it."""

import asyncio

import pytest

from resilient_channels import SendOutcome
from resilient_channels.wheel import Wheel
from shells.clients import (
    BOUND,
    INTERVAL,
    LATENCY,
    TIMEOUT,
    Listener,
    TextClient,
    WireClient,
    come_to_an_end,
    meet,
)
from shells.visits import both_colours, build, note, now, settle
from support.loop import virtual

PING_PONG = {"ping": "ping", "pong": "pong"}


def stall(seconds):
    """Let *seconds* pass in which the loop does not run. The clients live on meanwhile."""
    asyncio.get_running_loop().now += seconds


async def known(client):
    """A client that has answered a ping."""
    await meet(client)
    await settle(INTERVAL + client.latency + 1)
    assert client.consumer.resilient.rtt is not None
    return client


# --- nobody is given up ----------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [5, 30, 44, 60, 600, 86_400])
@pytest.mark.parametrize("latency", [LATENCY, 10, TIMEOUT - 0.5])
@both_colours
@virtual
async def test_a_stall_of_any_length_kills_nobody(colour, latency, seconds):
    client = await known(WireClient(build(Listener, colour), latency=latency))

    stall(seconds)
    await settle(300)

    assert client.closes == []
    await client.leave()


@pytest.mark.parametrize("seconds", [TIMEOUT - 1, TIMEOUT + 1, 30, INTERVAL + TIMEOUT])
@virtual
async def test_it_does_not_matter_when_the_stall_begins(seconds):
    client = await known(WireClient(build(Listener), latency=3))

    for sixteenths in range(0, 30 * 16, 7):
        await settle(INTERVAL + sixteenths / 16)
        stall(seconds)
    await settle(60)

    assert client.closes == []
    await client.leave()


@pytest.mark.parametrize("seconds", [1, 10, 30, 60])
@pytest.mark.parametrize("between", [0.3, 1, 7, 26])
@virtual
async def test_stalls_without_end_kill_nobody(seconds, between):
    client = await known(WireClient(build(Listener)))

    for _ in range(100):
        stall(seconds)
        await settle(between)

    assert client.closes == []
    await settle(100)
    assert client.closes == []
    await client.leave()


@virtual
async def test_stalls_that_follow_each_other_without_a_turn_to_breathe_kill_nobody():
    client = await known(WireClient(build(Listener)))

    for _ in range(50):
        stall(30)
        for _ in range(5):
            await asyncio.sleep(0)
    await settle(100)

    assert client.closes == []
    await client.leave()


@both_colours
@virtual
async def test_a_stall_kills_no_client_that_answers_in_its_own_words(colour):
    client = await known(TextClient(build(Listener, colour, HEARTBEAT=PING_PONG)))

    for seconds in (30, 300, 3000):
        stall(seconds)
        await settle(50)

    assert client.closes == []
    await client.leave()


@virtual
async def test_a_handler_that_blocks_the_loop_kills_nobody(facts):
    class Blocks(Listener):
        async def receive(self, text_data=None, bytes_data=None):
            stall(float(text_data))
            note(self, "worked")

    consumer = build(Blocks)
    crowd = [await known(WireClient(consumer)) for _ in range(20)]

    for _ in range(5):
        crowd[0].client_sends("40")
        await settle(10)

    assert all(client.closes == [] for client in crowd)
    assert crowd[0].notes == ["worked"] * 5
    assert facts("heartbeat.timeout") == []
    for client in crowd:
        await client.leave()


@virtual
async def test_an_answer_that_is_read_right_after_a_stall_nobody_noticed_counts(monkeypatch):
    """What a wheel can notice has its limits: the peer's frames may wait in the socket."""
    monkeypatch.setattr(Wheel, "_note_lateness", lambda self, loop, now: None)
    client = await known(WireClient(build(Listener), latency=TIMEOUT - 1))
    pinged = len(client.pings)
    while len(client.pings) == pinged:
        await settle(0.1)

    client.freeze()
    stall(60)
    await settle(0.3)
    client.thaw()
    client.client_sends("hi")
    await settle(100)

    assert client.closes == []
    await client.leave()


@both_colours
@virtual
async def test_a_stall_makes_no_client_idle(colour):
    client = await meet(TextClient(build(Listener, colour, LIFETIME={"idle_timeout": 60})))

    for _ in range(20):
        client.client_sends("hi")
        await settle(15)
        stall(20)
        await settle(15)
        stall(300)
        await settle(15)

    assert client.closes == []
    await client.leave()


@virtual
async def test_a_stall_is_not_the_fault_of_a_client_that_takes_its_time_to_read():
    """Symptom: after a laptop's sleep, whoever had been waited for was closed with 3420."""
    drained = asyncio.Event()

    async def full_buffer(message):
        if message.get("text") == "hi":
            await drained.wait()

    client = await known(WireClient(build(Listener), on_send=full_buffer))
    sending = asyncio.create_task(client.consumer.safe_send("hi"))
    await settle(1)

    stall(600)
    await settle(0.3)
    drained.set()

    assert await sending is SendOutcome.SENT
    assert client.closes == []
    await client.leave()


# --- who is gone is found all the same -------------------------------------------------------


@pytest.mark.parametrize("seconds", [5, 30, 600])
@pytest.mark.parametrize("after", [0.3, 10, TIMEOUT - 1])
@both_colours
@virtual
async def test_who_froze_before_a_stall_is_found_after_it(colour, after, seconds):
    client = await known(WireClient(build(Listener, colour)))

    client.freeze()
    await settle(after)
    stall(seconds)

    assert TIMEOUT <= await come_to_an_end(client) <= BOUND + seconds
    assert client.closes == [3408]


@virtual
async def test_who_froze_during_a_stall_is_found_after_it():
    client = await known(WireClient(build(Listener)))

    stall(30)
    client.freeze()
    await settle(5)

    assert await come_to_an_end(client) <= BOUND + 30


@pytest.mark.parametrize(("running", "stalled"), [(10, 5), (5, 30), (1, 1)])
@virtual
async def test_who_froze_is_found_between_stalls_without_end(running, stalled):
    client = await known(WireClient(build(Listener)))
    client.freeze()
    ran = 0

    while client.closes == []:
        stall(stalled)
        await settle(running)
        ran += running

    assert ran <= BOUND + 2 * running
    assert await client.ended() is None


@virtual
async def test_a_busy_loop_is_no_excuse():
    """Turns of some hundredths of a second are no stall, and add nothing to anybody's time."""
    client = await known(WireClient(build(Listener)))

    async def be_busy():
        while True:
            stall(0.03)
            await asyncio.sleep(0)

    busy = asyncio.create_task(be_busy())
    client.freeze()
    silent_for = await come_to_an_end(client)
    busy.cancel()

    assert silent_for <= BOUND + 1


# --- what is told ----------------------------------------------------------------------------


@virtual
async def test_a_stall_is_told_once_for_all_connections(facts):
    crowd = [await known(WireClient(build(Listener))) for _ in range(20)]

    stall(30)
    await settle(60)

    [stalled] = facts("loop.stalled")
    assert stalled.levelname == "WARNING"
    assert stalled.seconds == pytest.approx(30, abs=0.26)
    for client in crowd:
        await client.leave()


@virtual
async def test_a_stall_of_less_than_a_second_is_not_told(facts):
    client = await known(WireClient(build(Listener)))

    for _ in range(20):
        stall(0.95)
        await settle(1)

    assert facts("loop.stalled") == []
    await client.leave()


@virtual
async def test_a_stall_is_noticed_with_an_idle_limit_alone(facts):
    limits = {"idle_timeout": 60}
    client = await meet(TextClient(build(Listener, LIFETIME=limits)))
    await settle(1.1)

    stall(30)
    await settle(1)

    assert len(facts("loop.stalled")) == 1
    await client.leave()


@virtual
async def test_where_nobody_is_waited_for_nothing_is_measured(facts):
    client = await meet(TextClient(build(Listener)))
    await settle(1.1)

    stall(30)
    await settle(60)

    assert facts("loop.stalled") == []
    await client.leave()


@virtual
async def test_the_round_trip_of_a_ping_that_a_stall_has_met_tells_of_the_stall(facts):
    client = await known(WireClient(build(Listener)))
    pinged = len(client.pings)
    while len(client.pings) == pinged:
        await settle(LATENCY / 4)
    started = now()

    stall(5)
    await settle(1)

    assert client.consumer.resilient.rtt >= 5 - LATENCY
    assert now() - started >= 6
    await client.leave()
