"""A deadline on a wait interrupts that wait alone, and leaves no trace in its task."""

import asyncio

import pytest

from resilient_channels import blocking
from resilient_channels.blocking import Patience
from resilient_channels.wheel import get_wheel
from support.loop import virtual


def now() -> float:
    return asyncio.get_running_loop().time()


class Waiter:
    """Waits with patience, as a send does."""

    def __init__(self) -> None:
        self.last_sign = now()

    async def wait(self, awaitable, seconds: float = 30.0) -> str:
        waiting = blocking.begin(awaitable)
        assert waiting is not None
        patience = Patience(get_wheel(asyncio.get_running_loop()), seconds, lambda: self.last_sign)
        try:
            await blocking.finish(*waiting)
        except asyncio.CancelledError:
            if not patience.take_back():
                raise
            return "ran out"
        finally:
            patience.cancel()
        return "done"


@virtual
async def test_patience_runs_out_after_its_time():
    outcome = await Waiter().wait(asyncio.sleep(1000))

    assert outcome == "ran out"
    assert now() == 30
    assert asyncio.current_task().cancelling() == 0


@virtual
async def test_who_is_done_in_time_is_left_alone_for_good():
    outcome = await Waiter().wait(asyncio.sleep(29))
    await asyncio.sleep(1000)

    assert outcome == "done"
    assert len(get_wheel(asyncio.get_running_loop())) == 0


@virtual
async def test_each_sign_of_life_starts_the_time_anew():
    waiter, loop = Waiter(), asyncio.get_running_loop()
    for at in (10, 25, 50):
        loop.call_at(at, lambda: setattr(waiter, "last_sign", now()))

    assert await waiter.wait(asyncio.sleep(1000)) == "ran out"
    assert now() == 80


@virtual
async def test_a_sign_from_before_the_wait_lengthens_nothing():
    waiter = Waiter()
    await asyncio.sleep(100)
    started = now()

    assert await waiter.wait(asyncio.sleep(1000)) == "ran out"
    assert now() - started == pytest.approx(30, abs=0.5)


@virtual
async def test_time_in_which_the_loop_did_not_run_does_not_count():
    loop, its = asyncio.get_running_loop(), get_wheel(asyncio.get_running_loop())

    def stall() -> None:
        loop.now += 600

    its.watch("a heartbeat")
    for at in (10, 615):
        loop.call_at(at, stall)

    assert await Waiter().wait(asyncio.sleep(5000)) == "ran out"
    assert now() == pytest.approx(1230, abs=1)
    its.unwatch("a heartbeat")


@virtual
async def test_a_cancellation_by_somebody_else_is_not_taken_back():
    task = asyncio.create_task(Waiter().wait(asyncio.sleep(1000)))
    await asyncio.sleep(10)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert now() == 10


@virtual
async def test_a_cancellation_by_somebody_else_in_the_same_moment_is_not_taken_back():
    task = asyncio.create_task(Waiter().wait(asyncio.sleep(1000)))
    asyncio.get_running_loop().call_at(30, task.cancel)

    with pytest.raises(asyncio.CancelledError):
        await task


@virtual
async def test_a_task_that_was_cancelled_before_may_still_lose_patience():
    """As a cleanup does that goes on after its task was cancelled."""

    async def cleanup() -> str:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            return await Waiter().wait(asyncio.sleep(1000))
        return "never"

    task = asyncio.create_task(cleanup())
    await asyncio.sleep(1)
    task.cancel()

    assert await task == "ran out"
    assert task.cancelling() == 1


@virtual
async def test_a_timeout_around_the_wait_wins_if_it_is_shorter_and_else_does_not_notice():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await Waiter().wait(asyncio.sleep(1000))
    assert now() == 5

    async with asyncio.timeout(100) as around:
        assert await Waiter().wait(asyncio.sleep(1000)) == "ran out"
        await asyncio.sleep(1)
    assert not around.expired()


@virtual
async def test_many_who_wait_lose_patience_each_on_their_own():
    outcomes = await asyncio.gather(
        *(Waiter().wait(asyncio.sleep(seconds), 10) for seconds in (1, 5, 9, 11, 100))
    )

    assert outcomes == ["done", "done", "done", "ran out", "ran out"]
