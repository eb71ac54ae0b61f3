"""How often a thread is visited to close old connections, and what can go wrong there."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import channels.db
from asgiref.sync import SyncToAsync, sync_to_async
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels.databases import VISIT_INTERVAL
from shells.visits import build, open_visit, settle
from support.databases import aquery, break_connection, in_thread
from support.loop import virtual

SENSITIVE = SyncToAsync.single_thread_executor


class Querying(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "fail":
            raise ValueError(text_data)
        if text_data != "leave it":
            await aquery()
        await self.send(text_data)


async def say(visit, text: str = "x") -> str:
    visit.client_sends(text)
    return (await visit.next_sent())["text"]


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
