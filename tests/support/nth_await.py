"""The nth-await loop: run a scenario again and again, and hit it at each await in turn.

async def scenario(stage):
    server = ScriptedServer(faults=stage.faults)
    stage.application = server.start(app)
    server.client_connects()
    ...

for n, outcome in cancel_at_each_await(scenario):
    assert outcome.problems == [], outcome
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from support.faults import Fault, Faults
from support.loop import Deadlock, NeverEnds, VirtualLoop, cancel_what_is_left, seeded_random
from support.reports import describe_task

MOST_AWAITS = 5_000
HORIZON = 3600.0  # virtual seconds that one run may take


@dataclass
class Stage:
    """What a scenario gets; it says which task is the application.

    Attributes:
        faults: give it to the scripted server and layer.
        notes: whatever the scenario wants to remember; ends up in the outcome.
    """

    faults: Faults
    notes: list[Any] = field(default_factory=list)
    _application: asyncio.Task[Any] | None = None
    _awaits: int = 0
    _cancel_at: int | None = None
    _family: set[asyncio.Task[Any]] = field(default_factory=set)
    where: str = "nowhere"

    @property
    def application(self) -> asyncio.Task[Any] | None:
        return self._application

    @application.setter
    def application(self, task: asyncio.Task[Any]) -> None:
        self._application = task
        self._family.add(task)

    def _adopt(self, coro: Coroutine[Any, Any, Any]) -> "Watched":
        return Watched(coro, self)

    def _suspended(self, place: str) -> None:
        """A task of the application's family has just suspended, at *place*."""
        self._awaits += 1
        if self._awaits == self._cancel_at:
            assert self._application is not None
            self.where = place
            asyncio.get_running_loop().call_soon(self._application.cancel)


class Watched(Coroutine[Any, Any, Any]):
    """A coroutine that tells the stage whenever it suspends."""

    def __init__(self, coro: Coroutine[Any, Any, Any], stage: Stage) -> None:
        self._coro = coro
        self._stage = stage
        self._parent = current_task()

    def send(self, value: Any) -> Any:
        return self._step(self._coro.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._coro.throw, *error)

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Any:
        return self._coro.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)

    def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        family = self._stage._family
        task = current_task()
        if task is not None and self._parent in family:
            family.add(task)
        yielded = step(*args)
        if task in family:
            self._stage._suspended(place_of(self._coro))
        return yielded


def current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def place_of(coro: Any) -> str:
    """Where a suspended coroutine stands, innermost frame that has a name of its own."""
    place = getattr(coro, "__qualname__", repr(coro))
    while coro is not None and inspect.iscoroutine(coro):
        if coro.cr_frame is None:
            break
        place = f"{coro.__qualname__}:{coro.cr_frame.f_lineno}"
        coro = coro.cr_await
    return place


@dataclass
class Outcome:
    """What became of one run.

    Attributes:
        n: which await or call was hit.
        where: its place.
        ended: how the application ended: "returned", "cancelled", "running", "not started"
            or the exception it raised.
        problems: everything that must never happen: a hang, tasks left, failures
            nobody looked at.
        scenario_error: what the scenario itself raised, often an ``ApplicationEnded``.
        virtual_seconds: how long the run took, in its own time.
    """

    n: int
    where: str
    ended: str | BaseException
    problems: list[str]
    notes: list[Any]
    scenario_error: BaseException | None
    virtual_seconds: float


Scenario = Callable[[Stage], Awaitable[Any]]


def count_awaits(scenario: Scenario) -> int:
    """How often the application and its children suspend when nothing goes wrong."""
    stage = Stage(Faults())
    must_be_clean(perform(scenario, stage))
    return stage._awaits


def count_calls(scenario: Scenario) -> list[str]:
    """The calls into scripted doubles when nothing goes wrong."""
    stage = Stage(Faults())
    must_be_clean(perform(scenario, stage))
    return stage.faults.passed


def cancel_at_each_await(scenario: Scenario) -> Iterator[tuple[int, Outcome]]:
    """Cancel the application at its nth suspension, for every n."""
    total = count_awaits(scenario)
    assert 0 < total < MOST_AWAITS, f"{total} awaits are nothing to loop over"
    for n in range(1, total + 1):
        yield n, perform(scenario, Stage(Faults(), _cancel_at=n), n)


def fail_at_each_call(
    scenario: Scenario, fault: Fault, only: str = ""
) -> Iterator[tuple[int, Outcome]]:
    """Let the nth call into a scripted double raise *fault*, or hang, for every n.

    Args:
        only: hit just the calls whose name starts so, for example ``"layer."``.
    """
    calls = count_calls(scenario)
    assert 0 < len(calls) < MOST_AWAITS, f"{len(calls)} calls are nothing to loop over"
    for n, name in enumerate(calls, start=1):
        if name.startswith(only):
            stage = Stage(Faults(at=n, fault=fault), where=name)
            yield n, perform(scenario, stage, n)


def must_be_clean(outcome: Outcome) -> None:
    if outcome.scenario_error is not None:
        raise outcome.scenario_error
    assert outcome.problems == [], outcome.problems


def perform(scenario: Scenario, stage: Stage, n: int = 0) -> Outcome:
    """Run *scenario* once on a loop of its own and say what became of it."""
    loop = VirtualLoop(horizon=HORIZON)
    loop.watch = stage._adopt
    problems: list[str] = []
    error: BaseException | None = None
    try:
        with seeded_random(0):
            try:
                loop.run_until_complete(watched_run(scenario, stage))
            except (Deadlock, NeverEnds) as hang:
                problems.append(f"hang: {hang}")
            except BaseException as raised:  # noqa: BLE001 -- the caller judges it
                error = raised
            took = loop.now
            loop.drain()
            problems += [f"task left: {describe_task(task)}" for task in loop.pending_tasks()]
            ended = how_it_ended(stage.application)
            cancel_what_is_left(loop)
            problems += [f"never retrieved: {future!r}" for future in loop.unretrieved()]
            problems += loop.complaints
    finally:
        for future in loop.unretrieved():
            future.exception()
        loop.close()
    return Outcome(n, stage.where, ended, problems, stage.notes, error, took)


async def watched_run(scenario: Scenario, stage: Stage) -> None:
    await scenario(stage)


def how_it_ended(task: asyncio.Task[Any] | None) -> str | BaseException:
    if task is None:
        return "not started"
    if not task.done():
        return "running"
    if task.cancelled():
        return "cancelled"
    return task.exception() or "returned"
