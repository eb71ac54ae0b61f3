"""A peer that is gone is found in time, and nobody else is taken for one."""

import asyncio

import pytest

from shells.clients import (
    BOUND,
    TIMEOUT,
    Listener,
    WireClient,
    come_to_an_end,
    meet,
)
from shells.visits import both_colours, build, now, settle
from support.loop import virtual
from support.servers import ALL_STYLES

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)
at_any_time = pytest.mark.parametrize("after", [0.1, 7, 24.9, 61.3, 1000])


# --- who is given up -------------------------------------------------------------------------


@at_any_time
@every_server
@both_colours
@virtual
async def test_a_client_that_stops_answering_is_closed_with_3408_in_time(
    colour, style, after, facts
):
    client = await meet(WireClient(build(Listener, colour), style=style))
    await settle(after)

    client.freeze()
    silent_for = await come_to_an_end(client)

    assert TIMEOUT <= silent_for <= BOUND
    assert client.closes == [3408]
    assert client.notes == [("timed out", 3408, True), ("disconnect", 3408)]
    assert client.refused == []
    assert facts.alarms == []


@virtual
async def test_a_client_that_never_said_a_word_is_closed_too():
    client = await meet(WireClient(build(Listener), is_mute=True, latency=10_000))

    assert await come_to_an_end(client) <= BOUND

    assert client.closes == [3408]


@virtual
async def test_what_was_found_is_told_once_and_calmly(facts):
    client = await meet(WireClient(build(Listener), latency=0.25))
    await settle(100)

    client.freeze()
    silent_for = await come_to_an_end(client)

    [lost] = facts("heartbeat.timeout")
    assert lost.levelname == "INFO"
    assert lost.silent_for == pytest.approx(silent_for, abs=0.01)
    assert lost.rtt == 0.25
    [closed] = facts("connection.closed")
    assert (closed.code, closed.kind, closed.initiator) == (3408, "timeout", "server")
    assert facts.names == ["connection.opened", "heartbeat.timeout", "connection.closed"]


@both_colours
@virtual
async def test_a_client_that_is_gone_is_found_while_a_handler_runs(colour):
    client = await meet(WireClient(build(Listener, colour)))

    client.client_sends("work 1000")
    client.freeze()
    silent_for = await come_to_an_end(client)

    assert silent_for <= BOUND
    assert now() <= BOUND + 8
    assert client.notes == ["work 1000", ("timed out", 3408, True), ("disconnect", 3408)]


@virtual
async def test_a_server_that_blocks_the_close_frame_cannot_hold_the_cleanup():
    async def block_closes(message):
        if message["type"] == "websocket.close":
            await asyncio.get_running_loop().create_future()

    client = await meet(WireClient(build(Listener), on_send=block_closes))
    client.freeze()

    assert await client.ended() is None
    assert now() <= BOUND + 1
    await settle(2)  # the close frame is given up, too


@virtual
async def test_the_times_are_the_consumers_own():
    heartbeat = {"interval": 2, "timeout": 3}
    client = await meet(WireClient(build(Listener, HEARTBEAT=heartbeat)))
    await settle(10)

    client.freeze()

    assert 3 <= await come_to_an_end(client) <= 2 + 3 + 1
    assert client.controls[0]["interval_ms"] == 2000
    assert client.controls[0]["timeout_ms"] == 3000


@virtual
async def test_a_timeout_longer_than_the_interval_is_as_exact():
    client = await meet(WireClient(build(Listener, HEARTBEAT={"interval": 2, "timeout": 30})))
    await settle(10)

    client.freeze()

    assert 30 <= await come_to_an_end(client) <= 2 + 30 + 1


# --- who stays -------------------------------------------------------------------------------


@both_colours
@virtual
async def test_a_client_that_answers_stays_for_hours(colour, facts):
    client = await meet(WireClient(build(Listener, colour)))

    await settle(6 * 3600)

    assert client.closes == []
    assert facts.names == ["connection.opened"]
    await client.leave()


@both_colours
@virtual
async def test_a_client_that_answers_stays_while_a_handler_runs(colour):
    client = await meet(WireClient(build(Listener, colour)))

    for _ in range(5):
        client.client_sends("work 60")
    await settle(5 * 60 + 1)

    assert client.notes == ["work 60", "worked"] * 5
    assert client.closes == []
    await client.leave()


@both_colours
@virtual
async def test_a_client_that_sends_frames_of_its_own_need_not_answer(colour):
    client = await meet(WireClient(build(Listener, colour), is_mute=True))

    for _ in range(100):
        await settle(TIMEOUT - 1)
        client.client_sends("hi")
    await settle()

    assert client.closes == []
    assert client.notes == ["hi"] * 100
    await client.leave()


@virtual
async def test_binary_frames_are_signs_of_life_too():
    client = await meet(WireClient(build(Listener), is_mute=True))

    for _ in range(20):
        await settle(TIMEOUT - 1)
        client.client_sends(b"hi")

    assert client.closes == []
    await client.leave()


@virtual
async def test_a_client_that_takes_nearly_the_whole_time_to_answer_stays():
    client = await meet(WireClient(build(Listener), latency=TIMEOUT - 0.1))

    await settle(3600)

    assert client.closes == []
    await client.leave()


@virtual
async def test_a_client_that_comes_back_in_time_stays():
    client = await meet(WireClient(build(Listener)))

    for _ in range(50):
        client.freeze()
        await settle(TIMEOUT - 1)
        client.thaw()
        client.client_sends("back")
        await settle(30)

    assert client.closes == []
    await client.leave()


# --- a full inbox ----------------------------------------------------------------------------


@both_colours
@virtual
async def test_while_the_inbox_is_full_silence_is_not_the_clients(colour):
    client = await meet(WireClient(build(Listener, colour)))

    client.client_sends("work 200")
    for _ in range(20):
        client.client_sends("more")
    await settle(400)

    assert client.notes == ["work 200", "worked", *["more"] * 20]
    assert client.closes == []
    await client.leave()


@both_colours
@virtual
async def test_who_froze_before_a_full_inbox_is_found_once_there_is_room(colour):
    client = await meet(WireClient(build(Listener, colour)))

    client.client_sends("work 200")
    for _ in range(20):
        client.client_sends("more")
    client.freeze()
    silent_for = await come_to_an_end(client)

    assert client.closes == [3408]
    assert 200 + TIMEOUT <= silent_for <= 200 + BOUND
    assert client.notes[:22] == ["work 200", "worked", *["more"] * 20]
