"""No message waits for a thread."""

import asyncio
from contextvars import ContextVar

import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import translation

from shells.visits import build, now, open_visit, settle
from support.databases import aquery, describe, query
from support.loop import virtual

SENSITIVE = SyncToAsync.single_thread_executor


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
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


@pytest.mark.parametrize("is_open", [False, True])
@virtual
async def test_nor_the_end_of_an_asynchronous_connection(is_open, facts, make_database):
    make_database(CONN_MAX_AGE=None)
    sleeper = await open_visit(build(Sleeper, "sync"))
    echo = await open_visit(build(Echo))
    if is_open:
        await aquery()
    sleeper.client_sends("1000")
    await settle(1)
    started = now()

    await echo.leave()

    assert now() == started
    assert facts.alarms == []
    await sleeper.next_sent()
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
