"""Canaries for threads and databases: what we know of asgiref and Django within.

It is in ``compat`` and ``databases.py``.
"""

import asyncio
import inspect
import threading
from contextvars import Context
from typing import Any
from unittest import mock

import channels.db
import django.db
import pytest
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, async_to_sync, sync_to_async
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from resilient_channels import compat, databases
from support.databases import ALIAS, in_thread, query

# --- databases -------------------------------------------------------------------------------


def test_the_name_that_communicators_patch_is_read_when_it_is_needed():
    before = compat.read_close_old_connections()

    with mock.patch("channels.db.close_old_connections") as patched:
        assert compat.read_close_old_connections() is patched

    assert compat.read_close_old_connections() is before is django.db.close_old_connections


def test_channels_dispatch_does_no_more_than_ours():
    """Finds a handler, closes old connections, calls it."""
    code = AsyncConsumer.dispatch.__code__

    assert code.co_names == (
        *("getattr", "get_handler_name", "aclose_old_connections", "ValueError"),
    )
    assert code.co_qualname == "AsyncConsumer.dispatch"
    assert set(channels.db.aclose_old_connections.__code__.co_names) == {
        "sync_to_async",
        "close_old_connections",
    }


def test_a_connections_end_hops_to_the_thread_once_more():
    code = AsyncWebsocketConsumer.websocket_disconnect.__code__

    assert code.co_names == (
        *("groups", "channel_layer", "group_discard", "channel_name", "AttributeError"),
        *("InvalidChannelLayerError", "disconnect", "aclose_old_connections", "StopConsumer"),
    )
    assert code.co_freevars == ()
    assert compat._HAS_HOP


async def test_channels_own_end_is_taken_with_another_hop():
    class Chat(AsyncWebsocketConsumer):
        async def disconnect(self, code):
            steps.append(code)

    async def close():
        steps.append("closed")

    steps: list[Any] = []
    chat = Chat()

    with pytest.raises(StopConsumer):
        await compat.without_hop(chat.websocket_disconnect, close)({"code": 1000})

    assert steps == [1000, "closed"]


def test_an_end_that_is_not_channels_is_left_alone():
    class Chat(AsyncWebsocketConsumer):
        async def websocket_disconnect(self, message):
            await super().websocket_disconnect(message)

    handler = Chat().websocket_disconnect

    assert compat.without_hop(handler, mock.AsyncMock()) is handler
    assert compat.without_hop(print, mock.AsyncMock()) is print


def test_what_django_looks_at_is_what_we_look_at():
    tend = inspect.unwrap(BaseDatabaseWrapper.close_if_unusable_or_obsolete)
    names = {
        *("connection", "get_autocommit", "settings_dict", "errors_occurred", "close_at"),
        *("health_check_done", "is_usable", "close", "time", "monotonic"),
    }
    connection = connections.create_connection("default")

    assert set(tend.__code__.co_names) == names
    assert not databases.is_open(connection)
    connection.connection = mock.Mock()
    assert databases.is_open(connection)


def test_django_tells_of_a_connection_in_the_thread_that_opens_it(make_database):
    def look() -> None:
        query()
        found.append(threading.current_thread())

    make_database()
    found: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        found.extend((connection is connections[ALIAS], threading.current_thread()))

    connection_created.connect(note)
    try:
        in_thread(look)
    finally:
        connection_created.disconnect(note)

    assert found[0] is True
    assert found[1] is found[2] is not threading.main_thread()


@pytest.fixture
def connection() -> Any:
    """A connection that is open and in order."""
    connection = connections.create_connection("default")
    connection.autocommit = True
    return connection


@pytest.mark.parametrize(
    ("end", "since", "now", "is_tended"),
    [
        (0, -1, 0, True),
        (0, 0, 0, False),
        (5, 0, 4, False),
        (5, 0, 5, True),
        (5, 6, 7, False),
        (None, -1, 9, False),
    ],
)
def test_a_connection_comes_of_age_once(
    connection: Any, end: float | None, since: float, now: float, is_tended: bool
):
    connection.close_at = end

    assert databases.would_be_tended(connection, since, now) is is_tended


@pytest.mark.parametrize(
    ("state", "is_tended"),
    [
        ({}, False),
        ({"errors_occurred": True}, True),
        ({"autocommit": False}, True),
        ({"health_check_enabled": True, "health_check_done": False}, False),
        ({"health_check_enabled": False, "health_check_done": True}, False),
        ({"health_check_enabled": True, "health_check_done": True}, True),
    ],
    ids=repr,
)
def test_a_connection_in_disorder_is_seen(connection: Any, state: dict[str, bool], is_tended: bool):
    vars(connection).update(state)

    assert databases.would_be_tended(connection, 0, 1) is is_tended


# --- threads ---------------------------------------------------------------------------------


async def check_executor() -> None:
    """Compare what we find with what asgiref does in the same context."""
    real = await sync_to_async(threading.current_thread)()
    loop = asyncio.get_running_loop()

    executor = compat.find_executor(loop, is_enclosed=compat.read_executor() is not None)

    assert executor is not None
    found = await loop.run_in_executor(executor, threading.current_thread)
    assert found is real


async def test_the_executor_is_the_one_that_asgiref_takes():
    await check_executor()

    executor = compat.find_executor(asyncio.get_running_loop(), is_enclosed=False)
    assert executor is SyncToAsync.single_thread_executor
    assert executor._max_workers == 1  # what it is given is done in order
    assert not compat.is_parents_executor(executor)


async def test_also_in_a_context_that_has_a_thread_of_its_own():
    loop = asyncio.get_running_loop()
    async with ThreadSensitiveContext():
        assert compat.find_executor(loop, is_enclosed=False) is None
        await check_executor()
        executor = compat.find_executor(loop, is_enclosed=False)
        assert executor is not SyncToAsync.single_thread_executor
        assert executor._max_workers == 1


def test_also_inside_async_to_sync_and_inside_a_context_there():
    async def check() -> None:
        await check_executor()
        async with ThreadSensitiveContext():
            await check_executor()
        executor = compat.find_executor(asyncio.get_running_loop(), is_enclosed=True)
        assert compat.is_parents_executor(executor)

    async_to_sync(check)()


def test_also_in_a_task_there_that_inherits_no_context():
    async def check() -> None:
        await asyncio.create_task(check_executor(), context=Context())
        executor = compat.find_executor(asyncio.get_running_loop(), is_enclosed=False)
        assert compat.is_parents_executor(executor)

    async_to_sync(check)()


async def test_also_on_another_loop_inside_a_thread():
    def nested() -> None:
        async_to_sync(check_executor)()

    await sync_to_async(nested)()
    await sync_to_async(nested, thread_sensitive=False)()


def test_an_enclosing_call_runs_what_it_is_given_in_order_and_to_the_end():
    done: list[int] = []

    async def submit() -> None:
        loop = asyncio.get_running_loop()
        for number in range(100):
            loop.run_in_executor(compat.read_executor(), done.append, number)

    async_to_sync(submit)()

    assert done == list(range(100))
