"""Deadlines on virtual time: met in their slot, in order, and not once they were cancelled."""

import asyncio
import random
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial

import pytest

from resilient_channels.wheel import Wheel
from support.loop import VirtualLoop, virtual


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


# --- when ------------------------------------------------------------------------------------


@virtual
async def test_a_deadline_fires_at_its_time_and_not_before():
    diary, its = Diary(), Wheel()
    its.after(5.0, diary.note("it"))

    await asyncio.sleep(4.999)
    assert diary.entries == []
    await asyncio.sleep(1)

    assert diary.entries == [("it", 5.0)]


@virtual
async def test_a_deadline_may_be_set_for_a_moment():
    diary, its = Diary(), Wheel()
    await asyncio.sleep(3)
    its.at(5.0, diary.note("it"))

    await asyncio.sleep(10)

    assert diary.entries == [("it", 5.0)]


@pytest.mark.parametrize("when", [-10.0, 0.0, 3.0])
@virtual
async def test_a_moment_that_has_passed_is_now(when: float):
    diary, its = Diary(), Wheel()
    await asyncio.sleep(3)

    its.at(when, diary.note("it"))
    await asyncio.sleep(0.001)

    assert diary.entries == [("it", 3.0)]


@virtual
async def test_no_deadline_fires_early_or_later_than_promised():
    late: list[float] = []
    its, loop, dice = Wheel(), asyncio.get_running_loop(), random.Random(7)

    def meet(due: float, promised: float) -> None:
        late.append(loop.time() - due)
        assert 0 <= late[-1] <= promised

    for _ in range(1000):
        delay = 10 ** dice.uniform(-3, 4)
        due = loop.time() + delay
        # A slot, or a 64th; no more than a quarter of a second, or a 1024th.
        promised = max(1 / 64, min(delay / 64, 0.25), delay / 1024)
        its.at(due, partial(meet, due, promised))
        await asyncio.sleep(dice.uniform(0, 0.1))
    await asyncio.sleep(20_000)

    assert len(late) == 1000
    assert max(late) > 1  # the longest share slots


@virtual
async def test_deadlines_fire_in_the_order_and_at_the_times_they_were_set_for():
    diary, its = Diary(), Wheel()
    for name in "abc":
        its.after(5.0, diary.note(name))
        await asyncio.sleep(1)

    await asyncio.sleep(10)

    assert diary.entries == [("a", 5.0), ("b", 6.0), ("c", 7.0)]


@virtual
async def test_deadlines_of_one_moment_fire_in_the_order_they_were_set():
    diary, its = Diary(), Wheel()
    for name in "abcdef":
        its.after(5.0, diary.note(name))

    await asyncio.sleep(6)

    assert diary.names == list("abcdef")


@virtual
async def test_a_short_deadline_does_not_wait_for_a_long_one_that_was_set_before():
    diary, its = Diary(), Wheel()
    its.after(9.0, diary.note("long"))
    its.after(1.0, diary.note("short"))
    its.after(5.0, diary.note("middle"))

    await asyncio.sleep(10)

    assert diary.entries == [("short", 1.0), ("middle", 5.0), ("long", 9.0)]


@virtual
async def test_a_late_loop_meets_all_that_fell_due_in_the_order_of_their_moments():
    diary, its = Diary(), Wheel()
    for name, delay in (("c", 3.0), ("a", 1.0), ("d", 7.0), ("b", 2.0)):
        its.after(delay, diary.note(name))

    asyncio.get_running_loop().now = 5.0  # type: ignore[attr-defined]
    await asyncio.sleep(10)

    assert diary.entries == [("a", 5.0), ("b", 5.0), ("c", 5.0), ("d", 7.0)]


@virtual
async def test_a_wheel_that_ran_empty_starts_again():
    diary, its = Diary(), Wheel()
    its.after(5.0, diary.note("first")).cancel()
    await asyncio.sleep(20)

    its.after(5.0, diary.note("second"))
    await asyncio.sleep(20)

    assert diary.entries == [("second", 25.0)]


# --- cancelling ------------------------------------------------------------------------------


@virtual
async def test_a_cancelled_deadline_does_not_fire():
    diary, its = Diary(), Wheel()
    first, _ = its.after(5.0, diary.note("first")), its.after(5.0, diary.note("second"))

    first.cancel()
    await asyncio.sleep(6)

    assert diary.names == ["second"]


@virtual
async def test_cancelling_twice_or_too_late_is_harmless():
    diary, its = Diary(), Wheel()
    entry = its.after(5.0, diary.note("it"))
    cancelled = its.after(5.0, diary.note("other"))

    cancelled.cancel()
    cancelled.cancel()
    await asyncio.sleep(6)
    entry.cancel()
    entry.cancel()

    assert diary.names == ["it"]


@virtual
async def test_a_deadline_cancelled_by_one_of_the_same_moment_does_not_fire():
    """Symptom: a send that the server took in the moment of its deadline was punished later."""
    diary, its = Diary(), Wheel()
    its.after(5.0, lambda: second.cancel())
    second = its.after(5.0, diary.note("second"))

    await asyncio.sleep(6)

    assert diary.names == []


@virtual
async def test_a_deadline_cancelled_by_an_earlier_timer_of_the_same_moment_does_not_fire():
    diary, its = Diary(), Wheel()
    # Set first, so it runs first, in the same turn of the loop.
    asyncio.get_running_loop().call_at(5.0, lambda: entry.cancel())
    entry = its.after(5.0, diary.note("it"))

    await asyncio.sleep(6)

    assert diary.names == []


@virtual
async def test_a_deadline_does_not_fire_after_it_was_cancelled_however_late_its_loop_is():
    """Symptom: after a stall, a handler was cancelled for a send that had been taken."""
    diary, its = Diary(), Wheel()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    taken = loop.create_future()
    loop.call_at(4.9, taken.set_result, None)

    def stall() -> None:
        loop.now = 7.0  # the process was busy elsewhere; both timers are due now

    loop.call_at(4.0, stall)
    entry = its.after(5.0, diary.note("fired"))
    await taken
    entry.cancel()
    diary.note("cancelled")()
    await asyncio.sleep(10)

    assert diary.names[-1] == "cancelled"


@virtual
async def test_the_head_may_be_cancelled_without_hurrying_the_next():
    diary, its = Diary(), Wheel()
    head = its.after(5.0, diary.note("head"))
    await asyncio.sleep(2)
    its.after(5.0, diary.note("next"))

    head.cancel()
    await asyncio.sleep(10)

    assert diary.entries == [("next", 7.0)]


# --- callbacks -------------------------------------------------------------------------------


@virtual
async def test_a_callback_can_set_its_deadline_again():
    diary, its = Diary(), Wheel()
    loop = asyncio.get_running_loop()

    def again() -> None:
        diary.entries.append(("again", loop.time()))
        if len(diary.entries) < 3:
            its.after(5.0, again)

    its.after(5.0, again)
    await asyncio.sleep(60)

    assert [when for _, when in diary.entries] == [5.0, 10.0, 15.0]


@virtual
async def test_a_callback_that_raises_does_not_keep_the_others_from_firing():
    diary, its = Diary(), Wheel()
    complaints: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    def fail() -> None:
        raise ValueError("boom")

    its.after(5.0, fail)
    its.after(5.0, diary.note("same moment"))
    its.after(6.0, diary.note("later"))
    await asyncio.sleep(10)

    assert diary.names == ["same moment", "later"]
    assert [str(context["exception"]) for context in complaints] == ["boom"]


@virtual
async def test_a_callback_runs_in_the_context_of_nobody():
    """Symptom: the deadline of one connection was logged with the request id of another."""
    whose: ContextVar[str] = ContextVar("whose", default="nobody's")
    seen: list[str] = []
    its = Wheel()
    whose.set("the first's")
    its.after(5.0, lambda: seen.append(whose.get()))
    whose.set("the second's")
    its.after(5.0, lambda: seen.append(whose.get()))
    its.after(6.0, lambda: seen.append(whose.get()))

    await asyncio.sleep(10)

    assert seen == ["nobody's"] * 3
