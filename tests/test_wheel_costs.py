"""Ten thousand deadlines are cheap, belong to one loop each, and go with it."""

import asyncio
import gc
import inspect
import random
import threading
import tracemalloc
import weakref
from contextlib import suppress

import pytest

from resilient_channels import wheel
from resilient_channels.wheel import SLOT, Wheel, get_wheel
from support.loop import VirtualLoop, run, virtual


def timers_of(loop: asyncio.AbstractEventLoop) -> int:
    assert isinstance(loop, VirtualLoop)
    return len(loop._scheduled)


async def turns_of_the_loop(seconds: float) -> int:
    """How often the loop wakes up while *seconds* pass."""
    loop = asyncio.get_running_loop()
    turns = 0
    select = loop.select  # type: ignore[attr-defined]

    def count(timeout: float | None) -> list:
        nonlocal turns
        turns += 1
        return select(timeout)

    loop.select = count  # type: ignore[attr-defined]
    try:
        await asyncio.sleep(seconds)
    finally:
        loop.select = select  # type: ignore[attr-defined]
    return turns


# --- what it costs ---------------------------------------------------------------------------


@virtual
async def test_a_thousand_deadlines_cost_one_timer():
    its = Wheel()
    loop = asyncio.get_running_loop()
    before = timers_of(loop)

    entries = [its.after(5.0, lambda: None) for _ in range(1000)]

    assert timers_of(loop) == before + 1
    assert len(its) == 1000
    for entry in entries:
        entry.cancel()
    assert len(its) == 0


@virtual
async def test_a_thousand_deadlines_of_any_length_cost_one_timer():
    its, dice = Wheel(), random.Random(7)
    loop = asyncio.get_running_loop()
    its.after(1.0, lambda: None)
    before = timers_of(loop)

    for _ in range(1000):
        its.after(dice.uniform(1.0, 5000.0), lambda: None)

    assert timers_of(loop) == before
    assert len(its) == 1001


@virtual
async def test_deadlines_that_are_set_and_met_over_and_over_cost_one_timer_at_a_time():
    its = Wheel()
    loop = asyncio.get_running_loop()
    most = 0

    for _ in range(200):
        its.after(5.0, lambda: None).cancel()
        await asyncio.sleep(0.1)
        most = max(most, timers_of(loop))

    assert most <= 2  # ours, and the sleep's
    assert len(its) == 0


@virtual
async def test_short_deadlines_beside_a_long_one_do_not_pile_up_timers():
    """Symptom: each short deadline left a timer behind, until the long one was due."""
    its = Wheel()
    loop = asyncio.get_running_loop()
    its.after(1000.0, lambda: None)

    for _ in range(1000):
        its.after(0.1, lambda: None)
        await asyncio.sleep(0.2)

    assert timers_of(loop) <= 3


@virtual
async def test_deadlines_that_fall_due_together_cost_one_turn():
    its = Wheel()
    for number in range(1000):
        its.after(5.0 + SLOT * number / 1000, lambda: None)

    assert await turns_of_the_loop(10.0) <= 6


@virtual
async def test_deadlines_that_were_cancelled_hardly_wake_anybody():
    """Symptom: a server with nothing to do woke up for each send that had ever waited."""
    its = Wheel()
    for number in range(1000):
        its.after(30.0 + number / 1000, lambda: None).cancel()

    assert await turns_of_the_loop(2000.0) <= 10


@virtual
async def test_deadlines_that_were_cancelled_take_no_room():
    """Symptom: with a max_age of a day, every connection that came and went left its slot."""
    its = Wheel()
    dice = random.Random(7)
    its.after(1.0, lambda: None)
    tracemalloc.start()
    try:
        for _ in range(20_000):
            its.after(dice.uniform(80_000, 90_000), lambda: None).cancel()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert left < 100_000


# --- whose wheel -----------------------------------------------------------------------------


def test_each_loop_has_a_wheel_of_its_own():
    async def my_wheel() -> Wheel:
        loop = asyncio.get_running_loop()
        assert get_wheel(loop) is get_wheel(loop)
        return get_wheel(loop)

    assert run(my_wheel()) is not run(my_wheel())


class MeetingLoop(asyncio.SelectorEventLoop):
    """Looks at the clock for an expiring wheel only together with another loop."""

    both_are_expiring: threading.Barrier

    def time(self) -> float:
        caller = inspect.currentframe().f_back  # type: ignore[union-attr]
        if caller is not None and caller.f_code is Wheel._expire.__code__:
            with suppress(threading.BrokenBarrierError):
                self.both_are_expiring.wait()
        return super().time()


def test_loops_in_different_threads_do_not_stand_in_each_others_way():
    """Symptom: "cannot enter context", and a loop whose deadlines never fired again."""
    MeetingLoop.both_are_expiring = threading.Barrier(2, timeout=1)
    fired: list[bool] = []
    complaints: list[dict] = []

    async def use() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        done = asyncio.Event()
        get_wheel(loop).after(0.001, done.set)
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                fired.append(await done.wait())

    def run_a_loop() -> None:
        loop = MeetingLoop()
        try:
            loop.run_until_complete(use())
        finally:
            loop.close()

    threads = [threading.Thread(target=run_a_loop) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert MeetingLoop.both_are_expiring.broken is False
    assert complaints == []
    assert fired == [True, True]


@pytest.mark.parametrize("how", ["met", "cancelled", "pending", "watched"])
def test_a_wheel_does_not_keep_its_loop_alive(how: str):
    def use_a_loop() -> "weakref.ref[asyncio.AbstractEventLoop]":
        async def use() -> None:
            loop = asyncio.get_running_loop()
            entry = get_wheel(loop).after(5.0, lambda: None)
            if how == "met":
                await asyncio.sleep(6)
            elif how == "cancelled":
                entry.cancel()
            elif how == "watched":
                get_wheel(loop).watch("somebody")
                await asyncio.sleep(1)

        loop = asyncio.new_event_loop() if how in ("cancelled", "pending") else VirtualLoop()
        try:
            loop.run_until_complete(use())
        finally:
            loop.close()
        return weakref.ref(loop)

    before = len(wheel._wheels)
    its_loop = use_a_loop()

    gc.collect()

    assert its_loop() is None
    assert len(wheel._wheels) <= before


def test_a_deadline_that_knows_its_loop_does_not_keep_it_longer_than_to_the_next_loop():
    """Symptom: a test suite that left connections open kept every event loop it had."""

    class Connection:
        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()

        def expire(self) -> None:
            raise NotImplementedError

    async def leave_a_connection_open() -> None:
        loop = asyncio.get_running_loop()
        get_wheel(loop).after(30.0, Connection().expire)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave_a_connection_open())
    loop.close()
    its_loop = weakref.ref(loop)
    del loop
    run(leave_a_connection_open())

    gc.collect()

    assert its_loop() is None


@virtual
async def test_deadlines_that_were_met_are_gone_without_the_garbage_collector():
    def count():
        return sum(type(each) is wheel.Deadline for each in gc.get_objects())

    gc.collect()
    before = count()
    gc.disable()
    try:
        for _ in range(3):
            get_wheel(asyncio.get_running_loop()).after(1, lambda: None)
        assert count() == before + 3
        await asyncio.sleep(2)

        assert count() == before
    finally:
        gc.enable()
