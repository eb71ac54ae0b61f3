"""Two layers of the library on one connection: they neither contradict nor repeat each other."""

import asyncio

import pytest

from resilient_channels import ResilientMiddleware
from shells.clients import (
    BOUND,
    TextClient,
    WireClient,
    come_to_an_end,
    everything_sent,
    meet,
)
from shells.mounts import (
    ACCEPT,
    Resilient,
    accepting_first,
    between,
    consumer_behind,
    copying_scope,
    mount,
    nothing,
    nothing_is_left,
    receiving_first,
    wrapping_both,
    wrapping_receive,
    wrapping_send,
)
from shells.visits import both_colours, build, now, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES, UVICORN

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)
everything_between = between(
    nothing, wrapping_send, wrapping_receive, wrapping_both, receiving_first, accepting_first
)

PINGS = {"ping": "ping", "pong": "pong"}


# --- a resilient consumer inside -----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "always"])
@pytest.mark.parametrize("kind", [WireClient, TextClient])
@everything_between
@virtual
async def test_a_client_is_pinged_once_per_interval_and_in_its_own_language(
    wrap, kind, mode, settings
):
    """Symptom: two pings, one of them to nobody's knowledge; a live client given up."""
    settings.RESILIENT_CHANNELS = {"HEARTBEAT": {"mode": mode, **PINGS}}

    client = await meet(kind(consumer_behind(wrap)))
    await settle(600)

    assert 24 <= len(client.pings) <= 28
    assert client.closes == []
    assert client.notes == []
    assert client.texts == ([] if kind is WireClient else ["ping"] * len(client.pings))
    client.freeze()
    assert await come_to_an_end(client) <= BOUND
    assert client.closes == [3408]
    assert client.notes == [("gave up", 3408), ("disconnect", 3408)]


@everything_between
@virtual
async def test_a_client_that_only_answers_pings_is_not_idle(wrap, settings):
    """Symptom: the inner layer does not see pongs, and closed with 3440."""
    settings.RESILIENT_CHANNELS = {"LIFETIME": {"idle_timeout": 60}}

    client = await meet(WireClient(consumer_behind(wrap)))
    await settle(600)

    assert client.closes == []
    client.freeze()
    await client.ended()
    assert client.notes[-1][0] == "disconnect"


@everything_between
@both_colours
@virtual
async def test_a_peer_that_does_not_read_is_given_up_once(colour, wrap, facts):
    async def block(message):
        if message["type"] == "websocket.send":
            await asyncio.get_running_loop().create_future()

    visit = await open_visit(consumer_behind(wrap, colour), on_send=block, style=UVICORN)
    visit.client_sends("say hi")
    started = now()

    assert await visit.ended() is None
    assert now() - started == pytest.approx(30, abs=2.5)
    assert visit.closes == [3420]
    assert visit.notes[1:] == [("gave up", 3420), ("disconnect", 3420)]
    assert facts.alarms == []
    assert nothing_is_left()


DEPARTURES = {
    "a code of its own": (lambda visit: visit.client_closes(4321), 4321, "client"),
    "no code": (lambda visit: visit.client_closes(None), 1005, "client"),
    "a lost connection": (lambda visit: visit.client_vanishes(), 1006, "lost"),
    "our close": (lambda visit: visit.client_sends("close 4001"), 4001, "server"),
}


@pytest.mark.parametrize("departure", DEPARTURES)
@everything_between
@every_server
@virtual
async def test_the_end_is_the_same_in_both_layers(style, wrap, departure, facts):
    leave, code, kind = DEPARTURES[departure]
    visit = await open_visit(consumer_behind(wrap), style=style)

    leave(visit)

    assert await visit.ended() is None
    assert visit.notes[-2:] == [(kind, code), ("disconnect", code)]
    ends = {(closed.code, closed.kind) for closed in facts("connection.closed")}
    assert ends == {(code, kind)}
    assert nothing_is_left()


@everything_between
@both_colours
@virtual
async def test_a_handler_that_goes_on_for_ever_is_cut_off_and_the_rest_still_runs(
    colour, wrap, facts
):
    visit = await open_visit(consumer_behind(wrap, colour))
    visit.client_sends("work 1000")
    await settle(1)
    visit.client_vanishes()
    left = now()

    assert await visit.ended() is None
    assert now() - left < 8
    assert visit.notes[1:] == [("lost", 1006), ("disconnect", 1006)]
    assert {closed.kind for closed in facts("connection.closed")} == {"lost"}
    assert nothing_is_left()


@everything_between
@virtual
async def test_a_server_that_cancels_finds_everything_cleaned_up(wrap):
    visit = await open_visit(consumer_behind(wrap))
    visit.client_sends("work 1000")
    await settle(1)

    await visit.leave_at_once()

    assert visit.closes == [3512]
    assert visit.notes[1:] == [("cancelled", 3512), ("disconnect", 3512)]
    assert nothing_is_left()


@virtual
async def test_of_several_consumers_behind_pipes_each_is_protected_and_none_speaks_for_itself():
    pipe = asyncio.Queue()

    async def multiplexer(scope, receive, send):
        inboxes = [asyncio.Queue() for _ in range(2)]
        consumers = [build(Resilient).as_asgi() for _ in inboxes]
        tasks = [
            asyncio.ensure_future(consumer(scope, inbox.get, pipe.put))
            for consumer, inbox in zip(consumers, inboxes, strict=True)
        ]
        await send(ACCEPT)
        message = {"type": ""}
        while message["type"] != "websocket.disconnect":
            message = await receive()
            for inbox in inboxes:
                inbox.put_nowait(dict(message))
        await asyncio.gather(*tasks)

    client = await meet(WireClient(mount(multiplexer)))
    client.client_sends("fail")
    client.client_sends("say hi")
    await settle(300)
    piped = [pipe.get_nowait() for _ in range(pipe.qsize())]

    assert [message.get("text", message["type"]) for message in piped] == [
        *["websocket.accept"] * 2,
        *["hi"] * 2,
    ]
    assert client.control_types().count("hello") == 1
    await client.leave(4001)
    assert sorted(client.notes[4:]) == [*[("client", 4001)] * 2, *[("disconnect", 4001)] * 2]
    assert nothing_is_left()


# --- a middleware inside of a middleware ---------------------------------------------------------


async def echo(scope, receive, send):
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": message["text"]})
    scope["notes"].append(message["code"])


@between(nothing, copying_scope, wrapping_send, wrapping_receive)
@virtual
async def test_of_two_middlewares_the_inner_one_has_the_options_for_this_place(wrap, facts):
    inner = ResilientMiddleware(echo, resilience={"LIFETIME": {"max_age": 10}})

    client = await meet(WireClient(mount(wrap(inner), LIFETIME={"max_age": 1000})))
    client.client_sends("x")
    await client.ended()

    assert client.notes == [3513]
    assert client.closes == [3513]
    assert 9 <= asyncio.get_running_loop().time() <= 10.5
    told = [what for what in everything_sent(client) if what != "ping"]
    assert told == ["accept", "hello", client.texts[0], "bye", "close"]
    assert facts.names == ["connection.opened", "connection.closed"]
    assert facts("connection.opened")[0].consumer == f"{__name__}.echo"
    assert nothing_is_left()


@virtual
async def test_of_two_middlewares_that_cannot_see_each_other_one_asks_for_signs_of_life(facts):
    inner = ResilientMiddleware(echo, resilience={"LIFETIME": {"idle_timeout": 60}})

    client = await meet(WireClient(mount(wrapping_both(inner))))
    await settle(600)
    client.client_sends("x")
    await settle()

    assert client.texts == ["X"]
    assert client.closes == []
    assert client.control_types().count("hello") == 1
    assert 24 <= len(client.pings) <= 28
    client.freeze()
    assert await come_to_an_end(client) <= BOUND
    assert client.notes == [3408]
    assert {closed.kind for closed in facts("connection.closed")} == {"timeout"}
    assert nothing_is_left()
