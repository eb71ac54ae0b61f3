"""What every scripted channel layer can be told: to fail, to hang, to forget."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from support.faults import FREEZE, Fault, Faults, Plan

OPERATIONS = ("send", "receive", "new_channel", "group_add", "group_discard", "group_send")


class Interruption:
    """Travels through a channel to the ``receive`` that waits there."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class Script:
    """A part of a layer: what the coming calls of each operation shall do.

    Attributes:
        operations: what can be told to fail.
        calls: how often each operation was called.
        finished: how often each operation came to its end.
    """

    operations: tuple[str, ...] = OPERATIONS

    def __init__(self, faults: Faults | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.faults = faults or Faults()
        self.calls: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self._plans: defaultdict[str, Plan] = defaultdict(Plan)
        self._late_plans: defaultdict[str, Plan] = defaultdict(Plan)
        self._given_up: list[Callable[[], Awaitable[Any]]] = []
        self._late_work: set[asyncio.Future[Any]] = set()

    # -- the script ---------------------------------------------------------

    def fail(self, operation: str, fault: Fault, times: int = 1) -> None:
        """Let the next *times* calls of *operation* raise *fault* (or ``HANG``)."""
        self._plan(operation).add(fault, times)

    def fail_late(self, operation: str, fault: Fault, times: int = 1) -> None:
        """The same, but only when the work is done: the answer is lost, not the call."""
        assert operation != "receive", "what was received would be lost"
        self._plan(operation)
        self._late_plans[operation].add(fault, times)

    def break_down(self, fault: Fault, *operations: str) -> None:
        """Let every call raise *fault* (or ``HANG``, or ``FREEZE``) until ``heal``.

        That includes the ``receive`` calls that are waiting at this moment. Only a layer that
        freezes lets them wait on. It takes what it was asked for meanwhile when it goes on, though
        the caller may have given up.
        """
        for operation in operations or self.operations:
            self._plan(operation).stand(fault)
            if operation == "receive" and fault != FREEZE:
                self.interrupt_receivers(fault)

    def heal(self) -> None:
        given_up, self._given_up = self._given_up, []
        for call in given_up:
            work = asyncio.ensure_future(call())
            self._late_work.add(work)
            work.add_done_callback(self._late_work.discard)
        for plan in (*self._plans.values(), *self._late_plans.values()):
            plan.stand(None)

    def lose_groups(self) -> None:
        """Forget every membership, as a broker does that restarts empty."""
        self.all_groups.clear()

    def lose_group(self, group: str) -> None:
        """Forget one group, as a broker does that is out of memory."""
        self.all_groups.pop(group, None)

    # -- what it knows ------------------------------------------------------

    @property
    def all_groups(self) -> dict[str, dict[str, float]]:
        """Who is in which group, and since when; the library's own groups, too."""
        raise NotImplementedError

    @property
    def groups(self) -> dict[str, set[str]]:
        """Who is in which group; probes of the library (``rc.*``) are left out."""
        return {
            name: set(channels)
            for name, channels in self.all_groups.items()
            if channels and not name.startswith("rc.")
        }

    def count_memberships(self) -> int:
        """How many channels are in groups of the project's, each counted once per group."""
        return sum(map(len, self.groups.values()))

    def members(self, group: str) -> set[str]:
        return self.groups.get(group, set())

    # -- for the layer ------------------------------------------------------

    def interrupt_receivers(self, fault: Fault) -> None:
        """Let every ``receive`` that waits meet *fault*."""
        raise NotImplementedError

    async def _perform(
        self, operation: str, work: Callable[..., Awaitable[Any]], *args: Any
    ) -> Any:
        self.calls[operation] += 1
        await self.faults.point(f"layer.{operation}")
        plan = self._plans[operation]
        try:
            await plan.play()
        except asyncio.CancelledError:
            if plan.is_frozen and operation != "receive":
                self._given_up.append(partial(work, *args))
            raise
        if self._late_work:  # first come, first served
            await asyncio.wait(self._late_work)
        result = await work(*args)
        await self._late_plans[operation].play()
        self.finished[operation] += 1
        return result

    def _plan(self, operation: str) -> Plan:
        assert operation in self.operations, f"{operation!r} is none of {self.operations}"
        return self._plans[operation]
