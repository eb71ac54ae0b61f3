"""Canaries for what is seen of other threads: asgiref's jobs, and the thread that all share."""

import asyncio
import functools
import gc
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, async_to_sync, sync_to_async
from channels.consumer import SyncConsumer
from channels.db import database_sync_to_async

from resilient_channels import compat
from resilient_channels.watchdog import watchdog


def look():
    """What is seen of the running thread, from within a job."""
    frame = sys._current_frames()[threading.get_ident()]
    job = compat.find_job(frame)
    return threading.get_ident(), job, None if job is None else job[0]()


def look_for(consumer):
    """Whose thread this is, and whether *consumer* is seen at work by another one."""
    frame = sys._current_frames()[threading.get_ident()]
    with ThreadPoolExecutor(1) as other:
        at_work = other.submit(compat.is_at_work, consumer).result()
    return compat.find_consumer(frame), at_work


class Consumer(SyncConsumer):
    def look(self, message):
        self.seen = look_for(self)

    def ask(self, message):
        self.seen = async_to_sync(sync_to_async(look_for))(self)


@pytest.mark.parametrize("wrap", [sync_to_async, database_sync_to_async])
async def test_a_job_is_found_in_its_thread_and_told_from_the_next(wrap):
    ident, (given, frame), child = await wrap(look)()
    _, (other, _), _ = await wrap(look)()

    assert compat.find_shared_thread() == ident != threading.get_ident()
    assert isinstance(given, weakref.ref)
    assert isinstance(child, functools.partial)
    assert frame.f_code is SyncToAsync.thread_handler.__code__
    assert given != other


async def test_a_thread_of_a_context_of_its_own_is_not_the_shared_one():
    await sync_to_async(look)()

    async with ThreadSensitiveContext():
        ident, job, _ = await sync_to_async(look)()

    assert job is not None
    assert ident != compat.find_shared_thread()


async def test_where_no_job_runs_none_is_found():
    frame = sys._current_frames()[threading.get_ident()]

    assert compat.find_job(frame) is None
    assert compat.find_job(None) is None


@pytest.mark.parametrize("how", ["look", "ask"])
async def test_the_consumer_of_a_synchronous_handler_is_found(how):
    """Also while it waits for async code that has given its thread another job."""
    consumer, idle = Consumer(), Consumer()

    await consumer.dispatch({"type": how})

    assert consumer.seen == (consumer, True)
    assert not compat.is_at_work(consumer)
    assert not compat.is_at_work(idle)


async def test_no_lazy_object_is_asked_what_it_is():
    class Lazy:
        @property
        def __class__(self):
            raise AssertionError("asked")

        def method(self):
            return compat.find_consumer(sys._getframe())

    assert Lazy().method() is None


def test_the_shared_executor_tells_its_threads():
    executor = SyncToAsync.single_thread_executor

    assert executor._max_workers == 1
    assert isinstance(executor._threads, set)


class Held:
    """What a thread works with, such as a connection to a database."""


def test_who_has_looked_keeps_nothing_of_the_threads_alive():
    begun, over = threading.Event(), threading.Event()
    watched = []

    def work():
        held = Held()
        watched.append(weakref.ref(held))
        begun.set()
        over.wait(10)

    def look():
        frames = compat.find_frames()
        return thread.ident in frames and threading.get_ident() not in frames

    thread = threading.Thread(target=work)
    gc.collect()
    gc.disable()
    try:
        thread.start()
        assert begun.wait(10)
        assert look()
        watchdog.look(0.0)
        assert not compat.is_at_work(Consumer())
        over.set()
        thread.join()

        assert watched[0]() is None
    finally:
        gc.enable()


async def test_who_has_looked_for_a_consumer_keeps_nothing_of_the_job_alive():
    begun, over = threading.Event(), threading.Event()

    def work(held):
        begun.set()
        over.wait(10)
        return threading.get_ident()

    held = Held()
    watched = weakref.ref(held)
    task = asyncio.ensure_future(sync_to_async(work)(held))
    del held
    await asyncio.to_thread(begun.wait, 10)
    ident = compat.find_shared_thread()
    gc.collect()
    gc.disable()
    try:
        assert compat.find_consumer(compat.find_frames()[ident]) is None
        over.set()
        assert await task == ident
        del task
        # The thread lets go of a job before it takes the next one.
        await sync_to_async(lambda: None)()

        assert watched() is None
    finally:
        gc.enable()
