"""Connections belong to threads; a hop goes to the one in which the handler's would be opened."""

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from weakref import ref

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.core.signals import request_finished, request_started
from django.db import connections

from resilient_channels import databases
from resilient_channels.databases import VISIT_INTERVAL
from shells.visits import build, open_visit, settle
from support.databases import aquery, break_connection, describe, forget, query
from support.loop import virtual

elsewhere = sync_to_async(query, thread_sensitive=False)

has_executors = pytest.mark.skipif(
    "executor" not in inspect.signature(ThreadSensitiveContext.__init__).parameters,
    reason="asgiref before 3.13 has no contexts with an executor of one's own",
)


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data)


class Describing(AsyncWebsocketConsumer):
    """Says in which thread its connections are, and whether the last one was closed."""

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(f"{await sync_to_async(find_thread)()}: {await sync_to_async(describe)()}")
        await aquery()


def find_thread() -> str:
    return threading.current_thread().name


async def say(visit, text: str = "x") -> str:
    visit.client_sends(text)
    return (await visit.next_sent())["text"]


# --- threads that no hop reaches -------------------------------------------------------------


@virtual
async def test_an_open_connection_of_another_thread_causes_no_hops(hops, make_database):
    def work():
        query()
        opened.set()
        done.wait(10)
        connections.close_all()

    make_database(CONN_MAX_AGE=None)
    opened, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    opened.wait(10)
    visit = await open_visit(build(Echo))
    await elsewhere()
    await say(visit)  # may have to find out which thread is whose
    hops.watch(asyncio.get_running_loop())

    for _ in range(10):
        await settle(VISIT_INTERVAL)
        await say(visit)

    assert hops.submitted == []
    done.set()
    thread.join()
    await visit.leave()


@virtual
async def test_nor_does_it_keep_one_from_being_closed_that_a_hop_reaches(make_database):
    class Both(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await elsewhere()
            await self.send(await sync_to_async(describe)())
            await aquery()

    make_database(CONN_MAX_AGE=0)
    visit = await open_visit(build(Both))

    assert [await say(visit) for _ in range(3)] == ["closed"] * 3
    await visit.leave()


def test_a_connection_of_a_loops_own_thread_calls_for_no_hop(make_database, monkeypatch):
    """It belongs to a context, not to the thread; no hop of Channels closes it either."""

    async def work():
        query()
        found.append((describe(), ref(databases._here.ledger) in databases.ledgers))
        forget()

    make_database(CONN_MAX_AGE=None)
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    found: list[tuple[str, bool]] = []

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    thread.join()

    assert found == [("open 1", False)]


@virtual
async def test_the_flag_goes_down_when_others_have_closed_everything(make_database):
    def is_raised():
        return ref(databases._here.ledger) in databases.ledgers

    make_database(CONN_MAX_AGE=0)
    visit = await open_visit(build(Echo))
    await aquery()
    await say(visit)
    assert not await sync_to_async(is_raised)()

    await database_sync_to_async(query)()
    assert await sync_to_async(is_raised)()
    await say(visit)

    assert not await sync_to_async(is_raised)()
    await visit.leave()


def test_a_thread_that_ends_takes_its_flag_along(make_database):
    def work():
        query()
        break_connection()  # for Django it is open
        found.append(len(databases.ledgers))

    make_database(CONN_MAX_AGE=None)
    found: list[int] = []
    before = len(databases.ledgers)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert found == [before + 1]
    assert len(databases.ledgers) == before


# --- the thread that Django's views share ----------------------------------------------------


@virtual
async def test_views_close_their_own_connections_and_cost_no_hop(hops, make_database):
    def view():
        request_started.send(None)
        query()
        request_finished.send(None)

    make_database(CONN_MAX_AGE=0)
    visit = await open_visit(build(Echo))
    await sync_to_async(view)()
    await say(visit)  # may have to find out whose thread it is
    hops.closings = 0

    for _ in range(10):
        await sync_to_async(view)()
        await say(visit)

    assert hops.closings == 0
    await visit.leave()


# --- a thread per context --------------------------------------------------------------------


def in_context(consumer, **options):
    """An application that gives each connection a thread of its own."""

    async def application(scope, receive, send):
        async with ThreadSensitiveContext(**options):
            await consumer(scope, receive, send)

    return application


async def test_each_context_has_its_connections_closed_in_its_own_thread(make_database):
    make_database(CONN_MAX_AGE=0)
    inside = [await open_visit(lambda: in_context(build(Describing)())) for _ in range(2)]
    outside = await open_visit(build(Describing))

    answers = [{await say(visit) for _ in range(3)} for visit in (*inside, outside)]

    threads = {answer.partition(":")[0] for said in answers for answer in said}
    assert len(threads) == 3
    assert answers == [{f"{each.partition(':')[0]}: closed"} for (each,) in answers]
    for visit in (*inside, outside):
        await visit.leave()


async def test_a_context_that_has_no_thread_yet_gets_none_from_us(hops, make_database):
    make_database(CONN_MAX_AGE=None)
    await aquery()
    visit = await open_visit(lambda: in_context(build(Echo)()))
    hops.watch(asyncio.get_running_loop())

    for _ in range(10):
        await say(visit)

    assert hops.submitted == []
    await visit.leave()


@has_executors
async def test_an_executor_of_ones_own_is_visited_too(make_database):
    make_database(CONN_MAX_AGE=0)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="own") as executor:
        visit = await open_visit(lambda: in_context(build(Describing)(), executor=executor))

        assert [await say(visit) for _ in range(3)] == ["own_0: closed"] * 3
        await visit.leave()
        executor.submit(forget).result()


# --- an async_to_sync around everything, as in Django's asynchronous tests -------------------


def test_inside_async_to_sync_the_hop_goes_to_the_thread_that_called_it(make_database):
    async def converse():
        visit = await open_visit(build(Describing))
        answers = [await say(visit) for _ in range(3)]
        await visit.leave()
        return answers

    make_database(CONN_MAX_AGE=0)
    try:
        assert async_to_sync(converse)() == ["MainThread: closed"] * 3
    finally:
        forget()


async def test_also_where_that_thread_was_itself_called_from_the_loop(make_database):
    async def converse():
        visit = await open_visit(build(Describing))
        answers = [await say(visit) for _ in range(3)]
        await visit.leave()
        return answers

    def call():
        answers = async_to_sync(converse)()
        forget()
        return find_thread(), answers

    make_database(CONN_MAX_AGE=0)

    name, answers = await sync_to_async(call, thread_sensitive=False)()

    assert answers == [f"{name}: closed"] * 3


def test_also_from_a_task_that_knows_of_no_enclosing_call(make_database):
    async def converse():
        visit = await asyncio.create_task(open_visit(build(Describing)), context=Context())
        answers = [await say(visit) for _ in range(3)]
        await visit.leave()
        return answers

    make_database(CONN_MAX_AGE=0)
    try:
        assert async_to_sync(converse)() == ["MainThread: closed"] * 3
    finally:
        forget()


def test_there_the_hop_is_over_before_the_handler_begins(hops, make_database):
    """The thread is idle by definition, and tests are written against Channels' order."""

    class Counting(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.send(str(hops.closings))
            await aquery()

    async def converse():
        visit = await open_visit(build(Counting))
        await aquery()
        hops.closings = 0
        answers = [await say(visit) for _ in range(3)]
        await visit.leave()
        return answers

    make_database(CONN_MAX_AGE=0)
    try:
        assert async_to_sync(converse)() == ["1", "2", "3"]
    finally:
        forget()


def test_what_one_call_has_left_open_the_next_one_closes(make_database):
    async def converse():
        visit = await open_visit(build(Describing))
        answers = [await say(visit) for _ in range(2)]
        await visit.leave_at_once()
        return answers

    make_database(CONN_MAX_AGE=0)
    try:
        for _ in range(2):
            assert async_to_sync(converse)() == ["MainThread: closed"] * 2
            query()
            assert describe().startswith("open")
    finally:
        forget()
