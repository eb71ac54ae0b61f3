"""The harness itself: what it must notice, and what it must not disturb."""

import asyncio
import itertools
import threading
import time
from concurrent.futures import Future

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from support.loop import Deadlock, NeverEnds, run
from support.reports import NeverRetrieved, TasksLeft

# -- the loop ---------------------------------------------------------------


def test_a_virtual_day_takes_no_time():
    async def day() -> float:
        for _ in range(24):
            await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    started = time.perf_counter()
    assert run(day()) == 24 * 3600
    assert time.perf_counter() - started < 0.5


def test_timers_fire_in_order_and_at_their_exact_time():
    async def scenario():
        loop = asyncio.get_running_loop()
        fired = []
        for delay in (0.3, 0.1, 0.2, 90_000.5):
            loop.call_later(delay, lambda: fired.append(loop.time()))
        await asyncio.sleep(100_000)
        return fired

    assert run(scenario()) == [0.1, 0.2, 0.3, 90_000.5]


def test_a_hang_is_a_deadlock_that_names_who_waits():
    async def waits_for_ever():
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="waits_for_ever"):
        run(waits_for_ever())


def test_a_loop_that_ticks_for_ever_is_given_up():
    async def ticks():
        for _ in itertools.count():
            await asyncio.sleep(3600)

    with pytest.raises(NeverEnds, match="ticks"):
        run(ticks())


def test_a_task_left_pending_is_named():
    async def forgotten():
        await asyncio.sleep(10)

    async def scenario():
        scenario.task = asyncio.ensure_future(forgotten())

    with pytest.raises(TasksLeft, match="forgotten"):
        run(scenario())


def test_a_task_that_is_only_about_to_end_is_not_left():
    async def scenario():
        scenario.task = asyncio.ensure_future(asyncio.sleep(10))
        await asyncio.sleep(0)
        scenario.task.cancel()

    run(scenario())


def test_a_failure_that_nobody_read_is_reported():
    async def fails():
        raise ZeroDivisionError

    async def scenario():
        scenario.task = asyncio.ensure_future(fails())
        await asyncio.sleep(1)

    with pytest.raises(NeverRetrieved, match="ZeroDivisionError"):
        run(scenario())


def test_a_failure_in_a_task_that_was_thrown_away_is_reported():
    async def fails():
        raise ZeroDivisionError

    async def scenario():
        asyncio.ensure_future(fails())  # noqa: RUF006 -- that is the point
        await asyncio.sleep(1)

    with pytest.raises(NeverRetrieved, match="ZeroDivisionError"):
        run(scenario())


def test_the_clocks_of_the_time_module_are_virtual_only_on_request():
    async def elapsed():
        before = time.monotonic(), time.time()
        await asyncio.sleep(3600)
        return time.monotonic() - before[0], time.time() - before[1]

    assert max(run(elapsed())) < 60
    assert run(elapsed(), clocks=True) == (3600, 3600)


def test_a_seed_shuffles_the_order_of_tasks_and_repeats_it():
    async def order():
        seen = []

        async def step(name):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(name)

        await asyncio.gather(*(step(name) for name in range(5)))
        return seen

    assert run(order(), seed=1) == run(order(), seed=1)
    assert len({tuple(run(order(), seed=seed)) for seed in range(10)}) > 1
    assert run(order()) == [0, 1, 2, 3, 4] * 3


def test_a_set_of_tasks_keeps_the_order_of_their_birth():
    async def scenario():
        tasks = {asyncio.ensure_future(asyncio.sleep(0, n)) for n in range(50)}
        await asyncio.wait(tasks)
        return [task.result() for task in tasks]

    assert run(scenario()) == list(range(50))


# -- threads ----------------------------------------------------------------


def test_no_virtual_time_passes_while_a_thread_works():
    async def scenario():
        timer = asyncio.ensure_future(asyncio.sleep(1))
        await sync_to_async(time.sleep)(0.05)
        now = asyncio.get_running_loop().time()
        await timer
        return now

    assert run(scenario()) == 0


def test_a_thread_can_wait_for_virtual_time():
    async def scenario():
        await sync_to_async(async_to_sync(asyncio.sleep))(3600)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == 3600


def test_sync_code_below_async_code_below_sync_code_comes_back():
    names = []

    def innermost():
        names.append(threading.current_thread().name)

    async def middle():
        await sync_to_async(innermost)()

    def outer():
        names.append(threading.current_thread().name)
        async_to_sync(middle)()

    run(sync_to_async(outer)())

    assert names[0] == names[1] != threading.main_thread().name


def test_a_thread_that_waits_for_a_future_lets_the_loop_go_on():
    released: Future[str] = Future()

    async def scenario():
        loop = asyncio.get_running_loop()
        loop.call_later(5, released.set_result, "released")
        return await sync_to_async(released.result)(), loop.time()

    assert run(scenario()) == ("released", 5)


def test_a_thread_that_waits_for_nothing_is_a_deadlock_too():
    never: Future[None] = Future()

    async def scenario():
        waiting = asyncio.ensure_future(sync_to_async(never.result)())
        try:
            await asyncio.Event().wait()
        finally:
            never.set_result(None)
            await waiting

    with pytest.raises(Deadlock):
        run(scenario())
