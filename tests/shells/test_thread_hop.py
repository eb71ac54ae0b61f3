"""No message waits for a thread, and no more is asked of the thread than is needed."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import channels.db
from asgiref.sync import SyncToAsync, sync_to_async
from channels.consumer import AsyncConsumer
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import translation

from resilient_channels.databases import VISIT_INTERVAL
from shells.visits import build, now, open_visit, settle
from support.databases import aquery, break_connection, describe, in_thread, query
from support.loop import virtual

SENSITIVE = SyncToAsync.single_thread_executor


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data)


class Querying(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "fail":
            raise ValueError(text_data)
        if text_data != "leave it":
            await aquery()
        await self.send(text_data)


class Sleeper(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.pause(float(text_data))
        await self.send("slept")


async def say(visit, text: str = "x") -> str:
    visit.client_sends(text)
    return (await visit.next_sent())["text"]


# --- nothing is open -------------------------------------------------------------------------


@virtual
async def test_plain_channels_hands_every_message_to_a_thread(hops):
    """What all this is about."""
    hops.watch(asyncio.get_running_loop())
    visit = await open_visit(Echo)

    for _ in range(100):
        await say(visit)

    assert hops.submitted == [SENSITIVE] * 101
    await visit.leave()


@virtual
async def test_without_an_open_connection_nothing_is_handed_to_a_thread(hops):
    visit = await open_visit(build(Echo))
    await say(visit)  # the test database may be open, in another thread
    hops.watch(asyncio.get_running_loop())

    for _ in range(100):
        await say(visit)

    assert hops.submitted == []
    await visit.leave()


@virtual
async def test_what_channels_own_wrapper_has_closed_needs_no_hop(hops, make_database):
    class Wrapped(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await database_sync_to_async(query)()
            await self.send(text_data)

    make_database(CONN_MAX_AGE=0)
    visit = await open_visit(build(Wrapped))
    await say(visit)
    hops.closings = 0

    for _ in range(10):
        await say(visit)

    assert hops.closings == 2 * 10  # those of the wrapper
    await visit.leave()


# --- a thread that is busy -------------------------------------------------------------------


@virtual
async def test_a_synchronous_handler_that_sleeps_delays_no_asynchronous_one():
    sleeper = await open_visit(build(Sleeper, "sync"))
    echo = await open_visit(build(Echo))
    sleeper.client_sends("1000")
    await settle(1)
    started = now()

    for _ in range(10):
        assert await say(echo) == "x"

    assert now() == started
    await sleeper.next_sent()
    assert now() >= 1000
    await echo.leave()
    await sleeper.leave()


@virtual
async def test_not_even_while_connections_are_open_that_are_to_be_looked_after(hops, make_database):
    make_database(CONN_MAX_AGE=None)
    sleeper = await open_visit(build(Sleeper, "sync"))
    echo = await open_visit(build(Echo))
    await aquery()
    hops.watch(asyncio.get_running_loop())
    sleeper.client_sends("100")
    await settle(1)
    before = hops.closings

    for _ in range(50):
        started = now()
        assert await say(echo) == "x"
        assert now() == started
        await settle(1)

    # The visits did not pile up behind the sleeper: one waits, and says it all.
    assert hops.submitted == [SENSITIVE, SENSITIVE]  # the sleeper's own, and that one
    assert hops.closings == before
    await sleeper.next_sent()
    await settle()
    assert hops.closings == before + 2  # that one; Channels' own, after the sleeper
    await echo.leave()
    await sleeper.leave()


@virtual
async def test_a_handler_waits_for_the_thread_only_if_it_needs_it_and_after_the_visit(
    make_database,
):
    class Describing(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.send("began")
            await self.send(await sync_to_async(describe)())

    make_database(CONN_MAX_AGE=0)
    sleeper = await open_visit(build(Sleeper, "sync"))
    describing = await open_visit(build(Describing))
    sleeper.client_sends("100")
    await settle(1)
    work = asyncio.ensure_future(aquery())  # queued behind the sleeper, it will open one
    await settle(1)

    assert await say(describing) == "began"
    assert now() < 10
    assert (await describing.next_sent())["text"] == "open 1"  # it was not open yet
    assert now() >= 100
    await work
    await say(describing)
    assert (await describing.next_sent())["text"] == "closed"
    await sleeper.next_sent()
    await describing.leave()
    await sleeper.leave()


# --- how many hops ---------------------------------------------------------------------------


@virtual
async def test_while_connections_stay_open_there_is_at_most_one_hop_a_second(hops, make_database):
    make_database(CONN_MAX_AGE=None)
    visit = await open_visit(build(Querying))
    await say(visit)
    await say(visit)
    hops.closings = 0

    for _ in range(100):
        await settle(VISIT_INTERVAL / 10)
        await say(visit, "leave it")

    assert 9 <= hops.closings <= 10
    await visit.leave()


@virtual
async def test_connections_share_that_one_hop(hops, make_database):
    make_database(CONN_MAX_AGE=None)
    visits = [await open_visit(build(Querying)) for _ in range(10)]
    for visit in visits:
        await say(visit)
    await settle(VISIT_INTERVAL)
    hops.closings = 0

    for visit in visits:
        await say(visit, "leave it")

    assert hops.closings == 1
    for visit in visits:
        await visit.leave()


@virtual
async def test_once_everything_is_closed_there_are_no_more_hops(hops, make_database):
    make_database(CONN_MAX_AGE=0)
    visit = await open_visit(build(Querying))
    await say(visit)
    await say(visit, "leave it")
    hops.watch(asyncio.get_running_loop())

    for _ in range(10):
        await settle(VISIT_INTERVAL)
        await say(visit, "leave it")

    assert hops.submitted == []
    await visit.leave()


@virtual
async def test_after_a_handler_that_failed_there_is_always_one(hops):
    visit = await open_visit(build(Querying))
    await say(visit, "leave it")
    hops.watch(asyncio.get_running_loop())
    hops.closings = 0
    visit.client_sends("fail")
    await settle()
    assert hops.submitted == []

    await say(visit, "leave it")
    await say(visit, "leave it")

    assert hops.submitted == [SENSITIVE]
    assert hops.closings == 1
    await visit.leave()


@virtual
async def test_also_within_the_second_in_which_there_was_one(hops, make_database):
    make_database(CONN_MAX_AGE=None)
    visit = await open_visit(build(Querying))
    await say(visit)
    await say(visit)
    visit.client_sends("fail")
    await settle()
    hops.closings = 0

    await say(visit, "leave it")
    await say(visit, "leave it")

    assert hops.closings == 1
    await visit.leave()


@virtual
async def test_what_broke_is_replaced_for_every_connection(make_database):
    database = make_database(CONN_MAX_AGE=None)
    one, other = [await open_visit(build(Querying)) for _ in range(2)]
    await say(one)
    await say(other)
    await sync_to_async(break_connection)()
    one.client_sends("x")
    await settle()
    assert one.texts == ["x"]

    assert await say(other) == "x"
    assert await say(one) == "x"
    assert database.opened == 2
    await one.leave()
    await other.leave()


# --- the context -----------------------------------------------------------------------------


@virtual
async def test_what_a_handler_has_set_outlives_the_hops(make_database):
    tenant: ContextVar[str] = ContextVar("tenant")

    class Tenant(AsyncWebsocketConsumer):
        async def connect(self):
            tenant.set("acme")
            translation.activate("de")
            await aquery()
            await self.accept()

        async def receive(self, text_data=None, bytes_data=None):
            state = await sync_to_async(describe)()
            await self.send(f"{tenant.get()} {translation.get_language()} {state}")
            tenant.set(text_data)
            await aquery()

    make_database(CONN_MAX_AGE=0)
    visits = [await open_visit(build(Tenant)) for _ in range(2)]

    for visit in visits:
        assert await say(visit, "renamed") == "acme de closed"
        assert await say(visit) == "renamed de closed"
        await visit.leave()
    assert translation.get_language() != "de"


# --- what goes wrong in the thread -----------------------------------------------------------


@virtual
async def test_what_a_hop_raises_is_told_once_and_ends_nothing(facts, make_database, monkeypatch):
    def fail():
        raise OSError("no route to host")

    make_database(CONN_MAX_AGE=None)
    visit = await open_visit(build(Querying))
    await say(visit)
    monkeypatch.setattr(channels.db, "close_old_connections", fail)

    for _ in range(3):
        assert await say(visit) == "x"
    await settle()

    (told,) = facts("handler.error")
    assert (told.handler, told.error, told.closes) == ("close_old_connections", "OSError", False)
    assert told.exc_info[2] is not None
    monkeypatch.undo()
    await visit.leave()
    assert facts.alarms == ["handler.error"]


async def test_a_thread_that_has_ended_is_not_looked_after(facts, monkeypatch):
    ended = ThreadPoolExecutor(max_workers=1)
    ended.shutdown()
    visit = await open_visit(build(Querying))
    monkeypatch.setattr(SyncToAsync, "single_thread_executor", ended)

    for _ in range(3):
        visit.client_sends("fail")
        assert await say(visit, "leave it") == "leave it"

    monkeypatch.undo()
    await visit.leave()
    told = [(failure.handler, failure.error) for failure in facts("handler.error")]
    assert told == [("websocket.receive", "ValueError")] * 3


def test_a_hop_may_outlive_its_loop(make_database, caplog):
    class Bare(AsyncConsumer):
        async def websocket_connect(self, message):
            await self.send({"type": "websocket.accept"})

        async def websocket_receive(self, message):
            await self.send({"type": "websocket.send", "text": "x"})

        async def websocket_disconnect(self, message):
            raise StopConsumer

    async def converse():
        visit = await open_visit(build(Bare))
        await aquery()
        SENSITIVE.submit(released.wait, 10)
        assert await say(visit) == "x"
        await visit.leave()

    make_database(CONN_MAX_AGE=None)
    released = threading.Event()

    asyncio.run(converse())
    released.set()
    in_thread(lambda: None)

    assert caplog.records == []
