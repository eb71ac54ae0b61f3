"""One supervisor per channel layer and event loop: notices outages, restores membership.

Consumers do not retry on their own. Whoever meets a failure reports it here; one probe decides
whether it was the layer or the caller, one loop waits for the layer's return, and every
membership is joined again until it holds.
"""

from __future__ import annotations

import asyncio
from random import random
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from .. import compat
from ..core import events
from ..core.backoff import Backoff
from ..observers import notify
from .canary import Canary, Health

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..core.policies import LayerPolicy

CONCURRENCY = 20
"""Joins and leaves under way at once. More would only meet the limit of a connection pool."""

MAX_RENEWAL_INTERVAL = 3600.0
MAX_DISCARDS = 10_000

LOST_PROBES_FOR_OUTAGE = 3
"""A full queue loses probes too. Only a layer that loses several in a row is out of order."""

LONELY_ROUNDS = 20
"""How often a discard that fails is tried again after the last consumer has left."""


class Member(Protocol):
    """A consumer's side of the layer.

    Attributes:
        channel: Its channel name, once the layer has given one.
        groups: The groups it is in, or should be.
        unconfirmed: Those of them that the layer may not know of.
    """

    channel: str | None
    groups: set[str]
    unconfirmed: set[str]

    def layer_event(self, event: Mapping[str, Any]) -> None:
        """Take an event of ours, such as ``layer.down``."""


class Supervisor:
    """Watches one layer for all consumers of a loop.

    Attributes:
        is_down: Whether an outage is going on.
    """

    def __init__(self, alias: str, layer: Any, policy: LayerPolicy) -> None:
        self.alias = alias
        self.layer = layer
        self.is_down = False
        self._deadline = policy.deadline
        self._probe_interval = policy.probe
        self._members: dict[Member, None] = {}
        self._pending: dict[Member, None] = {}
        self._discards: dict[tuple[str, str], None] = {}
        can_fail = not compat.is_in_process(layer) and hasattr(layer, "group_send")
        self._canary = Canary(layer) if can_fail else None
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._task: asyncio.Task[None] | None = None
        self._alarm = asyncio.Event()
        self._verdict: asyncio.Future[bool] | None = None
        self._up = asyncio.Event()
        self._up.set()
        self._down_since = 0.0
        self._lost_probes = 0
        self._lonely_rounds = 0
        self._down_event: Mapping[str, Any] = {}

    # --- for members ---------------------------------------------------------------------------

    def enter(self, member: Member, policy: LayerPolicy) -> None:
        """A consumer begins to use the layer."""
        self._members[member] = None
        self._lonely_rounds = 0
        self._probe_interval = min(self._probe_interval, policy.probe)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="resilient_channels.supervisor")
        if self.is_down:
            member.layer_event(self._down_event)

    def leave(self, member: Member) -> None:
        """A consumer ended."""
        self._members.pop(member, None)
        self._pending.pop(member, None)
        if not self._members:
            self._alarm.set()

    def join_later(self, member: Member) -> None:
        """Join a member's unconfirmed groups as soon as the layer lets us."""
        self._pending[member] = None
        self._alarm.set()

    def discard_later(self, group: str, channel: str) -> None:
        """Leave a group as soon as the layer lets us."""
        if len(self._discards) < MAX_DISCARDS:
            self._discards[group, channel] = None
            self._alarm.set()

    async def discard_all(self, groups: Iterable[str], channel: str, limit: float) -> None:
        """Leave *groups* before *limit* (on the loop's clock); later, if the layer is down.

        Many consumers leave at once, after a deploy or behind a proxy that restarts. They share
        a few slots, because a pool of connections has an end.
        """
        if not self.is_down:
            try:
                async with asyncio.timeout_at(limit):
                    leaves = (self._discard(self._slots, group, channel) for group in groups)
                    failures = [error for error in await asyncio.gather(*leaves) if error]
                if not failures:
                    return
            except TimeoutError:
                pass
        for group in groups:
            self.discard_later(group, channel)

    def alarm(self) -> None:
        """Look at the layer now, not at the next interval."""
        self._alarm.set()

    async def is_answering(self) -> bool:
        """Whether a probe succeeds right now. One probe serves all who ask meanwhile."""
        if self._canary is None or self._task is None:
            return True
        if self._verdict is None:
            self._verdict = asyncio.get_running_loop().create_future()
        self._alarm.set()
        return await asyncio.shield(self._verdict)

    async def wait_until_up(self) -> None:
        """Return when no outage is known."""
        await self._up.wait()

    # --- the loop ------------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff()
        is_troubled = False
        renewal = self._renewal_interval()
        renew_at = loop.time() + renewal
        try:
            while self._members or self._has_last_words():
                if is_troubled:
                    await asyncio.sleep(backoff.next_delay(random()))
                else:
                    backoff.reset()
                    await self._idle(renew_at - loop.time())
                self._alarm.clear()
                if loop.time() >= renew_at:
                    self._doubt_all()
                    renew_at = loop.time() + renewal
                is_healthy = await self._check()
                is_troubled = not (is_healthy and await self._settle())
                if is_healthy and self.is_down and not is_troubled:
                    self._end_outage()
        finally:
            self._task = None
            _forget(self)
            self._answer(False)
            if self._canary is not None:
                await self._canary.stop(1.0)

    def _has_last_words(self) -> bool:
        """Whether groups are left to leave after the last consumer, within reason."""
        self._lonely_rounds += 1
        return bool(self._discards) and not self.is_down and self._lonely_rounds <= LONELY_ROUNDS

    def _renewal_interval(self) -> float:
        # Well before the layer forgets a member by itself. Its own setting is never lowered:
        # processes without this library would go deaf.
        expiry = getattr(self.layer, "group_expiry", None)
        if isinstance(expiry, int | float) and expiry > 0:
            return min(expiry / 3, MAX_RENEWAL_INTERVAL)
        return MAX_RENEWAL_INTERVAL

    async def _idle(self, until_renewal: float) -> None:
        delay = max(until_renewal, 0.0)
        if self._canary is not None:
            delay = min(delay, self._probe_interval)
        try:
            async with asyncio.timeout(delay):
                await self._alarm.wait()
        except TimeoutError:
            return

    # --- health --------------------------------------------------------------------------------

    async def _check(self) -> bool:
        is_healthy = await self._probe()
        self._answer(is_healthy)
        return is_healthy

    async def _probe(self) -> bool:
        canary = self._canary
        if canary is None:
            return True
        if self.is_down:
            # What came back may be empty, so there is no point in waiting for an old membership.
            health = await canary.probe(self._deadline, join=True)
        else:
            health = await canary.probe(self._deadline)
            if health is not Health.FINE:
                # One dead connection in a pool is no outage, and a flushed broker is none either:
                # the second probe joins again first.
                was_forgotten = health is Health.FORGOTTEN
                health = await canary.probe(self._deadline, join=True)
                if was_forgotten and health is Health.FINE:
                    groups = self._doubt_all()
                    notify(events.LayerMembershipLost(alias=self.alias, groups=groups))
        self._lost_probes = self._lost_probes + 1 if health is Health.FORGOTTEN else 0
        if health is Health.FAILING or self._lost_probes >= LOST_PROBES_FOR_OUTAGE:
            self._begin_outage(canary.error)
        return health is Health.FINE

    def _answer(self, is_healthy: bool) -> None:
        verdict, self._verdict = self._verdict, None
        if verdict is not None and not verdict.done():
            verdict.set_result(is_healthy)

    def _begin_outage(self, error: BaseException | None) -> None:
        if self.is_down:
            return
        self.is_down = True
        self._up.clear()
        self._down_since = asyncio.get_running_loop().time()
        name = type(error).__name__ if error is not None else "no message arrived"
        notify(events.LayerDown(alias=self.alias, error=name, connections=len(self._members)))
        self._down_event = {"type": "layer.down", "alias": self.alias, "error": name}
        self._doubt_all()
        self._tell_members(self._down_event)

    def _end_outage(self) -> None:
        self.is_down = False
        self._up.set()
        downtime = asyncio.get_running_loop().time() - self._down_since
        groups = sum(len(member.groups) for member in self._members)
        notify(events.LayerUp(alias=self.alias, downtime=round(downtime, 3), groups=groups))
        self._tell_members({"type": "layer.up", "alias": self.alias, "downtime": downtime})

    def _tell_members(self, event: Mapping[str, Any]) -> None:
        for member in list(self._members):
            member.layer_event(event)

    # --- membership ----------------------------------------------------------------------------

    def _doubt_all(self) -> int:
        """Take no membership for granted any more; returns how many there are."""
        for member in self._members:
            if member.groups:
                member.unconfirmed |= member.groups
                self._pending[member] = None
        return sum(len(member.groups) for member in self._members)

    async def _settle(self) -> bool:
        """Join and leave what is due; true when nothing is left to do."""
        joins = [
            (member, group, member.channel)
            for member in list(self._pending)
            if member.channel is not None
            for group in list(member.unconfirmed)
        ]
        leaves = list(self._discards)
        if not joins and not leaves:
            return True
        slots = self._slots
        results = await asyncio.gather(
            *(self._join(slots, member, group, channel) for member, group, channel in joins),
            *(self._discard(slots, group, channel) for group, channel in leaves),
        )
        for member in list(self._pending):
            if not member.unconfirmed:
                del self._pending[member]
        failures = [error for error in results if error is not None]
        if failures and not self.is_down:
            name = type(failures[0]).__name__
            notify(events.LayerJoinFailed(alias=self.alias, error=name, groups=len(failures)))
        return not failures

    async def _join(
        self, slots: asyncio.Semaphore, member: Member, group: str, channel: str
    ) -> Exception | None:
        if group not in member.groups or member not in self._members:
            member.unconfirmed.discard(group)
            return None
        error = await self._call(slots, self.layer.group_add, group, channel)
        if error is None:
            member.unconfirmed.discard(group)
            if group not in member.groups or member not in self._members:
                self.discard_later(group, channel)  # it left while we were joining
        return error

    async def _discard(
        self, slots: asyncio.Semaphore, group: str, channel: str
    ) -> Exception | None:
        error = await self._call(slots, self.layer.group_discard, group, channel)
        if error is None:
            self._discards.pop((group, channel), None)
        return error

    async def _call(
        self, slots: asyncio.Semaphore, operation: Any, group: str, channel: str
    ) -> Exception | None:
        try:
            async with slots, asyncio.timeout(self._deadline):
                await operation(group, channel)
        except Exception as error:  # noqa: BLE001  # any failure of the layer, of any class
            return error
        return None


# Loops are not kept alive by this map; a supervisor leaves it when its last member has left.
_supervisors: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, Supervisor]] = (
    WeakKeyDictionary()
)


def get_supervisor(alias: str, layer: Any, policy: LayerPolicy) -> Supervisor:
    """The supervisor of *layer* on the running loop."""
    supervisors = _supervisors.setdefault(asyncio.get_running_loop(), {})
    supervisor = supervisors.get(id(layer))
    if supervisor is None:
        supervisor = supervisors[id(layer)] = Supervisor(alias, layer, policy)
    return supervisor


def _forget(supervisor: Supervisor) -> None:
    supervisors = _supervisors.get(asyncio.get_running_loop(), {})
    if supervisors.get(id(supervisor.layer)) is supervisor:
        del supervisors[id(supervisor.layer)]
