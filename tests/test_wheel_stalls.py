"""When the loop did not run: noticed within a quarter of a second, counted once, while asked."""

import asyncio

import pytest

from resilient_channels.wheel import STEADY, TOLERANCE, Wheel
from support.loop import VirtualLoop, virtual


def stall(seconds: float) -> None:
    """Let *seconds* pass in which the loop does not run."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.now += seconds


class Watched(Wheel):
    """A wheel that somebody watches, and that keeps what it reports."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[float] = []
        self.on_stall = self.reports.append
        self.watch(self)


def about(seconds: float, times: int = 1) -> object:
    """Each stall is measured as exactly as a steady beat allows, and never as longer."""
    return pytest.approx(seconds - times * STEADY / 2, abs=times * STEADY / 2)


# --- what is a stall -------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.5, 1.0, 30.0, 600.0, 86_400.0])
@virtual
async def test_a_stall_is_counted(seconds: float):
    its = Watched()
    await asyncio.sleep(1.1)

    stall(seconds)
    await asyncio.sleep(1)

    assert its.stalled == about(seconds)
    assert its.reports == [its.stalled]


@virtual
async def test_a_stall_is_counted_before_any_deadline_it_has_made_late():
    """Symptom: a peer was given up for the time in which nobody listened to it."""
    its, seen = Watched(), []
    its.after(10.0, lambda: seen.append(its.stalled))
    await asyncio.sleep(5.0625)

    stall(30)
    await asyncio.sleep(1)

    assert seen == [about(30)]


@virtual
async def test_a_loop_with_nothing_to_do_does_not_stall():
    its = Watched()

    await asyncio.sleep(6 * 3600)

    assert its.stalled == 0
    assert its.reports == []


@virtual
async def test_a_loop_that_is_only_busy_does_not_stall():
    its = Watched()

    for _ in range(1000):
        stall(TOLERANCE * 0.4)
        await asyncio.sleep(0)

    assert its.stalled == 0


@virtual
async def test_a_stall_is_counted_once_however_much_it_has_made_late():
    its = Watched()
    for number in range(1000):
        its.after(0.1 * number, lambda: None)
    await asyncio.sleep(1)

    stall(50)
    await asyncio.sleep(200)

    assert its.stalled == about(50)
    assert len(its.reports) == 1


@virtual
async def test_stalls_add_up():
    its = Watched()

    for _ in range(10):
        stall(3)
        await asyncio.sleep(2)

    assert its.stalled == about(30, times=10)
    assert len(its.reports) == 10


@virtual
async def test_stalls_that_follow_each_other_at_once_are_all_counted():
    its = Watched()
    await asyncio.sleep(1)

    for _ in range(10):
        stall(3)
        for _ in range(5):
            await asyncio.sleep(0)

    await asyncio.sleep(1)
    assert its.stalled == about(30, times=10)


@virtual
async def test_a_stall_right_behind_a_steady_beat_is_counted():
    """Symptom: one stall in a few was not noticed: that of a handler which the beat ran beside."""
    its = Wheel()
    # In the turn of the loop between the timer and the beat that it makes due.
    its.after(STEADY, lambda: stall(30))
    its.watch(self := object())

    await asyncio.sleep(2)

    assert its.stalled == about(30)
    its.unwatch(self)


@pytest.mark.parametrize("moment", [n / 16 for n in range(17)])
@virtual
async def test_it_does_not_matter_when_a_stall_begins(moment: float):
    its = Watched()
    asyncio.get_running_loop().call_at(2 + moment, stall, 30)

    await asyncio.sleep(60)

    assert its.stalled == about(30)


# --- while somebody watches ------------------------------------------------------------------


@virtual
async def test_while_nobody_watches_nothing_is_measured():
    its = Wheel()
    its.after(5.0, lambda: None)
    await asyncio.sleep(1)

    stall(30)
    await asyncio.sleep(10)

    assert its.stalled == 0


@virtual
async def test_a_stall_from_before_the_watch_does_not_count():
    its = Wheel()
    its.after(5.0, lambda: None)
    stall(30)

    its.watch("somebody")
    await asyncio.sleep(10)

    assert its.stalled == 0
    its.unwatch("somebody")


@virtual
async def test_a_stall_from_after_the_watch_does_not_count():
    its = Wheel()
    its.watch("somebody")
    await asyncio.sleep(1)
    its.unwatch("somebody")

    stall(30)
    await asyncio.sleep(10)

    assert its.stalled == 0


@virtual
async def test_the_watch_goes_on_until_the_last_watcher_has_had_enough():
    its = Wheel()
    for watcher in "abc":
        its.watch(watcher)
    its.unwatch("a")
    its.unwatch("b")

    stall(30)
    await asyncio.sleep(1)
    assert its.stalled == about(30)
    its.unwatch("c")
    stall(30)
    await asyncio.sleep(1)

    assert its.stalled == about(30)


@virtual
async def test_a_watcher_counts_once_however_often_it_asks():
    its = Wheel()
    for _ in range(3):
        its.watch("somebody")

    its.unwatch("somebody")

    assert len(its) == 0


@virtual
async def test_who_never_watched_may_have_had_enough():
    its = Watched()

    its.unwatch("a stranger")
    stall(30)
    await asyncio.sleep(1)

    assert its.stalled == about(30)


@virtual
async def test_after_the_watch_nothing_is_left():
    its = Wheel()
    its.watch("somebody")
    await asyncio.sleep(100)

    its.unwatch("somebody")
    await asyncio.sleep(1)

    assert len(its) == 0
    assert asyncio.get_running_loop()._scheduled == []  # type: ignore[attr-defined]


@virtual
async def test_who_leaves_while_the_beat_is_under_way_leaves_nothing():
    its = Wheel()
    its.watch("somebody")
    # Set before the wheel's timer of the same moment, or behind it.
    for delay in (STEADY, STEADY):
        its.after(delay, lambda: its.unwatch("somebody"))

    await asyncio.sleep(STEADY + 0.001)

    assert len(its) == 0


@virtual
async def test_a_watch_can_begin_again():
    its = Wheel()
    for _ in range(3):
        its.watch("somebody")
        await asyncio.sleep(1)
        stall(10)
        await asyncio.sleep(1)
        its.unwatch("somebody")
        await asyncio.sleep(1)

    assert its.stalled == about(30, times=3)


@virtual
async def test_ten_thousand_watchers_cost_one_beat():
    its = Wheel()

    for number in range(10_000):
        its.watch(number)

    assert len(its) == 1
