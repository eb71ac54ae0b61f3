"""Clients that do not speak the wire protocol are pinged in their own words, or not at all."""

import pytest

from shells.clients import (
    BOUND,
    INTERVAL,
    LATENCY,
    TIMEOUT,
    Listener,
    TextClient,
    WireClient,
    come_to_an_end,
    control,
    meet,
)
from shells.visits import both_colours, build, settle
from support.loop import virtual

PING_PONG = {"ping": "ping", "pong": "pong"}
ALWAYS = {"mode": "always", "ping": "ping"}


async def silent_hours(consumer, hours=3, **kwargs):
    """A client that answers nothing, hours later."""
    client = await meet(TextClient(consumer, answers={}, **kwargs))
    await settle(hours * 3600)
    return client


# --- auto ------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [{}, {"ping": "ping"}, {"pong": "pong"}], ids=str)
@both_colours
@virtual
async def test_without_a_ping_and_a_pong_nobody_is_pinged(colour, words):
    client = await silent_hours(build(Listener, colour, HEARTBEAT=words))

    assert client.pings == []
    assert client.closes == []
    await client.leave()


@both_colours
@virtual
async def test_with_a_ping_and_a_pong_a_client_is_pinged_at_each_interval(colour):
    client = await meet(TextClient(build(Listener, colour, HEARTBEAT=PING_PONG)))

    await settle(3600)

    assert 3600 / INTERVAL <= len(client.pings) <= 3600 / (INTERVAL * 0.9) + 1
    assert client.closes == []
    await client.leave()


@both_colours
@virtual
async def test_its_answers_do_not_reach_the_consumer_and_measure_the_round_trip(colour, facts):
    client = await meet(TextClient(build(Listener, colour, HEARTBEAT=PING_PONG)))
    client.client_sends("say hi")
    await settle(300)

    assert client.notes == ["say hi"]
    assert client.consumer.resilient.rtt == LATENCY
    await client.leave()
    [closed] = facts("connection.closed")
    assert (closed.received, closed.sent, closed.ignored, closed.rtt) == (1, 1, 0, LATENCY)


@both_colours
@virtual
async def test_a_client_that_has_never_answered_may_not_know_how(colour):
    client = await silent_hours(build(Listener, colour, HEARTBEAT=PING_PONG))

    assert len(client.pings) > 3 * 3600 / INTERVAL - 2
    assert client.closes == []
    await client.leave()


@pytest.mark.parametrize("after", [0.1, 300])
@both_colours
@virtual
async def test_a_client_that_has_answered_once_is_given_up_when_it_no_longer_does(colour, after):
    client = await meet(TextClient(build(Listener, colour, HEARTBEAT=PING_PONG)))
    await settle(INTERVAL + after)
    assert client.consumer.resilient.rtt is not None

    client.freeze()

    assert TIMEOUT <= await come_to_an_end(client) <= BOUND
    assert client.closes == [3408]
    assert client.notes == [("timed out", 3408, True), ("disconnect", 3408)]


@virtual
async def test_a_client_that_answers_late_in_its_life_is_watched_from_then_on():
    client = await silent_hours(build(Listener, HEARTBEAT=PING_PONG))

    client.client_sends("pong")
    await settle(1)
    assert client.closes == []
    client.freeze()

    assert await come_to_an_end(client) <= BOUND


@virtual
async def test_pings_that_were_not_answered_do_not_lengthen_the_round_trip_for_ever():
    """Symptom: of a client that was not ready for the first ping, every answer took an interval."""
    client = await meet(TextClient(build(Listener, HEARTBEAT=PING_PONG), answers={}))
    await settle(3 * INTERVAL)

    client.answers = {"ping": "pong"}
    await settle(3 * INTERVAL)

    assert client.consumer.resilient.rtt == LATENCY
    await client.leave()


@virtual
async def test_frames_of_the_application_are_no_answer_but_signs_of_life():
    client = await meet(TextClient(build(Listener, HEARTBEAT=PING_PONG)))
    await settle(INTERVAL + 1)
    client.answers = {}

    for _ in range(50):
        await settle(TIMEOUT - 1)
        client.client_sends("hi")
    assert client.closes == []
    client.freeze()

    assert await come_to_an_end(client) <= BOUND


@pytest.mark.parametrize("text", ["pong ", "Pong", " pong", "pongpong", "", "ping", b"pong"])
@both_colours
@virtual
async def test_whatever_is_not_exactly_the_pong_reaches_the_consumer(colour, text):
    client = await meet(TextClient(build(Listener, colour, HEARTBEAT=PING_PONG), answers={}))

    client.client_sends(text)
    await settle()

    assert client.notes == [text]
    await client.leave()


@virtual
async def test_a_client_that_speaks_the_protocol_is_pinged_in_it_and_may_say_pong():
    client = await meet(WireClient(build(Listener, HEARTBEAT=PING_PONG)))
    await settle(100)

    client.client_sends("pong")
    await settle()

    assert client.texts == []
    assert len(client.pings) >= 4
    assert client.notes == ["pong"]
    await client.leave()


# --- always ----------------------------------------------------------------------------------


@both_colours
@virtual
async def test_always_pings_everybody_and_gives_up_whoever_is_silent(colour):
    client = await meet(TextClient(build(Listener, colour, HEARTBEAT=ALWAYS), answers={}))

    assert await come_to_an_end(client) <= BOUND

    assert client.closes == [3408]
    assert client.texts == ["ping"]


@both_colours
@virtual
async def test_always_keeps_whoever_says_anything(colour):
    client = await meet(TextClient(build(Listener, colour, HEARTBEAT=ALWAYS)))

    await settle(3600)

    # Without a `pong` to know them by, answers are the consumer's to understand.
    assert client.notes == ["pong"] * len(client.pings)
    assert client.closes == []
    await client.leave()


@virtual
async def test_always_with_a_pong_keeps_the_answers_to_itself():
    client = await meet(TextClient(build(Listener, HEARTBEAT={**ALWAYS, "pong": "pong"})))

    await settle(3600)

    assert client.notes == []
    assert client.consumer.resilient.rtt == LATENCY
    await client.leave()


@virtual
async def test_always_pings_clients_of_the_protocol_in_the_protocol():
    client = await meet(WireClient(build(Listener, HEARTBEAT=ALWAYS)))

    await settle(300)

    assert client.texts == []
    assert client.consumer.resilient.rtt == LATENCY
    await client.leave()


# --- off -------------------------------------------------------------------------------------


@both_colours
@virtual
async def test_off_pings_nobody_and_leaves_every_frame_to_the_consumer(colour):
    client = await silent_hours(build(Listener, colour, HEARTBEAT={**PING_PONG, "mode": "off"}))

    client.client_sends("pong")
    await settle()

    assert client.texts == client.closes == []
    assert client.notes == ["pong"]
    await client.leave()


@virtual
async def test_off_still_answers_clients_of_the_protocol():
    client = await meet(WireClient(build(Listener, HEARTBEAT={"mode": "off"})))

    client.client_sends(control(type="ping", n=1))
    await settle(3 * 3600)

    assert client.control_types() == ["hello", "pong"]
    assert client.closes == []
    await client.leave()


# --- foreign subprotocols --------------------------------------------------------------------


class Foreign(Listener):
    async def connect(self):
        await self.accept("graphql-transport-ws")


@pytest.mark.parametrize("heartbeat", [PING_PONG, ALWAYS, {**ALWAYS, "pong": "pong"}], ids=str)
@pytest.mark.parametrize("more", [[], ["resilient.v1"]], ids=["alone", "beside ours"])
@both_colours
@virtual
async def test_under_a_foreign_subprotocol_nobody_is_pinged(colour, more, heartbeat):
    client = await silent_hours(
        build(Foreign, colour, HEARTBEAT=heartbeat), subprotocols=["graphql-transport-ws", *more]
    )

    client.client_sends("pong")
    await settle()

    assert client.texts == client.closes == []
    assert client.notes == ["pong"]
    await client.leave()
