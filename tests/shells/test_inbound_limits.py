"""What one client may send: no frame too long, no frames too often."""

import asyncio

import pytest

from resilient_channels import DisconnectKind, on_disconnect
from resilient_channels.core import wire
from resilient_channels.core.wire import MARK
from resilient_channels.observers import counts
from shells.clients import Listener, TextClient, WireClient, control, greeted, meet
from shells.mounts import Chat, mount, plain
from shells.test_stalls import stall
from shells.visits import both_colours, build, note, open_visit, settle
from support.loop import virtual

SECRET = "the password is 1234"


class Counting(Listener):
    """Notes how it ended, beside everything else."""

    @on_disconnect(DisconnectKind.ERROR)
    async def failed(self, info):
        note(self, "ended", info.code)


class OwnCall(Counting):
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)


def listening(colour="async", consumer=Counting, **limits):
    return build(consumer, colour, LIMITS=limits)


def middleware(**limits):
    return mount(plain(Chat), LIMITS=limits)


KINDS = {
    "async": lambda **limits: listening("async", **limits),
    "sync": lambda **limits: listening("sync", **limits),
    "own call": lambda **limits: listening("async", OwnCall, **limits),
    "middleware": middleware,
}
every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


async def flood(visit, count, text="flood"):
    for _ in range(count):
        visit.client_sends(text)
    await settle(1)


def check_closed(visit, code, facts, cause):
    """Closed once, told once, and counted, with nothing of the client's in it."""
    assert visit.closes == [code]
    [told] = facts("limit.exceeded")
    assert (told.cause, told.code, told.levelname) == (cause, code, "INFO")
    assert SECRET not in repr(vars(told))
    assert facts.alarms == []


# --- the size of a frame ---------------------------------------------------------------------


@pytest.mark.parametrize("data", ["x" * 101, b"x" * 101, "\u00e9" * 101])
@every_kind
@virtual
async def test_a_frame_too_long_closes_with_3413_and_reaches_nobody(make, data, facts):
    visit = await open_visit(make(message_bytes=100))

    visit.client_sends("before")
    visit.client_sends(data)
    visit.client_sends("behind")

    assert await visit.ended() is None
    check_closed(visit, 3413, facts, "message size")
    assert facts("limit.exceeded")[0].limit == 100
    assert [said for said in visit.notes if said == "behind" or said == data] == []


@pytest.mark.parametrize("data", ["x" * 100, b"x" * 100, "\u00e9" * 100, "", b""])
@every_kind
@virtual
async def test_a_frame_of_just_that_length_passes(make, data):
    visit = await open_visit(make(message_bytes=100))

    visit.client_sends(data)
    await settle()

    assert visit.notes[0] == data
    assert visit.closes == []
    await visit.leave()


@both_colours
@virtual
async def test_the_consumer_is_told_why_it_ended(colour):
    visit = await open_visit(listening(colour, message_bytes=100))

    visit.client_sends("x" * 101)

    assert await visit.ended() is None
    assert visit.notes == [("ended", 3413), ("disconnect", 3413)]


@pytest.mark.parametrize(
    "text",
    [control(type="ping", n="x" * 100), MARK + "x" * 100, MARK * 2 + "x" * 100],
    ids=["ping", "nonsense", "escaped"],
)
@virtual
async def test_the_length_of_control_frames_is_limited_too(text, monkeypatch):
    client = await greeted(listening(message_bytes=100))
    parsed = []
    monkeypatch.setattr(wire, "decode", parsed.append)

    client.client_sends(text)

    assert await client.ended() is None
    assert client.closes == [3413]
    assert parsed == []


@virtual
async def test_the_length_of_a_known_ping_is_limited_too():
    ping = "ping" * 30
    limits = {"LIMITS": {"message_bytes": 100}, "HEARTBEAT": {"reply": {ping: "pong"}}}
    visit = await open_visit(build(Counting, **limits))

    visit.client_sends(ping)

    assert await visit.ended() is None
    assert (visit.closes, visit.texts) == ([3413], [])


# --- how many of them ------------------------------------------------------------------------


@every_kind
@virtual
async def test_one_frame_too_many_at_once_closes_with_3429(make, facts):
    visit = await open_visit(make(rate=10, burst=20))
    await flood(visit, 20)
    assert visit.closes == []
    await settle(2)

    await flood(visit, 21, SECRET)

    assert await visit.ended() is None
    check_closed(visit, 3429, facts, "rate")
    assert facts("limit.exceeded")[0].limit == 10
    assert counts["limit.exceeded", "rate"] >= 1


@every_kind
@virtual
async def test_who_keeps_to_the_rate_may_go_on_for_hours(make):
    visit = await open_visit(make(rate=8, burst=1))

    for _ in range(4 * 3600):
        visit.client_sends(b"")
        await settle(0.125)

    assert visit.closes == []
    await visit.leave()


@virtual
async def test_the_burst_is_that_of_two_seconds_unless_it_is_set():
    visit = await open_visit(listening(rate=2.5))

    await flood(visit, 5)
    assert visit.closes == []
    await flood(visit, 4)

    assert visit.closes == [3429]
    assert await visit.ended() is None


@both_colours
@virtual
async def test_answers_to_our_pings_are_free(colour):
    options = {"HEARTBEAT": {"interval": 1.0, "timeout": 5.0}, "LIMITS": {"rate": 0.01, "burst": 1}}
    client = await meet(WireClient(build(Counting, colour, **options)))

    await settle(600)

    assert len(client.pings) >= 600
    assert client.closes == []
    client.client_sends("the one that is allowed")
    await settle()
    assert client.closes == []
    await client.leave()


@virtual
async def test_answers_in_a_clients_own_words_are_free_once_per_ping():
    heartbeat = {"interval": 1.0, "timeout": 5.0, "ping": "ping", "pong": "pong"}
    client = await meet(
        TextClient(build(Counting, HEARTBEAT=heartbeat, LIMITS={"rate": 0.01, "burst": 1}))
    )
    await settle(600)
    assert client.closes == []

    for _ in range(3):
        client.client_sends("pong")
    await settle()

    assert client.closes == [3429]
    assert await client.ended() is None


PINGS = {
    "pings": control(type="ping", n=1),
    "pongs that nobody asked for": control(type="pong", n=77),
    "hellos": control(type="hello", version=1),
    "nonsense": MARK + "{",
}


@pytest.mark.parametrize("text", PINGS.values(), ids=PINGS)
@virtual
async def test_control_frames_that_nobody_asked_for_count(text):
    client = await greeted(listening(rate=10, burst=50))

    await flood(client, 70, text)

    assert client.closes == [3429]
    assert await client.ended() is None


@virtual
async def test_a_clients_own_pings_count():
    options = {"HEARTBEAT": {"reply": {"ping": "pong"}}, "LIMITS": {"rate": 10, "burst": 20}}
    visit = await open_visit(build(Counting, **options))

    await flood(visit, 30, "ping")

    assert visit.closes == [3429]
    assert await visit.ended() is None


# --- time in which we do not listen ----------------------------------------------------------


@both_colours
@virtual
async def test_frames_that_pile_up_behind_a_slow_handler_are_not_held_against_the_client(colour):
    visit = await open_visit(listening(colour, rate=10, burst=10))
    visit.client_sends("work 30")

    for _ in range(8 * 30):
        visit.client_sends("frame")
        await settle(0.125)
    await settle(5)

    assert visit.notes.count("frame") == 8 * 30
    assert visit.closes == []
    await visit.leave()


@virtual
async def test_frames_that_pile_up_while_the_loop_stands_still_are_not_held_against_the_client():
    visit = await open_visit(listening(rate=10, burst=10))
    visit.client_sends("first")
    await settle(1)

    for _ in range(5):
        stall(20)
        for _ in range(8 * 20):
            visit.client_sends("frame")
        await settle(1)

    assert visit.notes.count("frame") == 5 * 8 * 20
    assert visit.closes == []
    await visit.leave()


# --- what comes after ------------------------------------------------------------------------


@pytest.mark.parametrize("make", [KINDS["async"], KINDS["own call"], KINDS["middleware"]])
@virtual
async def test_a_flood_through_a_closed_connection_is_neither_read_nor_kept(make):
    blocked = asyncio.Event()

    async def slow_close(message):
        if message["type"] == "websocket.close":
            await blocked.wait()

    visit = await open_visit(make(rate=10, burst=20), on_send=slow_close)

    for _ in range(20):
        await flood(visit, 1000)
    handled = visit.notes.count("flood")
    blocked.set()

    assert await visit.ended() is None
    assert handled <= 20
    assert visit.notes.count("flood") == handled
    assert visit.closes == [3429]


@virtual
async def test_control_frames_of_a_closed_connection_are_not_parsed(monkeypatch):
    blocked = asyncio.Event()

    async def slow_close(message):
        if message["type"] == "websocket.close":
            await blocked.wait()

    client = await greeted(listening(rate=10, burst=20), on_send=slow_close)
    await flood(client, 30)
    parsed = []
    monkeypatch.setattr(wire, "decode", parsed.append)

    await flood(client, 1000, control(type="ping", n=1))

    assert parsed == []
    blocked.set()
    assert await client.ended() is None


@virtual
async def test_a_flood_does_not_hold_up_the_others_even_when_it_has_been_closed():
    flooding = await open_visit(listening(rate=10, burst=20))
    calm = await open_visit(listening())
    for _ in range(50_000):
        flooding.client_sends("flood")
    calm.client_sends("say hello")

    turns = 0
    while calm.texts != ["hello"]:
        await asyncio.sleep(0)
        turns += 1

    assert turns < 20
    assert flooding.inbound.qsize() > 40_000
    await calm.leave()
    assert await flooding.ended() is None


@pytest.mark.parametrize(
    ("limits", "code", "name"),
    [({"message_bytes": 100}, 3413, "too_big"), ({"rate": 1}, 3429, "rate_limited")],
)
@virtual
async def test_a_client_that_speaks_the_protocol_is_told_before(limits, code, name):
    client = await greeted(listening(**limits))

    await flood(client, 3, "x" * 101)

    assert await client.ended() is None
    bye = client.controls[-1]
    assert (bye["type"], bye["code"], bye["reason"]) == ("bye", code, name)
    assert bye["verdict"] == "backoff"
    assert client.closes == [code]


# --- off -------------------------------------------------------------------------------------


@both_colours
@virtual
async def test_where_nothing_is_limited_nobody_looks(colour):
    visit = await open_visit(build(Counting, colour))

    await flood(visit, 10_000)
    visit.client_sends("x" * 5_000_000)
    await settle(1)

    assert visit.consumer._resilient_driver.intake.guard is None
    assert len(visit.notes) == 10_001
    await visit.leave()
