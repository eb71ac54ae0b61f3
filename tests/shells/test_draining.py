"""A process lets go of its clients: told, spread, cleaned up, and no new ones."""

import asyncio
import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import DisconnectKind, ResilientMiddleware, drain, draining, on_disconnect
from resilient_channels.registry import registry
from shells.clients import Listener, WireClient, meet
from shells.visits import Visit, both_colours, build, note, now, open_visit, settle
from support.loop import virtual
from support.servers import UVICORN


class Guest(Listener):
    """As a listener, and notes that its end was a drain."""

    @on_disconnect(DisconnectKind.DRAIN)
    async def drained(self, info):
        note(self, "drained", info.code, info.initiator.value)


class Clock:
    """Notes when a server is given which message."""

    def __init__(self) -> None:
        self.closed_at: list[float] = []

    def __call__(self, message):
        if message["type"] == "websocket.close":
            self.closed_at.append(now())


@pytest.fixture(autouse=True)
def in_a_new_process() -> Iterator[None]:
    yield
    draining.forget()


async def meet_many(count, consumer=None, **kwargs):
    consumer = consumer or build(Guest)
    clients = [await meet(WireClient(consumer, **kwargs)) for _ in range(count)]
    for client in clients:
        client.latency = 0.01
    return clients


# --- those who are there -------------------------------------------------------------------------


@both_colours
@virtual
async def test_each_is_told_to_go_and_hears_why(colour, facts):
    (client,) = await meet_many(1, build(Guest, colour))

    left = await drain()

    assert left == 0
    assert client.controls[-1]["type"] == "bye"
    assert client.controls[-1] | {"after_ms": 0} == {
        "type": "bye", "code": 3512, "reason": "restart", "verdict": "now", "after_ms": 0,
    }  # fmt: skip
    assert client.closes == [3512]
    assert await client.ended() is None
    assert client.notes == [("drained", 3512, "server"), ("disconnect", 3512)]
    (closed,) = facts("connection.closed")
    assert (closed.code, closed.kind, closed.initiator) == (3512, "drain", "server")
    assert (facts("drain.began")[0].connections, facts("drain.began")[0].cause) == (1, "call")
    ended = facts("drain.ended")[0]
    assert (ended.closed, ended.left) == (1, 0)


@both_colours
@virtual
async def test_an_ordinary_client_is_closed_without_a_word(colour):
    visit = await open_visit(build(Guest, colour))

    await drain()

    assert visit.texts == []
    assert visit.closes == [3512]
    assert ("disconnect", 3512) in visit.notes


@virtual
async def test_closes_are_spread_evenly():
    clock = Clock()
    await meet_many(20, on_send=clock)
    began = now()

    await drain(duration=10)

    assert len(clock.closed_at) == 20
    gaps = [b - a for a, b in pairwise(clock.closed_at)]
    assert all(gap == pytest.approx(0.5, abs=0.02) for gap in gaps)
    assert clock.closed_at[0] - began < 0.1


@virtual
async def test_by_default_half_a_second_each():
    clock = Clock()
    await meet_many(6, on_send=clock)

    await drain()

    assert clock.closed_at[-1] - clock.closed_at[0] == pytest.approx(2.5, abs=0.05)


@virtual
async def test_each_has_a_time_of_its_own_to_come_back_at():
    clock = Clock()
    clients = await meet_many(40, on_send=clock)

    await drain(duration=10, spread=40)

    began = clock.closed_at[0]
    returns = sorted(
        closed_at + client.controls[-1]["after_ms"] / 1000 - began
        for closed_at, client in zip(clock.closed_at, clients, strict=True)
    )
    assert len({client.controls[-1]["after_ms"] for client in clients}) > 30
    for second in range(40):
        assert sum(second <= back < second + 1 for back in returns) <= 2


@virtual
async def test_closes_are_not_rushed_after_the_loop_stood_still():
    clock = Clock()
    await meet_many(100, on_send=clock)
    task = asyncio.ensure_future(drain(duration=10))
    await asyncio.sleep(3)

    asyncio.get_running_loop().now += 4  # nothing ran for so long
    await task

    assert len(clock.closed_at) == 100
    for begin in clock.closed_at:
        assert sum(begin <= at < begin + 1 for at in clock.closed_at) <= 20


@virtual
async def test_those_who_leave_meanwhile_are_not_waited_for():
    clock = Clock()
    clients = await meet_many(20, on_send=clock)
    task = asyncio.ensure_future(drain(duration=10))
    await asyncio.sleep(2.2)
    for client in clients[5:18]:
        await client.leave()

    began = now()
    await task

    assert len(clock.closed_at) == 7
    assert now() - began < 3


@both_colours
@virtual
async def test_what_was_read_is_still_handled(colour):
    (client,) = await meet_many(1, build(Guest, colour))
    client.client_sends("work 2")
    client.client_sends("last words")
    await settle(1)

    left = await drain()

    assert left == 0
    assert client.notes == [
        "work 2", "worked", "last words", ("drained", 3512, "server"), ("disconnect", 3512),
    ]  # fmt: skip


@virtual
async def test_busy_ones_go_first_and_are_waited_for_within_limits(facts):
    clock, idle_clock = Clock(), Clock()
    await meet_many(10, on_send=idle_clock)
    (busy,) = await meet_many(1, on_send=clock)
    busy.client_sends("work 3600")
    await settle(1)
    began = now()

    left = await drain(duration=10)

    assert left == 0
    assert clock.closed_at[0] < idle_clock.closed_at[0] + 0.01
    assert now() - began < 10.5
    assert busy.notes == ["work 3600", ("drained", 3512, "server"), ("disconnect", 3512)]
    assert facts("handler.cut_off")[0].after == pytest.approx(6)


@pytest.mark.leaves("groups")
@virtual
async def test_a_peer_that_takes_nothing_does_not_hold_it_up():
    async def never(message):
        if message["type"] == "websocket.close":
            await asyncio.sleep(1e5)

    (stuck,) = await meet_many(1, on_send=lambda message: never(message))
    began = now()

    left = await drain()

    assert left == 0
    assert now() - began < 3
    assert stuck.notes == [("drained", 3512, "server"), ("disconnect", 3512)]
    await asyncio.sleep(60)


# --- those who are not in yet --------------------------------------------------------------------


class Slow(AsyncWebsocketConsumer):
    async def connect(self):
        await self.pause(self.scope["wait"])
        await self.accept()
        note(self, "accepted")

    async def disconnect(self, code):
        note(self, "disconnect", code)


@both_colours
@virtual
async def test_a_handshake_that_is_decided_meanwhile_ends_like_the_others(colour):
    await meet_many(9)
    visit = Visit(build(Slow, colour), wait=2)
    await settle()

    left = await drain(duration=10)

    assert left == 0
    assert await visit.ended() is None
    assert visit.notes == ["accepted", ("disconnect", 3512)]
    assert visit.closes == [3512]


@virtual
async def test_one_that_is_not_is_refused(facts):
    visit = Visit(build(Slow), wait=20)
    await settle()

    left = await drain(duration=1)

    assert left == 0
    assert [sent["type"] for sent in visit.sent] == ["websocket.close"]
    (refused,) = facts("connection.refused")
    assert (refused.cause, refused.code) == ("draining", 3512)
    assert await visit.ended() is None


@virtual
async def test_a_new_one_is_told_when_to_try_again():
    await meet_many(10)
    task = asyncio.ensure_future(drain(duration=10, spread=20))
    await asyncio.sleep(4)
    newcomers = [WireClient(build(Guest)) for _ in range(20)]
    for newcomer in newcomers:
        assert await newcomer.ended() is None

    byes = [newcomer.controls[-1] for newcomer in newcomers]
    assert {bye["code"] for bye in byes} == {3512}
    # Not before this process has gone, and not all at once.
    assert all(6_000 <= bye["after_ms"] + 100 <= 26_200 for bye in byes)
    assert max(bye["after_ms"] for bye in byes) - min(bye["after_ms"] for bye in byes) > 5_000
    assert all(newcomer.notes == [] for newcomer in newcomers)
    await task


@virtual
async def test_an_ordinary_new_one_gets_a_503_where_the_server_can_send_it():
    await drain()

    visit = Visit(build(Guest), style=UVICORN)

    assert await visit.ended() is None
    start, _ = visit.sent
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 503)
    assert [name for name, _ in start["headers"]] == [b"retry-after"]


@virtual
async def test_those_who_are_refused_do_not_count():
    clients = await meet_many(4)
    task = asyncio.ensure_future(drain(duration=2))

    async def knock() -> None:
        while not task.done():
            Visit(build(Guest), style=UVICORN)
            await asyncio.sleep(0.1)

    await asyncio.gather(knock(), task)

    assert task.result() == 0
    assert all(client.closes == [3512] for client in clients)
    await settle(3)


# --- the middleware ------------------------------------------------------------------------------


async def echo(scope, receive, send):
    """An application that knows nothing of this library."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": message["text"]})
    scope["notes"].append(message["code"])


@virtual
async def test_an_application_behind_the_middleware_is_drained_too():
    middleware = ResilientMiddleware(echo)
    client = await meet(WireClient(lambda: middleware))

    left = await drain()

    assert left == 0
    assert client.controls[-1]["code"] == 3512
    assert client.closes == [3512]
    assert client.notes == [3512]


@virtual
async def test_a_consumer_inside_the_middleware_is_drained_once(facts):
    inner = build(Guest).as_asgi()
    middleware = ResilientMiddleware(inner)
    visit = await open_visit(lambda: middleware)

    await drain()

    assert visit.closes == [3512]
    assert visit.notes == [("drained", 3512, "server"), ("disconnect", 3512)]
    assert facts("drain.ended")[0].closed == 1


# --- several event loops -------------------------------------------------------------------------


async def test_clients_on_other_loops_are_let_go_there():
    """A server in a thread, beside the one that was told to drain."""
    ready, notes = threading.Event(), []

    async def serve() -> None:
        visit = await open_visit(build(Guest))
        ready.set()
        await visit.ended()
        notes.append(visit.closes)

    elsewhere = threading.Thread(target=lambda: asyncio.run(serve()))
    elsewhere.start()
    assert await asyncio.to_thread(ready.wait, 10)

    left = await drain(duration=0.1)

    await asyncio.to_thread(elsewhere.join, 10)
    assert left == 0
    assert notes[-1] == [3512]


@virtual
async def test_what_a_loop_has_left_behind_at_its_end_is_not_waited_for(facts):
    ended = asyncio.new_event_loop()
    ended.close()
    visit = await open_visit(build(Guest))
    (connection,) = registry
    connection.loop = ended  # type: ignore[attr-defined]
    began = now()

    left = await drain()

    assert (left, now()) == (0, began)
    assert facts("drain.began")[0].connections == 0
    connection.loop = asyncio.get_running_loop()  # type: ignore[attr-defined]
    await visit.leave()


# --- one drain -----------------------------------------------------------------------------------


@virtual
async def test_a_second_call_waits_for_the_first(facts):
    await meet_many(10)
    began = now()
    first = asyncio.ensure_future(drain(duration=5))
    await asyncio.sleep(1)

    second = await drain(duration=100)

    assert 4.5 <= now() - began < 5
    assert (second, await first) == (0, 0)
    assert len(facts("drain.began")) == 1


@virtual
async def test_whoever_stops_waiting_does_not_end_it():
    clients = await meet_many(4)
    waiting = asyncio.ensure_future(drain(duration=2))
    await settle()

    waiting.cancel()
    await drain()

    assert all(client.closes == [3512] for client in clients)


@virtual
async def test_skipping_closes_the_rest_at_once(facts):
    clock = Clock()
    await meet_many(50, on_send=clock)
    task = asyncio.ensure_future(drain(duration=100))
    await asyncio.sleep(5)
    before = len(clock.closed_at)
    current = draining.get_drain()
    assert current is not None

    current.skip()
    await task

    assert before == 3
    assert len(clock.closed_at) == 50
    assert clock.closed_at[-1] - clock.closed_at[before] < 0.05
    assert facts("drain.skipped")[0].left == 47
    await settle(1)
    assert len(registry) == 0


@virtual
async def test_a_process_without_clients_is_drained_at_once(facts):
    began = now()

    assert await drain() == 0

    assert now() == began
    assert facts("drain.began")[0].connections == 0


@virtual
async def test_the_setting_is_what_counts_without_arguments(settings):
    settings.RESILIENT_CHANNELS = {"DRAIN": {"duration": 30.0}}
    clock = Clock()
    await meet_many(4, on_send=clock)

    await drain()

    assert clock.closed_at[-1] - clock.closed_at[0] == pytest.approx(22.5, abs=0.1)
