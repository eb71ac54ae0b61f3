"""Deadlines on virtual time: exact, in order, cheap, and gone with their loop."""

import asyncio
import gc
import inspect
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress

import pytest

from resilient_channels import wheel
from resilient_channels.wheel import DeadlineQueue, Wheel, get_wheel
from support.loop import VirtualLoop, run, virtual


class Diary:
    """Notes who fired, and when."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, float]] = []

    def note(self, name: str) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        return lambda: self.entries.append((name, loop.time()))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.entries]


def timers_of(loop: asyncio.AbstractEventLoop) -> int:
    assert isinstance(loop, VirtualLoop)
    return len(loop._scheduled)


@virtual
async def test_a_deadline_fires_at_its_time_and_not_before():
    diary, queue = Diary(), DeadlineQueue(5.0)
    queue.add(diary.note("it"))

    await asyncio.sleep(4.999)
    assert diary.entries == []
    await asyncio.sleep(1)

    assert diary.entries == [("it", 5.0)]


@virtual
async def test_deadlines_fire_in_the_order_and_at_the_times_they_were_set_for():
    diary, queue = Diary(), DeadlineQueue(5.0)
    for name in "abc":
        queue.add(diary.note(name))
        await asyncio.sleep(1)

    await asyncio.sleep(10)

    assert diary.entries == [("a", 5.0), ("b", 6.0), ("c", 7.0)]


@virtual
async def test_deadlines_of_one_moment_fire_in_the_order_they_were_set():
    diary, queue = Diary(), DeadlineQueue(5.0)
    for name in "abcdef":
        queue.add(diary.note(name))

    await asyncio.sleep(6)

    assert diary.names == list("abcdef")


@virtual
async def test_a_cancelled_deadline_does_not_fire():
    diary, queue = Diary(), DeadlineQueue(5.0)
    first, _ = queue.add(diary.note("first")), queue.add(diary.note("second"))

    first.cancel()
    await asyncio.sleep(6)

    assert diary.names == ["second"]


@virtual
async def test_cancelling_twice_or_too_late_is_harmless():
    diary, queue = Diary(), DeadlineQueue(5.0)
    entry = queue.add(diary.note("it"))
    cancelled = queue.add(diary.note("other"))

    cancelled.cancel()
    cancelled.cancel()
    await asyncio.sleep(6)
    entry.cancel()

    assert diary.names == ["it"]


@virtual
async def test_a_deadline_cancelled_by_one_of_the_same_moment_does_not_fire():
    """Symptom: a send that the server took in the moment of its deadline was punished later."""
    diary, queue = Diary(), DeadlineQueue(5.0)
    queue.add(lambda: second.cancel())
    second = queue.add(diary.note("second"))

    await asyncio.sleep(6)

    assert diary.names == []


@virtual
async def test_a_deadline_cancelled_by_an_earlier_timer_of_the_same_moment_does_not_fire():
    diary, queue = Diary(), DeadlineQueue(5.0)
    # Set first, so it runs first, in the same turn of the loop.
    asyncio.get_running_loop().call_at(5.0, lambda: entry.cancel())
    entry = queue.add(diary.note("it"))

    await asyncio.sleep(6)

    assert diary.names == []


@virtual
async def test_a_deadline_does_not_fire_after_it_was_cancelled_however_late_its_loop_is():
    """Symptom: after a stall, a handler was cancelled for a send that had been taken."""
    diary, queue = Diary(), DeadlineQueue(5.0)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    taken = loop.create_future()
    loop.call_at(4.9, taken.set_result, None)

    def stall() -> None:
        loop.now = 7.0  # the process was busy elsewhere; both timers are due now

    loop.call_at(4.0, stall)
    entry = queue.add(diary.note("fired"))
    await taken
    entry.cancel()
    diary.note("cancelled")()
    await asyncio.sleep(10)

    assert diary.names[-1] == "cancelled"


@virtual
async def test_a_callback_can_set_its_deadline_again():
    diary, queue = Diary(), DeadlineQueue(5.0)
    loop = asyncio.get_running_loop()

    def again() -> None:
        diary.entries.append(("again", loop.time()))
        if len(diary.entries) < 3:
            queue.add(again)

    queue.add(again)
    await asyncio.sleep(60)

    assert [when for _, when in diary.entries] == [5.0, 10.0, 15.0]


@virtual
async def test_a_callback_that_raises_does_not_keep_the_others_from_firing():
    diary, queue = Diary(), DeadlineQueue(5.0)
    complaints: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    def fail() -> None:
        raise ValueError("boom")

    queue.add(fail)
    queue.add(diary.note("same moment"))
    await asyncio.sleep(1)
    queue.add(diary.note("later"))
    await asyncio.sleep(10)

    assert diary.names == ["same moment", "later"]
    assert [str(context["exception"]) for context in complaints] == ["boom"]


@virtual
async def test_a_thousand_deadlines_cost_one_timer():
    queue = DeadlineQueue(5.0)
    loop = asyncio.get_running_loop()
    before = timers_of(loop)

    entries = [queue.add(lambda: None) for _ in range(1000)]

    assert timers_of(loop) == before + 1
    assert len(queue) == 1000
    for entry in entries:
        entry.cancel()
    assert len(queue) == 0


@virtual
async def test_deadlines_that_are_set_and_met_over_and_over_cost_one_timer_at_a_time():
    queue = DeadlineQueue(5.0)
    loop = asyncio.get_running_loop()
    most = 0

    for _ in range(200):
        queue.add(lambda: None).cancel()
        await asyncio.sleep(0.1)
        most = max(most, timers_of(loop))

    assert most <= 2  # ours, and the sleep's
    assert len(queue) == 0


@virtual
async def test_a_queue_that_ran_empty_starts_again():
    diary, queue = Diary(), DeadlineQueue(5.0)
    queue.add(diary.note("first")).cancel()
    await asyncio.sleep(20)

    queue.add(diary.note("second"))
    await asyncio.sleep(20)

    assert diary.entries == [("second", 25.0)]


@virtual
async def test_the_head_may_be_cancelled_without_hurrying_the_next():
    diary, queue = Diary(), DeadlineQueue(5.0)
    head = queue.add(diary.note("head"))
    await asyncio.sleep(2)
    queue.add(diary.note("next"))

    head.cancel()
    await asyncio.sleep(10)

    assert diary.entries == [("next", 7.0)]


def test_a_wheel_has_one_queue_per_length():
    its = Wheel()

    assert its.queue(5.0) is its.queue(5.0)
    assert its.queue(5.0) is not its.queue(6.0)
    assert its.queue(6.0).delay == 6.0


@virtual
async def test_queues_of_different_length_do_not_wait_for_each_other():
    diary, its = Diary(), Wheel()
    its.queue(9.0).add(diary.note("long"))
    its.queue(1.0).add(diary.note("short"))

    await asyncio.sleep(10)

    assert diary.entries == [("short", 1.0), ("long", 9.0)]


def test_each_loop_has_a_wheel_of_its_own():
    async def my_wheel() -> Wheel:
        loop = asyncio.get_running_loop()
        assert get_wheel(loop) is get_wheel(loop)
        return get_wheel(loop)

    assert run(my_wheel()) is not run(my_wheel())


class MeetingLoop(asyncio.SelectorEventLoop):
    """Looks at the clock for an expiring queue only together with another loop."""

    both_are_expiring: threading.Barrier

    def time(self) -> float:
        caller = inspect.currentframe().f_back  # type: ignore[union-attr]
        if caller is not None and caller.f_code is DeadlineQueue._expire.__code__:
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
        get_wheel(loop).queue(0.001).add(done.set)
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

    assert complaints == []
    assert fired == [True, True]


@pytest.mark.parametrize("how", ["met", "cancelled", "pending"])
def test_a_wheel_does_not_keep_its_loop_alive(how: str):
    def use_a_loop() -> "weakref.ref[asyncio.AbstractEventLoop]":
        async def use() -> None:
            loop = asyncio.get_running_loop()
            entry = get_wheel(loop).queue(5.0).add(lambda: None)
            if how == "met":
                await asyncio.sleep(6)
            elif how == "cancelled":
                entry.cancel()

        loop = asyncio.new_event_loop() if how != "met" else VirtualLoop()
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
