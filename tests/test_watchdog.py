"""Whoever holds up everybody else is named, once, while it does so.

In real time, as threads that stand still do not know another.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
import weakref
from importlib.util import find_spec

import pytest
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import ResilientMiddleware, observers, watchdog as module
from resilient_channels.registry import registry
from resilient_channels.watchdog import LEAST_OFTEN, watchdog
from shells.conftest import facts
from shells.visits import Visit, build, note

__all__ = ["facts"]

AFTER = 0.3
LONG = 1.6
NAME = "resilient_channels.watchdog"


class Worker(AsyncWebsocketConsumer):
    """Does what it is told, and lets nobody else do anything meanwhile."""

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "block":
            time.sleep(LONG)  # noqa: ASYNC251
        if text_data == "spin":
            until = time.monotonic() + LONG
            while time.monotonic() < until:
                pass
        note(self, time.time())


class Polite(Worker):
    """Works as long, and lets others have their turn."""

    async def receive(self, text_data=None, bytes_data=None):
        until = time.monotonic() + LONG
        while time.monotonic() < until:  # noqa: ASYNC110  # that is what it is about
            await asyncio.sleep(0)
        note(self, time.time())


@pytest.fixture(autouse=True)
def _alert(settings):
    settings.RESILIENT_CHANNELS = {"HANDLER": {"stall_after": AFTER}}


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # another thread sets no event of this loop's
            await asyncio.sleep(0.005)


async def opened(consumer, **options):
    visit = Visit(consumer, **options)
    assert (await visit.next_sent())["type"] == "websocket.accept"
    return visit


async def told(visit, *texts):
    """Have the consumer do these, and wait until it has."""
    wanted = len(visit.notes) + len(texts)
    for text in texts:
        visit.client_sends(text)
    await until(lambda: len(visit.notes) >= wanted)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == NAME]


# --- the event loop --------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["block", "spin"])
async def test_a_handler_that_blocks_the_event_loop_is_named_once_while_it_does(order, facts):
    visit = await opened(build(Worker))

    await told(visit, order)

    [stalled] = facts("handler.stalled")
    assert stalled.created < visit.notes[0]
    assert (stalled.levelname, stalled.name) == ("WARNING", "resilient_channels.handler")
    assert stalled.connection == visit.consumer.resilient._driver.id
    assert stalled.consumer == f"{Worker.__module__}.{Worker.__qualname__}"
    assert stalled.handler == "websocket.receive"
    assert stalled.where == "event loop"
    assert AFTER <= stalled.seconds < LONG
    await visit.leave()


async def test_its_stack_is_told_from_the_message_to_the_line(facts):
    visit = await opened(build(Worker))

    await told(visit, "block")

    [stalled] = facts("handler.stalled")
    assert "time.sleep(LONG)" in stalled.stack_info.splitlines()[-1]
    assert "in receive" in stalled.stack_info
    assert "run_forever" not in stalled.stack_info
    assert not hasattr(stalled, "stack")
    text = logging.Formatter("%(message)s").format(stalled)
    assert text.startswith("handler.stalled\nStack (most recent call last):\n  File ")
    await visit.leave()


async def test_a_stack_without_end_is_cut_at_its_outer_end(facts):
    class Deep(Worker):
        def dig(self, depth):
            if depth:
                self.dig(depth - 1)
            else:
                time.sleep(LONG)

        async def receive(self, text_data=None, bytes_data=None):
            self.dig(200)
            note(self, "done")

    visit = await opened(build(Deep))

    await told(visit, "go")

    [stalled] = facts("handler.stalled")
    assert stalled.stack_info.rstrip().endswith("time.sleep(LONG)")
    assert len(stalled.stack_info) <= module.MAX_CHARACTERS
    await visit.leave()


async def test_each_stall_is_one_of_its_own(facts):
    visit = await opened(build(Worker))

    for _ in range(2):
        await told(visit, "block")
        await asyncio.sleep(0.6)

    assert len(facts("handler.stalled")) == 2
    await visit.leave()


async def test_who_works_for_long_but_lets_others_run_is_not_named(facts):
    visit = await opened(build(Polite))

    await told(visit, "go", "go")

    assert facts.alarms == []
    await visit.leave()


async def test_an_idle_loop_is_neither_named_nor_woken(facts, monkeypatch):
    visit = await opened(build(Worker))
    loop, woken = asyncio.get_running_loop(), []
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *given, **named: woken.append(given))

    await asyncio.sleep(4 * AFTER)

    monkeypatch.undo()
    assert watchdog._thread.is_alive()
    assert woken == []
    assert facts.alarms == []
    await visit.leave()


async def test_a_disconnect_that_blocks_is_named_too(facts):
    class Leaving(Worker):
        async def disconnect(self, code):
            time.sleep(LONG)  # noqa: ASYNC251

    visit = await opened(build(Leaving))

    await visit.leave()

    assert [stalled.handler for stalled in facts("handler.stalled")] == ["websocket.disconnect"]


async def test_a_connect_that_blocks_is_named_too(facts):
    class Arriving(Worker):
        async def connect(self):
            time.sleep(LONG)  # noqa: ASYNC251
            await self.accept()

    visit = await opened(build(Arriving))

    assert [stalled.handler for stalled in facts("handler.stalled")] == ["websocket.connect"]
    await visit.leave()


async def test_an_application_behind_the_middleware_is_named_too(facts):
    async def blocking(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            time.sleep(LONG)  # noqa: ASYNC251
            scope["notes"].append("done")

    visit = await opened(lambda: ResilientMiddleware(blocking))

    await told(visit, "go")

    [stalled] = facts("handler.stalled")
    assert (stalled.handler, stalled.where) == ("application", "event loop")
    assert stalled.consumer.endswith("blocking")
    await visit.leave()


# Not among what the tests need: where it is there, Uvicorn takes it for all of them.
@pytest.mark.skipif(find_spec("uvloop") is None, reason="needs uvloop")
@pytest.mark.leaves("descriptors")  # a pipe of libuv's own, for the whole process
def test_it_is_the_same_on_uvloop(facts):
    import uvloop

    async def check():
        visit = await opened(build(Worker))
        await told(visit, "block")
        await asyncio.sleep(4 * AFTER)
        await visit.leave()

        polite = await opened(build(Polite))
        await told(polite, "go")
        await polite.leave()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check())

    [stalled] = facts("handler.stalled")
    assert stalled.handler == "websocket.receive"
    assert "time.sleep(LONG)" in stalled.stack_info


# --- the thread of all synchronous handlers ---------------------------------------------------


async def test_a_handler_that_keeps_the_shared_thread_is_named_once(facts):
    hog, idle = await opened(build(Worker, "sync")), await opened(build(Polite, "sync"))

    await told(hog, "block")

    [stalled] = facts("handler.stalled")
    assert stalled.connection == hog.consumer.resilient._driver.id
    assert (stalled.where, stalled.handler) == ("sync thread", "websocket.receive")
    assert AFTER <= stalled.seconds < LONG
    assert "time.sleep(LONG)" in stalled.stack_info.splitlines()[-1]
    for visit in (hog, idle):
        await visit.leave()


async def test_a_busy_thread_with_short_jobs_is_nobodys_fault(facts):
    class Short(Worker):
        async def receive(self, text_data=None, bytes_data=None):
            time.sleep(0.02)  # noqa: ASYNC251
            note(self, "done")

    visits = [await opened(build(Short, "sync")) for _ in range(4)]
    for visit in visits:
        for _ in range(16):
            visit.client_sends("go")

    await until(lambda: all(len(visit.notes) == 16 for visit in visits))

    assert facts.alarms == []
    for visit in visits:
        await visit.leave()


async def test_work_that_no_consumer_is_known_for_is_told_with_its_stack(facts):
    class Querying(Worker):
        async def receive(self, text_data=None, bytes_data=None):
            await database_sync_to_async(time.sleep)(LONG)
            note(self, "done")

    visit = await opened(build(Querying))

    await told(visit, "go")

    [stalled] = facts("handler.stalled")
    assert stalled.where == "sync thread"
    assert (stalled.connection, stalled.consumer, stalled.handler) == ("", "", "")
    assert "thread_handler" in stalled.stack_info
    await visit.leave()


# --- the thread that looks on ----------------------------------------------------------------


async def test_there_is_one_thread_and_it_ends_with_the_last_connection():
    consumer = build(Worker)
    visits = [await opened(consumer) for _ in range(20)]
    await until(lambda: len(threads()) == 1)

    for visit in visits[1:]:
        await visit.leave()
    await asyncio.sleep(2 * LEAST_OFTEN)
    assert len(threads()) == 1
    await visits[0].leave()

    await until(lambda: not threads())
    assert len(registry) == 0


async def test_the_next_connection_is_looked_at_again(facts):
    visit = await opened(build(Worker))
    await visit.leave()
    await until(lambda: not threads())

    visit = await opened(build(Worker))
    await told(visit, "block")

    assert len(facts("handler.stalled")) == 1
    await visit.leave()


async def test_connections_that_come_and_go_are_never_without_a_thread():
    consumer = build(Worker)
    until_when = time.monotonic() + 3 * LEAST_OFTEN

    while time.monotonic() < until_when:
        visit = await opened(consumer)
        assert watchdog._thread.is_alive()
        assert len(threads()) <= 2  # one may be at its end
        await visit.leave()
        await asyncio.sleep(0)


async def test_without_the_option_there_is_no_thread(settings, facts):
    settings.RESILIENT_CHANNELS = {"HANDLER": {"stall_after": None}}
    await until(lambda: not threads())

    visit = await opened(build(Worker))
    await told(visit, "block")

    assert threads() == []
    assert facts("handler.stalled") == []
    await visit.leave()


async def test_an_observer_that_fails_does_not_end_it(facts, monkeypatch):
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)

    def refuse(event):
        raise RuntimeError

    visit = await opened(build(Worker))
    monkeypatch.setattr(observers, "_observers", (refuse,))
    await told(visit, "block")
    monkeypatch.undo()
    await asyncio.sleep(2 * AFTER)

    await told(visit, "block")

    assert [failure.exc_type for failure in failures] == [RuntimeError]
    assert len(facts("handler.stalled")) == 1
    await visit.leave()


def test_what_an_observer_that_fails_has_seen_is_not_kept(monkeypatch):
    class Held:
        """As a connection of another thread."""

    seen, kept = [], []

    def look(now):
        held = Held()
        seen.append(weakref.ref(held))
        raise RuntimeError

    def is_needed():
        kept.extend(held() for held in seen)
        return not seen

    monkeypatch.setattr(threading, "excepthook", lambda told: None)
    monkeypatch.setattr(module, "sleep", lambda seconds: None)
    mine = module.Watchdog()
    mine.look, mine._is_needed = look, is_needed

    mine._run()

    assert kept == [None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_a_forked_child_starts_with_none_and_gets_one_of_its_own():
    visit = await opened(build(Worker))
    assert watchdog._thread is not None
    loop = asyncio.get_running_loop()

    child = os.fork()
    if child == 0:
        try:
            signal.alarm(10)  # whatever happens, nothing of the tests goes on twice
            has_none = watchdog._thread is None and not watchdog._loops
            watchdog.attend(loop)
            os._exit(0 if has_none and watchdog._thread.is_alive() else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)  # noqa: ASYNC222

    assert os.waitstatus_to_exitcode(status) == 0
    await visit.leave()


async def test_looking_costs_hardly_anything(facts):
    """With many connections, and threads that wait."""
    consumer = build(Worker)
    visits = [await opened(consumer) for _ in range(200)]
    stop = threading.Event()
    waiting = [threading.Thread(target=stop.wait) for _ in range(30)]
    for thread in waiting:
        thread.start()

    began = time.process_time()
    for _ in range(100):
        watchdog.look(time.monotonic())
    spent = time.process_time() - began

    stop.set()
    assert spent / 100 < 0.002
    assert sys._current_frames()
    for visit in visits:
        await visit.leave()
