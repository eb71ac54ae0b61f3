"""The hub: one event loop's members of a wrapped layer, behind one membership per group.

A message to a group comes in once per process and is handed out by the directory. An outage meets
one supervisor. What the layer is asked for is asked with a deadline.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .. import compat
from .attempts import attempt
from .control import CONTROL_GROUP, Control, tell_move
from .core_uplink import CoreUplink
from .directory import Directory
from .generic_uplink import GenericUplink
from .joins import Joins
from .shared_receivers import SharedReceivers
from .supervisors import get_supervisor, renewal_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Set

    from ..core.policies import LayerPolicy
    from .directory import Box, Event
    from .supervision import Supervisor
    from .uplink import Uplink

    Leaves = list[tuple[str, str]]

LONGEST_RENEWAL = 3600.0
"""Seconds within which every group is joined again, whatever the layer's own expiry: a broker
that is out of memory may forget one group alone, and nobody notices."""

CLEAR_TIMEOUT = 1.0
"""Seconds that the layer may take to let everybody go; what it does not take is left to expire."""


class Hub:
    """One event loop's use of a wrapped layer.

    Attributes:
        channel: None; each group has a channel of its own.
        keep_stray: What to do with an event for a channel that nobody receives from yet.
        number: What tells this event loop from others that receive, once it does.
        directory: The members, and where their events go.
        unconfirmed: Groups that the layer may not know to be ours.
    """

    channel: None = None

    def __init__(
        self,
        alias: Callable[[], str],
        layer: Any,
        policy: Callable[[], LayerPolicy],
        claim_number: Callable[[], int],
        keep_stray: Callable[[str, Event], None],
    ) -> None:
        self.number: int | None = None
        self._claim_number = claim_number
        self.keep_stray = keep_stray
        self._alias = alias
        self._layer = layer
        self._policy = policy
        self._loop = asyncio.get_running_loop()
        self.directory = Directory(alias)
        is_core = compat.keeps_one_queue(layer)
        self._uplink: Uplink = CoreUplink(layer, self) if is_core else GenericUplink(layer, self)
        self._renewal = renewal_interval(layer, 3, LONGEST_RENEWAL)
        self._supervisor: Supervisor | None = None
        self._retired: Supervisor | None = None  # it may have a few last words
        self._joins = Joins(self, layer, self._uplink)
        self._receivers = SharedReceivers(self, layer)
        self._control = Control(self)
        self.unconfirmed: set[str] = set()

    # --- what supervision asks of a member -----------------------------------------------------

    @property
    def groups(self) -> Set[str]:
        """The groups that somebody here is in."""
        return self.directory.groups.keys()

    def channel_for(self, group: str) -> str | None:
        """The channel that *group* is joined with, once there is one."""
        return self._uplink.channel_for(group)

    def count(self) -> int:
        """How many channels there are here."""
        return len(self.directory.channels)

    def count_groups(self) -> int:
        """How many groups of the project's there are here."""
        return len(self.directory.groups) - (CONTROL_GROUP in self.directory.groups)

    def remember(self, groups: Iterable[str]) -> None:
        """Never called: nobody else knows a channel of ours."""

    def forget(self, group: str) -> None:
        """Never called, likewise."""

    def layer_event(self, event: Mapping[str, Any]) -> None:
        """Pass an event of the supervisor on to whoever wants it."""
        for box in tuple(self.directory.channels.values()):
            tell = getattr(box, "layer_event", None)
            if tell is not None:
                tell(event)

    def restart_receive(self) -> None:
        """Begin to receive anew: what waits now may wait for ever."""
        self._uplink.restart()
        self._receivers.restart()

    # --- what an uplink asks of its hub --------------------------------------------------------

    def get_supervisor(self) -> Supervisor:
        """Who watches the layer on this loop."""
        return get_supervisor(
            self._alias(), self._layer, self._policy(), self._uplink.make_ear,
            renewal=self._renewal,
        )  # fmt: skip

    def channel_named(self, group: str) -> None:
        """The layer has given *group* a channel; late, if nobody waits for it any more."""
        if group in self.unconfirmed and group not in self._joins:
            self.get_supervisor().join_later(self)

    async def deliver(self, group: str, event: Mapping[str, Any]) -> None:
        """A message for *group* has arrived."""
        if self._supervisor is not None:
            self._supervisor.note_arrival()
        await self.directory.fan_out(group, event)

    def claim_number(self) -> int:
        """A number that no other receiving event loop of this process has."""
        if self.number is None:
            self.number = self._claim_number()
        return self.number

    # --- channels ------------------------------------------------------------------------------

    @property
    def is_down(self) -> bool:
        """Whether an outage is known."""
        return self.get_supervisor().is_down

    def owns(self, channel: str) -> bool:
        """Whether *channel* is one of this process."""
        return channel in self.directory.channels or self._uplink.owns(channel)

    async def new_channel(self, patience: float, *args: Any) -> str:
        """A channel name of this process, within *patience* seconds."""
        return await self._uplink.new_channel(patience, *args)

    def register(self, channel: str, box: Box, policy: LayerPolicy | None = None) -> None:
        """Let everything that is sent to *channel* go to *box*.

        Args:
            policy: How its consumer wants the layer to be watched.
        """
        self._enter(policy)
        self.directory.register(channel, box)
        self._uplink.listen(channel)

    def unregister(self, channel: str) -> Leaves:
        """Forget *channel*; returns what is to be left upstream."""
        emptied = self.directory.unregister(channel)
        self._uplink.stop_listening(channel)
        return self._close(emptied)

    async def receive(self, channel: str) -> dict[str, Any]:
        """The next event of a channel that is shared with other processes.

        Raises:
            Exception: What a layer that is well refuses the channel with.
        """
        self._enter()
        return await self._receivers.receive(channel)

    # --- groups --------------------------------------------------------------------------------

    async def join(self, group: str, channel: str, box: Box, limit: float) -> None:
        """Put *channel* into *group*; returns when the layer knows, or at *limit* o'clock.

        What the layer does not take in time, or at all while it is down, is done later.

        Raises:
            Exception: What a layer that is well refuses the group with.
        """
        if self.directory.join(group, channel, box):
            self._open(group)
        if group not in self.unconfirmed:
            return
        supervisor = self.get_supervisor()
        if supervisor.is_down:
            supervisor.join_later(self)
            return
        error = await self._joins.wait(group, limit)
        if error is not None:
            is_last = self.directory.leave(group, channel)
            self.leave_soon(self._close([group] if is_last else []))
            raise error
        if CONTROL_GROUP in self.unconfirmed:
            # The first to join waits until others can take it out again.
            await self._joins.wait(CONTROL_GROUP, limit)

    async def leave(self, group: str, channel: str, limit: float) -> None:
        """Take *channel* out of *group*; what the layer does not take in time is done later."""
        if not self.directory.is_member(group, channel):
            # A process without a hub may have put it there.
            await self.leave_upstream([(group, channel)], limit)
        elif self.directory.leave(group, channel):
            await self.leave_upstream(self._close([group]), limit)

    async def leave_upstream(self, leaves: Leaves, limit: float) -> None:
        """Leave what nobody here is in any more, and end with the last one, before *limit*."""
        leaves = [*leaves, *self._close_if_idle()]
        try:
            if leaves:
                await self.get_supervisor().discard_all(leaves, limit)
        except asyncio.CancelledError:
            self.leave_soon([])
            raise
        supervisor = self._supervisor
        if supervisor is not None and self._is_idle:
            self._retired, self._supervisor = supervisor, None
            await supervisor.leave(self, limit)

    def leave_soon(self, leaves: Leaves) -> None:
        """As :meth:`leave_upstream`, for whoever cannot wait."""
        supervisor = self.get_supervisor()
        for group, channel in (*leaves, *self._close_if_idle()):
            supervisor.discard_later(group, channel)
        if self._supervisor is not None and self._is_idle:
            self._retired, self._supervisor = self._supervisor, None
            self._retired.retire(self)

    def _open(self, group: str) -> None:
        self._enter()
        self.unconfirmed.add(group)
        self._uplink.open(group)

    def _close(self, groups: Iterable[str]) -> Leaves:
        leaves = []
        for group in groups:
            self.unconfirmed.discard(group)
            self._joins.forget(group)
            channel = self._uplink.close(group)
            if channel is not None:
                leaves.append((group, channel))
        return leaves

    # --- sending -------------------------------------------------------------------------------

    async def send(self, channel: str, event: Event, limit: float) -> None:
        """Send to *channel*. In an outage one of this loop gets the event at once."""
        box = self.directory.channels.get(channel)
        if box is not None and self.is_down:
            compat.check_message(self._layer, (event,))
            self.directory.put(box, dict(event))
            return
        await self.call("send", limit, channel, event)

    async def move(self, group: str, channel: str, limit: float, *, is_out: bool) -> None:
        """Put another process's channel into *group*, or take it out."""
        await self.call("group_discard" if is_out else "group_add", limit, group, channel)
        event = tell_move(group, channel, is_out=is_out)
        await self.call("group_send", limit, CONTROL_GROUP, event)

    def deliver_from_anywhere(self, group: str, event: Event) -> None:
        """Give *event* to the members of *group* here, whoever calls."""
        if asyncio._get_running_loop() is self._loop:
            self.directory.deliver(group, event)
        else:
            with suppress(RuntimeError):  # the loop is closed, and nobody is here
                self._loop.call_soon_threadsafe(self.directory.deliver, group, event)

    async def call(self, name: str, limit: float, *args: Any, **kwargs: Any) -> None:
        """Call the layer, until *limit* o'clock."""
        operation = getattr(self._layer, name)
        await attempt(self.get_supervisor(), name, limit, operation, *args, **kwargs)

    # --- life ----------------------------------------------------------------------------------

    @property
    def _is_idle(self) -> bool:
        return not (self.directory.channels or self.count_groups() or self._receivers)

    def _enter(self, policy: LayerPolicy | None = None) -> None:
        """Somebody is here: from now on the layer is watched."""
        if self._supervisor is None:
            self._supervisor = self.get_supervisor()
            self._supervisor.enter(self, self._policy())
        if policy is not None:
            self._supervisor.adapt(policy)
        if not self._control.groups:
            self.directory.join(CONTROL_GROUP, CONTROL_GROUP, self._control)
            self.unconfirmed.add(CONTROL_GROUP)
            self._uplink.open(CONTROL_GROUP)
            self._supervisor.join_later(self)

    def _close_if_idle(self) -> Leaves:
        if self._is_idle and self.directory.leave(CONTROL_GROUP, CONTROL_GROUP):
            return self._close([CONTROL_GROUP])
        return []

    async def clear(self) -> None:
        """Forget all but the channels of live connections, and end what nobody needs then."""
        supervisor = self._supervisor
        leaves = self._close(tuple(self.directory.groups))
        for channel in self.directory.clear():
            self._uplink.stop_listening(channel)
        self._receivers.stop_lingering()
        limit = self._loop.time() + CLEAR_TIMEOUT
        if supervisor is not None:
            await supervisor.discard_all(leaves, limit)
        if not self._is_idle:
            self._enter()
            return
        self._supervisor = None
        for one in {supervisor, self._retired} - {None}:
            await one.leave(self, limit + CLEAR_TIMEOUT, at_once=True)  # type: ignore[union-attr]
        self._retired = None
        await self._uplink.stop()
