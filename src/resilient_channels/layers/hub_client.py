"""One consumer's side of a hub: its channel's events go straight to the consumer's intake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .patience import Consumer, PatientClient

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from ..core.policies import LayerPolicy
    from .directory import Event
    from .hub import Hub
    from .resilient import ResilientChannelLayer

FEW = 8
"""Groups that are kept in a tuple; more are kept in a set."""


class HubClient(PatientClient):
    """One consumer's use of a :class:`ResilientChannelLayer`; the box of its channel.

    Attributes:
        channel: The consumer's channel name, once it has asked for one.
        groups: The groups it is in, or should be.
    """

    __slots__ = ("_capacity", "_hub", "_layer", "channel", "groups", "loop")

    is_idle = False

    def __init__(
        self, layer: ResilientChannelLayer, policy: LayerPolicy, consumer: Consumer
    ) -> None:
        super().__init__(policy, consumer)
        self._layer = layer
        self._hub: Hub | None = None if layer.upstream is None else layer.get_hub()
        self._capacity = 0
        self.loop: asyncio.AbstractEventLoop | None = self._loop
        self.channel: str | None = None
        # A set takes more than most consumers' groups.
        self.groups: tuple[str, ...] | set[str] = ()

    @property
    def is_down(self) -> bool:
        """Whether an outage of the layer is known."""
        return self._hub is not None and self._hub.is_down

    # --- the consumer's channel ----------------------------------------------------------------

    async def new_channel(self, *args: Any, **kwargs: Any) -> str:
        """The consumer's own channel name at the first call, another one after."""
        if self.channel is not None:
            return await self._layer.new_channel(*args, **kwargs)
        if self._hub is None:
            channel = await self._layer.new_channel(*args, **kwargs)
        else:
            started = self._loop.time()
            channel = await self._hub.new_channel(self._patience, *args, *kwargs.values())
            self._patience -= self._loop.time() - started
        self.channel = channel
        self._capacity = self._layer.get_capacity(channel)
        if self._hub is None:
            self._layer.get_directory().register(channel, self)
        else:
            self._hub.register(channel, self, self._policy)
            if self._hub.is_down:
                self.layer_event(self._hub.get_supervisor().outage.event)
        return channel

    async def receive(self, channel: str) -> Any:
        """The next event for the consumer; other channels go straight to the layer."""
        if channel == self.channel:
            return await self.get()
        return await self._layer.receive(channel)

    def joined(self, group: str) -> None:
        """The consumer was put into *group*."""
        if isinstance(self.groups, set):
            self.groups.add(group)
        elif group not in self.groups:
            groups = (*self.groups, group)
            self.groups = groups if len(groups) <= FEW else set(groups)

    def left(self, group: str) -> None:
        """The consumer was taken out of *group*."""
        if isinstance(self.groups, set):
            self.groups.discard(group)
        else:
            self.groups = tuple(other for other in self.groups if other != group)

    # --- what its directory asks of a box ------------------------------------------------------

    def put(self, event: Event) -> bool:
        """Queue an event for the consumer; false if there is no room."""
        return self._consumer.offer_event(event, self._capacity)

    def put_frame(self, text: str, event: Event, key: str | None = None) -> bool:
        """Queue a finished frame, or *event* for a consumer that wants to make its own."""
        return self._consumer.offer_frame(text, event, key, self._capacity)

    async def get(self) -> Event:
        """The next event, for a consumer that asks for it itself."""
        return await self._consumer.next_layer_event()

    def is_unused(self, seconds: float) -> bool:
        """Never: a connection says when it ends."""
        return False

    # --- groups --------------------------------------------------------------------------------

    def remember(self, groups: Iterable[object]) -> None:
        """There is no way into a group but ours."""

    async def group_add(self, group: str, channel: str) -> None:
        """The consumer's own never fails for an outage, and is joined afterwards.

        Raises:
            GroupLimitExceeded: It is in as many groups as it may be.
        """
        if channel == self.channel and not self._is_leaving:
            self._consumer.check_group(group, self.groups)
        if self._hub is None or not self._is_here():
            await self._layer.group_add(group, channel)
        elif channel != self.channel or not self._is_leaving:
            await self._call(lambda limit: self._layer.add(group, channel, limit))

    async def group_discard(self, group: str, channel: str) -> None:
        """The consumer's own never fails for an outage; in the cleanup it is done afterwards."""
        if channel == self.channel and self._is_leaving:
            self._layer.require_valid_group_name(group)
        elif self._hub is None or not self._is_here():
            await self._layer.group_discard(group, channel)
        else:
            await self._call(lambda limit: self._layer.discard(group, channel, limit))

    # --- sending -------------------------------------------------------------------------------

    async def group_send(self, group: str, message: Event) -> None:
        """Retried within ``LAYER.deadline``, then :class:`LayerUnavailable`."""
        if not self._is_here():
            await self._layer.group_send(group, message)
        else:
            await self._call(lambda limit: self._layer.tell_group(group, message, limit))

    async def send(self, channel: str, message: Event) -> None:
        """Retried within ``LAYER.deadline``, then :class:`LayerUnavailable`."""
        if not self._is_here():
            await self._layer.send(channel, message)
        else:
            await self._call(lambda limit: self._layer.tell(channel, message, limit))

    # --- the consumer's life -------------------------------------------------------------------

    async def leave_groups(self) -> None:
        """Leave every group that is left; what the layer does not take in time is done later."""
        try:
            if self.channel is None:
                return
            if self._hub is None:
                self._layer.get_directory().unregister(self.channel)
            else:
                leaves = self._hub.unregister(self.channel)
                await self._hub.leave_upstream(leaves, self._leave_by)
        finally:
            self._is_gone = True
