"""Connections that are idle too long, or old enough: closed once, politely, and not all at once."""

import asyncio

import pytest

from resilient_channels.wheel import get_wheel
from shells.clients import Listener, TextClient, WireClient, come_to_an_end, control, meet
from shells.visits import both_colours, build, now, settle
from support.loop import virtual
from support.servers import ALL_STYLES

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)

IDLE = {"idle_timeout": 60}
OLD = {"max_age": 1000}


# --- idle ------------------------------------------------------------------------------------


@every_server
@both_colours
@virtual
async def test_a_client_that_is_silent_for_too_long_is_closed_with_3440(colour, style, facts):
    consumer = build(Listener, colour, LIFETIME=IDLE)
    client = await meet(TextClient(consumer, style=style))
    client.client_sends("hi")

    assert 60 <= await come_to_an_end(client) <= 61

    assert client.closes == [3440]
    assert client.texts == []
    assert client.notes == ["hi", ("timed out", 3440, True), ("disconnect", 3440)]
    assert facts("connection.closed")[0].kind == "timeout"
    assert facts.alarms == []


@both_colours
@virtual
async def test_any_frame_is_activity(colour):
    client = await meet(TextClient(build(Listener, colour, LIFETIME=IDLE)))

    for number in range(60):
        await settle(59)
        client.client_sends("hi" if number % 2 else b"hi")
    assert client.closes == []

    assert 60 <= await come_to_an_end(client) <= 61


@virtual
async def test_answers_to_pings_are_activity():
    client = await meet(WireClient(build(Listener, LIFETIME=IDLE)))

    await settle(3600)

    assert client.closes == []
    await client.leave()


@virtual
async def test_what_the_server_sends_is_no_activity():
    class Talks(Listener):
        async def connect(self):
            await self.accept()
            self.resilient.spawn(self.talk())

        async def talk(self):
            while True:
                await asyncio.sleep(1)
                await self.send("tick")

    client = await meet(TextClient(build(Talks, LIFETIME=IDLE)))

    assert await come_to_an_end(client) <= 61


@virtual
async def test_a_client_of_the_protocol_is_told_before():
    heartbeat = {"mode": "off"}
    client = await meet(WireClient(build(Listener, LIFETIME=IDLE, HEARTBEAT=heartbeat)))

    await come_to_an_end(client)

    assert client.controls[-1] == {
        "type": "bye",
        "code": 3440,
        "reason": "idle",
        "verdict": "never",
        "after_ms": 0,
    }
    assert client.closes == [3440]


@both_colours
@virtual
async def test_a_client_that_has_to_wait_for_a_handler_is_not_idle(colour):
    """While the inbox is full nobody listens, so nobody is silent."""
    client = await meet(TextClient(build(Listener, colour, LIFETIME=IDLE)))

    client.client_sends("work 200")
    for _ in range(20):
        client.client_sends("more")
    await settle(201)
    assert client.closes == []

    assert 60 <= await come_to_an_end(client) - 200 <= 121


@both_colours
@virtual
async def test_a_client_that_waits_in_silence_for_a_handler_is_idle(colour):
    client = await meet(TextClient(build(Listener, colour, LIFETIME=IDLE)))

    client.client_sends("work 200")

    assert 60 <= await come_to_an_end(client) <= 61
    assert now() < 61 + 8


# --- age -------------------------------------------------------------------------------------


@every_server
@both_colours
@virtual
async def test_an_old_connection_is_closed_with_3513(colour, style, facts):
    client = await meet(TextClient(build(Listener, colour, LIFETIME=OLD), style=style))

    await come_to_an_end(client)

    assert 900 <= now() <= 1001
    assert client.closes == [3513]
    assert client.texts == []
    assert client.notes == [("closed by us", 3513), ("disconnect", 3513)]
    assert facts("connection.closed")[0].kind == "server"
    assert facts.alarms == []


@both_colours
@virtual
async def test_a_client_of_the_protocol_hears_goodbye_right_before_the_close(colour):
    client = await meet(WireClient(build(Listener, colour, LIFETIME=OLD)))

    await come_to_an_end(client)

    assert client.controls[-1] == {
        "type": "bye",
        "code": 3513,
        "reason": "max_age",
        "verdict": "now",
        "after_ms": 0,
    }
    assert client.control_types().count("bye") == 1
    assert [sent["type"] for sent in client.sent[-2:]] == ["websocket.send", "websocket.close"]


@both_colours
@virtual
async def test_what_was_read_is_still_handled(colour):
    client = await meet(TextClient(build(Listener, colour, LIFETIME={"max_age": 10})))
    await settle(8.5)

    client.client_sends("work 3")
    for _ in range(5):
        client.client_sends("more")
    await come_to_an_end(client)

    assert client.notes == [
        "work 3", "worked", *["more"] * 5, ("closed by us", 3513), ("disconnect", 3513),
    ]  # fmt: skip


@virtual
async def test_activity_makes_nobody_younger():
    client = await meet(WireClient(build(Listener, LIFETIME=OLD)))

    for _ in range(1000):
        client.client_sends("say hi")
        await settle(1)

    assert client.closes == [3513]
    assert await client.ended() is None


@virtual
async def test_connections_of_the_same_age_do_not_end_at_once():
    crowd = [TextClient(build(Listener, LIFETIME=OLD)) for _ in range(50)]
    ended = []
    for client in crowd:
        client.task.add_done_callback(lambda _: ended.append(now()))

    await asyncio.gather(*(client.ended() for client in crowd))

    assert min(ended) >= 900
    assert max(ended) <= 1001
    assert max(ended) - min(ended) > 60
    assert len({round(moment) for moment in ended}) > 20


@pytest.mark.parametrize("held", ["bye", "websocket.close", "both"])
@virtual
async def test_a_peer_that_does_not_read_does_not_live_longer(held, facts):
    async def hold(message):
        is_bye = '"bye"' in message.get("text", "")
        is_close = message["type"] == "websocket.close"
        if (is_bye and held != "websocket.close") or (is_close and held != "bye"):
            await asyncio.get_running_loop().create_future()

    client = await meet(WireClient(build(Listener, LIFETIME={"max_age": 10}), on_send=hold))

    assert await client.ended() is None

    assert now() <= 10 + 8 + 1
    assert client.notes == [("closed by us", 3513), ("disconnect", 3513)]
    await settle(100)
    assert facts.alarms == []
    assert len(get_wheel(asyncio.get_running_loop())) == 0


# --- a class with a __call__ of its own ------------------------------------------------------


class OwnCall(Listener):
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)


@pytest.mark.parametrize(
    ("limits", "code", "end"), [(IDLE, 3440, "timed out"), (OLD, 3513, "closed by us")], ids=str
)
@both_colours
@virtual
async def test_a_consumer_with_its_own_call_has_the_same_limits(colour, limits, code, end):
    client = await meet(TextClient(build(OwnCall, colour, LIFETIME=limits)))

    client.client_sends("hi")
    await come_to_an_end(client)

    assert client.closes == [code]
    assert [client.notes[0], client.notes[1][:2], client.notes[2]] == [
        "hi", (end, code), ("disconnect", code),
    ]  # fmt: skip


# --- what is left ----------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [IDLE, OLD, {**IDLE, **OLD}], ids=str)
@pytest.mark.parametrize("ending", ["leaves", "times out", "is cancelled"])
@virtual
async def test_no_timer_is_left(limits, ending):
    client = await meet(WireClient(build(Listener, LIFETIME=limits), is_mute=True))

    if ending == "leaves":
        await client.leave()
    elif ending == "is cancelled":
        await client.leave_at_once()
    else:
        await client.ended()

    await settle(1)
    assert len(get_wheel(asyncio.get_running_loop())) == 0


@both_colours
@virtual
async def test_without_limits_a_silent_client_stays_for_ever(colour):
    client = await meet(TextClient(build(Listener, colour)))

    await settle(6 * 24 * 3600)

    assert client.closes == client.texts == []
    client.client_sends(control(type="hello"))
    await settle()
    assert client.notes == [control(type="hello")]
    await client.leave()
