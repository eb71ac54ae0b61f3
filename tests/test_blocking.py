"""A wait that is begun by hand is the same wait."""

import asyncio
from contextlib import suppress
from contextvars import ContextVar

import pytest

from resilient_channels import blocking
from support.loop import virtual


def now() -> float:
    return asyncio.get_running_loop().time()


async def do(awaitable) -> bool:
    """Await by hand; whether there was anything to wait for."""
    waiting = blocking.begin(awaitable)
    if waiting is None:
        return False
    await blocking.finish(*waiting)
    return True


async def nothing() -> str:
    return "done"


async def fail() -> None:
    raise LookupError("boom")


async def fail_later() -> None:
    await asyncio.sleep(1)
    raise LookupError("boom")


@virtual
async def test_what_needs_no_wait_is_done_without_one():
    done = []

    async def work():
        await nothing()
        done.append(True)

    assert blocking.begin(work()) is None
    assert done == [True]


@virtual
async def test_what_fails_without_a_wait_fails_at_once():
    with pytest.raises(LookupError, match="boom"):
        blocking.begin(fail())


@virtual
async def test_what_fails_later_fails_later():
    waiting = blocking.begin(fail_later())
    assert waiting is not None

    with pytest.raises(LookupError, match="boom"):
        await blocking.finish(*waiting)

    assert now() == 1


@pytest.mark.parametrize(
    ("make", "seconds"),
    [
        (lambda: asyncio.sleep(0), 0),
        (lambda: asyncio.sleep(3), 3),
        (lambda: asyncio.create_task(asyncio.sleep(3)), 3),
        (lambda: asyncio.gather(asyncio.sleep(2), asyncio.sleep(3)), 3),
        (lambda: asyncio.shield(asyncio.sleep(3)), 3),
        (lambda: asyncio.wait_for(asyncio.sleep(3), 5), 3),
        (lambda: asyncio.to_thread(lambda: None), 0),
    ],
    ids=["one turn", "sleep", "task", "gather", "shield", "wait_for", "thread"],
)
@virtual
async def test_any_kind_of_wait_is_waited_for(make, seconds: float):
    assert await do(make()) is True

    assert now() == seconds


@virtual
async def test_a_wait_for_what_is_done_is_none():
    future = asyncio.get_running_loop().create_future()
    future.set_result(None)

    assert await do(future) is False


@virtual
async def test_a_wait_of_many_steps_runs_to_its_end():
    steps = []

    async def work():
        for number in range(100):
            await asyncio.sleep(0.1 if number % 2 else 0)
            steps.append(number)

    await do(work())

    assert steps == list(range(100))


@virtual
async def test_the_work_runs_in_the_task_and_the_context_of_its_caller():
    word: ContextVar[str] = ContextVar("word", default="")
    tasks = []

    async def work():
        tasks.append(asyncio.current_task())
        await asyncio.sleep(1)
        tasks.append(asyncio.current_task())
        word.set("heard")

    await do(work())

    assert set(tasks) == {asyncio.current_task()}
    assert word.get() == "heard"


@virtual
async def test_a_timeout_inside_the_work_is_the_works_own():
    async def work():
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.sleep(100)
        await asyncio.sleep(1)

    await do(work())

    assert now() == 3
    assert asyncio.current_task().cancelling() == 0


@virtual
async def test_a_cancellation_reaches_the_work():
    seen = []

    async def work():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            seen.append(now())
            raise

    task = asyncio.create_task(do(work()))
    await asyncio.sleep(1)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [1]


@virtual
async def test_work_that_goes_on_after_a_cancellation_is_waited_for():
    async def work():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(100)
        await asyncio.sleep(5)

    task = asyncio.create_task(do(work()))
    await asyncio.sleep(1)
    task.cancel()

    assert await task is True
    assert now() == 6


@virtual
async def test_a_wait_that_is_thrown_away_lets_the_work_clean_up():
    cleaned = []

    async def work():
        try:
            await asyncio.sleep(100)
        finally:
            cleaned.append(True)

    waiting = blocking.begin(work())
    assert waiting is not None
    rest = blocking.finish(*waiting)
    rest.send(None)

    rest.close()

    assert cleaned == [True]


class OnlyNext:
    """What a server's own awaitable may be: its iterator has ``__next__``, and no more."""

    def __init__(self, future: asyncio.Future) -> None:
        self._steps = future.__await__()

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._steps)


@virtual
async def test_an_awaitable_that_knows_nothing_but_next_is_waited_for_too():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(5, future.set_result, None)

    waiting = blocking.begin(OnlyNext(future))
    assert waiting is not None
    await blocking.finish(*waiting)

    assert asyncio.get_running_loop().time() == 5
