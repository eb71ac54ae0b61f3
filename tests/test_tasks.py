"""Background tasks of a connection: started from anywhere, ended with it, heard when they fail."""

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from resilient_channels.exceptions import ConnectionClosed
from resilient_channels.tasks import TaskGroup, check_coroutine
from support.loop import virtual

WHO = {"connection": "c1", "consumer": "chat.Chat"}
LOGGER = "resilient_channels.handler"


class Broken(Exception):
    pass


def new_group() -> TaskGroup:
    return TaskGroup(WHO, asyncio.get_running_loop())


async def sleep_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def fail() -> None:
    raise Broken("secret")


async def add(a: int, b: int) -> int:
    return a + b


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage() == "task.error"]


# --- starting --------------------------------------------------------------------------------


@virtual
async def test_a_task_spawned_on_the_loop_can_be_awaited():
    group = new_group()

    task = group.spawn(add(1, 2))

    assert isinstance(task, asyncio.Task)
    assert len(group) == 1
    assert await task == 3
    await asyncio.sleep(0)
    assert len(group) == 0


@virtual
async def test_a_task_spawned_in_a_thread_can_be_waited_for_there():
    group = new_group()

    def in_thread() -> int:
        future = group.spawn(add(1, 2))
        assert isinstance(future, Future)
        return future.result(timeout=5)

    assert await sync_to_async(in_thread)() == 3


@virtual
async def test_a_task_spawned_in_a_thread_belongs_to_the_connection():
    group = new_group()
    future = await sync_to_async(group.spawn)(sleep_for_ever())
    await asyncio.sleep(0)
    assert len(group) == 1

    await group.stop(deadline=1.0)

    assert future.cancelled()


@virtual
async def test_a_task_spawned_from_another_loop_runs_on_the_connections():
    group, found = new_group(), []
    mine = asyncio.get_running_loop()

    async def note_loop() -> None:
        found.append(asyncio.get_running_loop())

    async def elsewhere() -> None:
        group.spawn(note_loop())

    await sync_to_async(lambda: asyncio.run(elsewhere()))()
    await asyncio.sleep(0.1)

    assert found == [mine]


# --- ending ----------------------------------------------------------------------------------


@virtual
async def test_at_the_end_every_task_is_cancelled_and_awaited():
    group, cleaned_up = new_group(), []

    async def work(name: str) -> None:
        try:
            await sleep_for_ever()
        finally:
            await asyncio.sleep(1)
            cleaned_up.append(name)

    tasks = [group.spawn(work("a")), group.spawn(work("b"))]
    await asyncio.sleep(0)

    await group.stop(deadline=5.0)

    assert sorted(cleaned_up) == ["a", "b"]
    assert all(task.cancelled() for task in tasks)
    assert len(group) == 0


@virtual
async def test_a_task_that_ignores_its_cancellation_is_not_waited_for_beyond_the_deadline():
    group = new_group()
    loop = asyncio.get_running_loop()

    async def stubborn() -> None:
        until = loop.time() + 50
        while loop.time() < until:
            try:
                await asyncio.sleep(until - loop.time())
            except asyncio.CancelledError:
                continue

    await asyncio.sleep(2)
    task = group.spawn(stubborn())
    await asyncio.sleep(0)

    await group.stop(deadline=5.0)

    assert loop.time() == 5.0
    assert isinstance(task, asyncio.Task)
    await task


@virtual
async def test_ending_without_tasks_takes_no_time():
    group = new_group()

    await group.stop(deadline=100.0)

    assert asyncio.get_running_loop().time() == 0


@virtual
async def test_a_deadline_that_has_passed_still_cancels():
    group = new_group()
    task = group.spawn(sleep_for_ever())
    await asyncio.sleep(2)

    await group.stop(deadline=1.0)
    await asyncio.sleep(0)

    assert task.cancelled()


@virtual
async def test_after_the_end_nothing_can_be_spawned():
    group = new_group()
    await group.stop(deadline=1.0)
    coroutine = sleep_for_ever()

    with pytest.raises(ConnectionClosed):
        group.spawn(coroutine)

    assert coroutine.cr_frame is None  # closed: no "was never awaited"


@virtual
async def test_a_task_spawned_in_a_thread_just_before_the_end_does_not_outlive_it():
    """The thread's request and the end of the connection pass each other on the loop."""
    group, ran = new_group(), []

    async def work() -> None:
        ran.append("started")
        await asyncio.sleep(1000)
        ran.append("outlived")

    futures: list[Any] = []
    coroutine = work()
    thread = threading.Thread(target=lambda: futures.append(group.spawn(coroutine)))
    thread.start()
    thread.join()  # blocks the loop: the request waits in its queue

    await group.stop(deadline=1.0)
    await asyncio.sleep(2000)

    assert "outlived" not in ran
    assert futures[0].done()
    assert coroutine.cr_frame is None  # closed, or run to its end


# --- failing ---------------------------------------------------------------------------------


@virtual
async def test_a_failure_is_logged_once_with_its_traceback(caplog: pytest.LogCaptureFixture):
    group = new_group()

    group.spawn(fail())
    await asyncio.sleep(1)
    await group.stop(deadline=2.0)

    [record] = told(caplog)
    assert (record.name, record.levelname) == (LOGGER, "ERROR")
    assert (record.connection, record.consumer) == ("c1", "chat.Chat")
    assert (record.task, record.error) == ("fail", "Broken")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], Broken)


@virtual
async def test_a_failure_of_a_task_spawned_in_a_thread_is_logged_once(
    caplog: pytest.LogCaptureFixture,
):
    group = new_group()

    future = await sync_to_async(group.spawn)(fail())
    await asyncio.sleep(1)

    assert isinstance(future.exception(), Broken)
    assert len(told(caplog)) == 1


@virtual
async def test_a_failure_that_somebody_awaits_reaches_them(caplog: pytest.LogCaptureFixture):
    group = new_group()

    with pytest.raises(Broken):
        await group.spawn(fail())  # type: ignore[misc]

    await asyncio.sleep(0)
    assert len(told(caplog)) == 1


@virtual
async def test_a_failure_during_the_cleanup_of_a_task_is_logged(caplog: pytest.LogCaptureFixture):
    group = new_group()

    async def work() -> None:
        try:
            await sleep_for_ever()
        finally:
            raise Broken

    group.spawn(work())
    await asyncio.sleep(0)
    await group.stop(deadline=2.0)
    await asyncio.sleep(0)

    assert [record.error for record in told(caplog)] == ["Broken"]


@virtual
async def test_a_task_that_sends_until_the_client_has_left_ends_in_silence(
    caplog: pytest.LogCaptureFixture,
):
    group = new_group()

    async def stream() -> None:
        raise ConnectionClosed(None)

    group.spawn(stream())
    await asyncio.sleep(1)

    assert told(caplog) == []


@virtual
async def test_a_cancelled_task_ends_in_silence(caplog: pytest.LogCaptureFixture):
    group = new_group()

    group.spawn(sleep_for_ever())
    await asyncio.sleep(0)
    await group.stop(deadline=2.0)

    assert caplog.records == []


# --- what may be spawned ---------------------------------------------------------------------


def plain() -> None: ...


async def asynchronous() -> None: ...


@pytest.mark.parametrize(
    "thing", [None, 1, "work", plain, lambda: None, asynchronous, sleep_for_ever, object()]
)
def test_anything_but_a_coroutine_is_refused_with_what_was_given(thing: object):
    with pytest.raises(TypeError, match=r"^spawn\(\) takes a coroutine object, not ") as caught:
        check_coroutine(thing)

    assert repr(thing) in str(caught.value)


def test_a_forgotten_call_is_refused_with_what_to_write():
    with pytest.raises(TypeError, match=r"call it: spawn\(asynchronous\(\.\.\.\)\)$"):
        check_coroutine(asynchronous)


def test_there_is_no_such_hint_where_it_would_not_help():
    with pytest.raises(TypeError) as caught:
        check_coroutine(plain)

    assert "call it" not in str(caught.value)


@virtual
async def test_what_is_refused_is_not_started():
    group = new_group()

    with pytest.raises(TypeError, match=r"call it: spawn\(asynchronous"):
        group.spawn(asynchronous)  # type: ignore[arg-type]

    assert len(group) == 0
