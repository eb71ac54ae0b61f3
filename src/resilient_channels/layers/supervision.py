"""One supervisor per channel layer and event loop: notices outages, restores membership.

Consumers do not retry on their own. Whoever meets a failure reports it here; one probe decides
whether it was the layer or the caller, one loop waits for the layer's return, and every
membership is joined again until it holds.
"""

from __future__ import annotations

import asyncio
from random import random
from typing import TYPE_CHECKING, Any

from .. import compat
from ..core import events
from ..core.backoff import Backoff
from ..observers import notify
from .canary import Canary, Ear, Health, OwnEar
from .membership import Member, Membership, keep_orphans, take_orphans
from .outage import Outage
from .reading import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..core.policies import LayerPolicy

STEPS = 16
"""A renewal takes at least as many steps."""

LOST_PROBES_FOR_OUTAGE = 3
"""A full queue loses probes too. Only a layer that loses several in a row is out of order."""

LONELY_ROUNDS = 20
"""How often a discard that fails is tried again after the last consumer has left."""

LAST_WORDS = 1.0
"""Seconds that each of the last calls may take."""

STALL_SECONDS = 1.0
"""A probe that fails this late met a layer that hangs; asking it again would take as long."""


class Supervisor:
    """Watches one layer for all consumers of a loop.

    Attributes:
        membership: Who is in which group.
        outage: Whether the layer is out of order.
        attempts: How many calls to it are under way.
    """

    def __init__(
        self,
        alias: str,
        layer: Any,
        policy: LayerPolicy,
        ear: Ear | None,
        *,
        renewal: float,
        on_end: Callable[[Supervisor], None],
    ) -> None:
        self.alias = alias
        self.layer = layer
        self.deadline = policy.deadline
        self.pending = policy.pending
        self._probe_interval = policy.probe
        self.membership = Membership(layer, policy.deadline)
        self.membership.adopt_leaves(take_orphans(layer))
        self.outage = Outage(alias, self.membership)
        can_fail = not compat.is_in_process(layer) and compat.has_groups(layer)
        self._canary = Canary(layer, ear or OwnEar(layer)) if can_fail else None
        self._task: asyncio.Task[None] | None = None
        self._alarm = asyncio.Event()
        self._verdict: asyncio.Future[bool] | None = None
        self._lost_probes = 0
        self.attempts = 0
        self._lonely_rounds = 0
        self._arrivals = 0
        self._must_rejoin = False
        self._renewal = renewal
        self._on_end = on_end
        self._renewed_at = self._canary_renewed_at = 0.0

    @property
    def is_down(self) -> bool:
        """Whether an outage is known."""
        return self.outage.is_going_on

    @property
    def is_watching(self) -> bool:
        """Whether anybody uses the layer here, but for sending."""
        return self._task is not None and not self._task.done()

    # --- for members ---------------------------------------------------------------------------

    def enter(self, member: Member, policy: LayerPolicy) -> None:
        """A member begins to use the layer."""
        self.membership.enter(member)
        self._lonely_rounds = 0
        self.adapt(policy)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="resilient_channels.supervisor")
        if self.is_down:
            member.layer_event(self.outage.event)

    def adapt(self, policy: LayerPolicy) -> None:
        """Probe as often as the one who wants it most often."""
        self._probe_interval = min(self._probe_interval, policy.probe)

    async def leave(self, member: Member, limit: float, *, at_once: bool = False) -> None:
        """A consumer ended. With the last one the supervisor ends, before *limit* if it can.

        With *at_once*, groups that are still to be left get a last call, and no more.
        """
        self.membership.leave(member)
        task = self._task
        if self.membership or task is None:
            return
        if self.membership.has_leaves and not self.is_down and not at_once:
            self._alarm.set()  # the loop has a few last words
            return
        self._on_end(self)
        task.cancel()
        remaining = limit - asyncio.get_running_loop().time()
        await asyncio.wait({task}, timeout=max(remaining, 0))

    def retire(self, member: Member) -> None:
        """As :meth:`leave`, for whoever cannot wait."""
        self.membership.leave(member)
        self._alarm.set()

    def join_later(self, member: Member) -> None:
        """Join a member's unconfirmed groups as soon as the layer lets us."""
        self.membership.join_later(member)
        self._alarm.set()

    def keep(self, group: str, channel: str) -> None:
        """Do not leave a group after all."""
        self.membership.keep(group, channel)

    def remember(self, group: str, channel: str) -> None:
        """Somebody added a channel to a group; if it is a member's, it will stay there."""
        member = self.membership.find(channel)
        if member is not None:
            member.remember([group])

    def forget(self, group: str, channel: str) -> None:
        """Somebody takes a channel out of a group; if it is a member's, it will stay out."""
        member = self.membership.find(channel)
        if member is not None:
            member.forget(group)

    def discard_later(self, group: str, channel: str) -> None:
        """Leave a group as soon as the layer lets us."""
        self.membership.discard_later(group, channel)
        self._alarm.set()

    async def discard_all(self, leaves: Iterable[tuple[str, str]], limit: float) -> None:
        """Leave groups, each given with its channel, before *limit* (on the loop's clock).

        Later, if the layer is down.
        """
        left = set(leaves)
        try:
            if left and not self.is_down:
                left = await self.membership.discard_now(left, limit)
        finally:  # cancelled, too: nobody else knows what was to be left
            for group, channel in left:
                self.discard_later(group, channel)

    def alarm(self) -> None:
        """Look at the layer now, not at the next interval."""
        self._alarm.set()

    def note_arrival(self) -> None:
        """A consumer got something from the layer."""
        self._arrivals += 1

    async def is_answering(self) -> bool:
        """Whether a probe succeeds right now. One probe serves all who ask meanwhile."""
        if self._canary is None:
            return True
        if self._task is None:
            return await self._takes_messages(self._canary)
        if self._verdict is None:
            self._verdict = asyncio.get_running_loop().create_future()
        self._alarm.set()
        return await asyncio.shield(self._verdict)

    async def _takes_messages(self, canary: Canary) -> bool:
        """As much as can be known where nobody receives."""
        try:
            async with asyncio.timeout(self.deadline):
                await canary.speak()
        except Exception:  # noqa: BLE001  # any failure of the layer, of any class
            return False
        return True

    async def wait_until_up(self) -> None:
        """Return when no outage is known."""
        await self.outage.wait_until_over()

    # --- the loop ------------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff()
        # The canary should be in its place before anything can be lost.
        is_troubled = self._canary is not None
        self._renewed_at = self._canary_renewed_at = loop.time()
        try:
            while self.membership or self._has_last_words():
                if is_troubled:
                    await asyncio.sleep(backoff.next_delay(random()))
                else:
                    backoff.reset()
                    await wait_for(self._alarm, self._idle_time())
                self._alarm.clear()
                if not self.membership and not self.membership.has_leaves:
                    break
                self._renew(loop.time())
                is_healthy = await self._probe()
                self._answer(is_healthy)
                is_troubled = not (is_healthy and await self._settle())
                if is_healthy and self.is_down:
                    self.outage.end()  # a group that is refused keeps nobody else waiting
        finally:
            self._on_end(self)
            self._answer(False)
            orphans = self.membership.take_leaves()
            if orphans and not self.is_down:
                # What was cut off in the middle: the layer may have taken it.
                left = await self.membership.discard_now(orphans, loop.time() + LAST_WORDS)
                orphans = {leave: None for leave in orphans if leave in left}
            if self._canary is not None:
                orphans |= await self._canary.stop(LAST_WORDS)
            keep_orphans(self.layer, orphans)

    def _has_last_words(self) -> bool:
        """Whether groups are left to leave after the last consumer, within reason."""
        self._lonely_rounds += 1
        has_leaves = self.membership.has_leaves and not self.is_down
        return has_leaves and self._lonely_rounds <= LONELY_ROUNDS

    def _idle_time(self) -> float:
        if self._canary is None:
            return self._renewal / STEPS
        return min(self._probe_interval, self._renewal / STEPS)

    def _renew(self, now: float) -> None:
        """Join again what is due, a few groups at a time: the broker never has a busy minute.

        In time before the layer forgets a member by itself. The layer's own setting is never
        lowered: processes without this library would go deaf.
        """
        self.membership.doubt_some((now - self._renewed_at) / self._renewal)
        self._renewed_at = now
        if now - self._canary_renewed_at >= self._renewal:
            self._canary_renewed_at = now
            self._must_rejoin = True

    # --- health --------------------------------------------------------------------------------

    async def _probe(self) -> bool:
        canary = self._canary
        if canary is None:
            return True
        arrivals = self._arrivals
        has_failed_so_far = canary.error is not None and not canary.is_placed
        if self.is_down or self._must_rejoin:
            # What came back may be empty, so there is no point in waiting for an old membership.
            health = await canary.probe(self.deadline, join=True)
            self._must_rejoin = False
        else:
            health = await self._probe_carefully(canary)
        if health is Health.FORGOTTEN and not self.is_down and self._arrivals != arrivals:
            # Others hear something: the probe was one message too many for a full queue.
            health = Health.FINE
        was_lost = self._lost_probes > 0
        self._lost_probes = self._lost_probes + 1 if health is Health.FORGOTTEN else 0
        if self._lost_probes:
            # The layer takes messages and none arrives: whoever receives hangs on a connection
            # that is dead, and would do so for ever.
            canary.restart()
            await self._restart_members()
        elif health is Health.FINE and (was_lost or has_failed_so_far):
            # The canary has begun, or begun anew. Others may have done so too early, and hang.
            await self._restart_members()
        if health is Health.FAILING or self._lost_probes >= LOST_PROBES_FOR_OUTAGE:
            self.outage.begin(canary.error)
        return health is Health.FINE

    async def _restart_members(self) -> None:
        await compat.drop_silent_links(self.layer)
        for member in self.membership.members():
            member.restart_receive()

    async def _probe_carefully(self, canary: Canary) -> Health:
        """Probe, and look twice before calling it an outage."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        if not canary.is_placed:
            # What was joined before the canary could be lost without its notice.
            self.membership.doubt_all()
        health = await canary.probe(self.deadline)
        if health is Health.FAILING and loop.time() - started < STALL_SECONDS:
            health = await canary.probe(self.deadline)  # it was one dead connection in a pool
        if health is Health.FORGOTTEN:
            health = await canary.probe(self.deadline, join=True)
            if health is Health.FINE:
                groups = self.membership.doubt_all()
                notify(events.LayerMembershipLost(alias=self.alias, groups=groups))
        return health

    def _answer(self, is_healthy: bool) -> None:
        verdict, self._verdict = self._verdict, None
        if verdict is not None and not verdict.done():
            verdict.set_result(is_healthy)

    async def _settle(self) -> bool:
        """Join and leave what is due; true when nothing is left to do."""
        failures = await self.membership.settle()
        if failures and not self.is_down:
            given_up = self.membership.give_up_hopeless()
            if given_up:
                name = type(failures[0]).__name__
                notify(events.LayerJoinFailed(alias=self.alias, error=name, groups=given_up))
        return not failures
