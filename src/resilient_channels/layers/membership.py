"""Who is in which group, as far as this process knows, and how to make the layer agree."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from ..turns import is_being_cancelled, pass_cancellation_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set

CONCURRENCY = 20
"""Joins and leaves under way at once. More would only meet the limit of a connection pool."""

HOPELESS_ROUNDS = 8
"""How often a join or leave is tried on a layer whose probe succeeds, before it is given up."""

HOPELESS_AFTER = 20.0
"""Seconds that it is tried at the least: what lasts a moment is no refusal."""

MAX_LEAVES = 10_000
"""How many groups may wait to be left. Beyond, the layer's own expiry has to do."""


class Member(Protocol):
    """Somebody who is in groups: a consumer, or a hub for all of its own.

    Attributes:
        channel: Its channel, once it has one; a hub has one per group, and none of its own.
        unconfirmed: Those of its groups that the layer may not know of.
    """

    unconfirmed: set[str]

    @property
    def channel(self) -> str | None: ...

    @property
    def groups(self) -> Set[str]:
        """The groups it is in, or should be."""

    def remember(self, groups: Iterable[str]) -> None:
        """Its channel was put into groups by somebody else."""

    def forget(self, group: str) -> None:
        """Its channel was taken out of a group by somebody else."""

    def channel_for(self, group: str) -> str | None:
        """The channel that it is in *group* with, once there is one."""

    def count(self) -> int:
        """How many channels it stands for."""

    def count_groups(self) -> int:
        """How many groups of the project's it is in."""

    def layer_event(self, event: Mapping[str, Any]) -> None:
        """Take an event of ours, such as ``layer.down``."""

    def restart_receive(self) -> None:
        """Begin to receive anew: what waits now may wait for ever."""


class Membership:
    """The members of one layer on one loop. Its length is their number."""

    def __init__(self, layer: Any, deadline: float) -> None:
        self._layer = layer
        self._deadline = deadline
        self._members: dict[Member, None] = {}
        self._pending: dict[Member, None] = {}
        self._leaves: dict[tuple[str, str], None] = {}
        # Many consumers leave at once, after a deploy or behind a proxy that restarts. They
        # share a few slots, because a pool of connections has an end.
        self.slots = asyncio.Semaphore(CONCURRENCY)
        self._rounds = 0
        self._failing_since = 0.0
        self._sweep = self._walk()
        self._owed = 0.0

    def __len__(self) -> int:
        return len(self._members)

    @property
    def has_leaves(self) -> bool:
        """Whether groups are waiting to be left."""
        return bool(self._leaves)

    def members(self) -> list[Member]:
        """All of them."""
        return list(self._members)

    def count_connections(self) -> int:
        """How many connections the members stand for."""
        return sum(member.count() for member in self._members)

    def count_groups(self) -> int:
        """How many memberships there are, but for our own."""
        return sum(member.count_groups() for member in self._members)

    def take_leaves(self) -> dict[tuple[str, str], None]:
        """Hand over the groups that are still to be left."""
        leaves, self._leaves = self._leaves, {}
        return leaves

    def adopt_leaves(self, leaves: Mapping[tuple[str, str], None]) -> None:
        """Take over what an earlier supervisor could not leave."""
        self._leaves.update(leaves)

    def enter(self, member: Member) -> None:
        """Add a member."""
        self._members[member] = None

    def leave(self, member: Member) -> None:
        """Remove a member."""
        self._members.pop(member, None)
        self._pending.pop(member, None)

    def join_later(self, member: Member) -> None:
        """Join a member's unconfirmed groups at the next :meth:`settle`."""
        self._pending[member] = None

    def discard_later(self, group: str, channel: str) -> None:
        """Leave a group at the next :meth:`settle`."""
        if len(self._leaves) < MAX_LEAVES:
            self._leaves[group, channel] = None

    def keep(self, group: str, channel: str) -> None:
        """Do not leave a group after all."""
        self._leaves.pop((group, channel), None)

    def find(self, channel: str) -> Member | None:
        """The member with that channel, if it is one of this process."""
        return next((member for member in self._members if member.channel == channel), None)

    def doubt_all(self) -> int:
        """Take no membership for granted any more; returns how many there are."""
        for member in self._members:
            if member.groups:
                member.unconfirmed |= member.groups
                self._pending[member] = None
        return self.count_groups()

    def doubt_some(self, share: float) -> None:
        """Doubt the next *share* of all memberships; in turn, so that each is doubted alike."""
        self._owed += sum(len(member.groups) for member in self._members) * min(share, 1.0)
        while self._owed >= 1.0:
            self._owed -= 1.0
            member, group = self._next_in_turn()
            if member is not None:
                member.unconfirmed.add(group)
                self._pending[member] = None

    def _next_in_turn(self) -> tuple[Member | None, str]:
        """The next membership of this round, or the first of the next one; those that ended
        meanwhile take nobody's turn."""
        for _ in range(2):
            for member, group in self._sweep:
                if group in member.groups and member in self._members:
                    return member, group
            self._sweep = self._walk()
        return None, ""

    def _walk(self) -> Iterator[tuple[Member, str]]:
        for member in self.members():
            for group in tuple(member.groups):
                yield member, group

    async def settle(self) -> list[BaseException]:
        """Join and leave what is due; returns what went wrong, to be tried again."""
        # Leaves first: a group that is joined again meanwhile has to end up joined.
        leaves = list(self._leaves)
        results = await asyncio.gather(*(self._discard(*leave) for leave in leaves))
        self._doubt_rejoined(leaves)
        joins = [
            (member, group, channel)
            for member in list(self._pending)
            for group in list(member.unconfirmed)
            if (channel := member.channel_for(group)) is not None
        ]
        results += await asyncio.gather(*(self._join(*join) for join in joins))
        for member in list(self._pending):
            if not member.unconfirmed:
                del self._pending[member]
        if not self._pending and not self._leaves:
            self._rounds = 0
        return [error for error in results if error is not None]

    def give_up_hopeless(self) -> int:
        """To be called when something failed though the layer is well; returns how many it drops.

        What fails again and again on a layer that works is refused, not delayed.
        """
        now = asyncio.get_running_loop().time()
        if not self._rounds:
            self._failing_since = now
        self._rounds += 1
        if self._rounds < HOPELESS_ROUNDS or now - self._failing_since < HOPELESS_AFTER:
            return 0
        count = len(self._leaves) + sum(len(member.unconfirmed) for member in self._pending)
        self._leaves.clear()
        for member in self._pending:
            member.unconfirmed.clear()
        self._pending.clear()
        self._rounds = 0
        return count

    def _doubt_rejoined(self, leaves: list[tuple[str, str]]) -> None:
        """Which of our leaves and a member's own join came first, nobody knows."""
        if not leaves:
            return
        members = {member.channel: member for member in self._members}
        for group, channel in leaves:
            member = members.get(channel)
            if member is not None and group in member.groups:
                member.unconfirmed.add(group)
                self._pending[member] = None

    async def discard_now(
        self, leaves: Iterable[tuple[str, str]], limit: float
    ) -> set[tuple[str, str]]:
        """Leave groups, each given with its channel, before *limit*; returns what was not left."""
        left = set(leaves)

        async def discard(leave: tuple[str, str]) -> None:
            if await self._discard(*leave) is None:
                left.discard(leave)

        try:
            async with asyncio.timeout_at(limit):
                await asyncio.gather(*(discard(leave) for leave in tuple(left)))
        except TimeoutError:
            pass
        return left

    async def _join(self, member: Member, group: str, channel: str) -> BaseException | None:
        if not self._is_wanted(member, group, channel):
            if group not in member.groups:
                member.unconfirmed.discard(group)
            return None
        try:
            error = await self._call(self._layer.group_add, group, channel)
        except asyncio.CancelledError:
            if not self._is_wanted(member, group, channel):
                self.discard_later(group, channel)  # the layer may have taken it
            raise
        if error is None:
            if self._is_wanted(member, group, channel):
                member.unconfirmed.discard(group)
            else:
                self.discard_later(group, channel)  # it left while we were joining
        return error

    def _is_wanted(self, member: Member, group: str, channel: str) -> bool:
        return (
            group in member.groups
            and member.channel_for(group) == channel
            and member in self._members
        )

    async def _discard(self, group: str, channel: str) -> BaseException | None:
        error = await self._call(self._layer.group_discard, group, channel)
        if error is None:
            self._leaves.pop((group, channel), None)
        return error

    async def _call(self, operation: Any, group: str, channel: str) -> BaseException | None:
        cause: BaseException | None = None
        try:
            async with self.slots, asyncio.timeout(self._deadline):
                for _ in range(2):  # the first failure may be one stale connection of a pool
                    try:
                        await operation(group, channel)
                    except Exception as error:  # noqa: BLE001  # of the layer, of any class
                        pass_cancellation_on(error)
                        cause = error
                    else:
                        return None
        except TimeoutError as error:
            return error
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            return error  # the layer's own
        return cause


# Groups that could not be left because the layer was down when the last consumer ended. They are
# left when it is back and somebody uses it again.
_orphans: WeakKeyDictionary[Any, dict[tuple[str, str], None]] = WeakKeyDictionary()


def keep_orphans(layer: Any, leaves: dict[tuple[str, str], None]) -> None:
    """Remember what is still to be left on *layer*."""
    if leaves and len(_orphans.get(layer, ())) < MAX_LEAVES:
        _orphans.setdefault(layer, {}).update(leaves)


def take_orphans(layer: Any) -> dict[tuple[str, str], None]:
    """Hand over what is still to be left on *layer*."""
    return _orphans.pop(layer, {})
