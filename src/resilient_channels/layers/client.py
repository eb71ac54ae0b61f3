"""One consumer's calls to its channel layer: remembered, bounded, retried.

Which groups the consumer is in is remembered, so that they can be joined again; calls get a
deadline; and a dead layer is kept out of the handshake and out of the cleanup.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from ..exceptions import LayerUnavailable
from .attempts import attempt
from .naming import Naming
from .patience import Consumer, PatientClient
from .reading import read
from .supervisors import get_supervisor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

    from ..core.policies import LayerPolicy


class Events(Protocol):
    """Where the events of the layer go."""

    async def wait_for_layer_room(self) -> None: ...
    def put_event(self, event: Mapping[str, Any], /) -> None: ...


class LayerClient(PatientClient):
    """One consumer's use of a channel layer that is not a hub.

    Attributes:
        channel: The consumer's channel name, once the layer has given one.
        groups: The groups it is in, or should be.
    """

    __slots__ = ("_layer", "_naming", "_provisional", "_supervisor", "_unconfirmed", "groups")

    def __init__(self, alias: str, layer: Any, policy: LayerPolicy, consumer: Consumer) -> None:
        super().__init__(policy, consumer)
        self._layer = layer
        self._supervisor = get_supervisor(alias, layer, policy)
        self._naming = Naming(layer, self._supervisor)
        self._provisional: str | None = None
        self.groups: set[str] = set()
        self._unconfirmed: set[str] | None = None  # mostly empty
        self._supervisor.enter(self, policy)

    @property
    def is_down(self) -> bool:
        """Whether an outage of the layer is known."""
        return self._supervisor.is_down

    @property
    def channel(self) -> str | None:
        """The consumer's channel name, once the layer has given one."""
        return self._naming.channel

    @property
    def unconfirmed(self) -> set[str]:
        """Those of the groups that the layer may not know of."""
        if self._unconfirmed is None:
            self._unconfirmed = set()
        return self._unconfirmed

    @unconfirmed.setter
    def unconfirmed(self, groups: set[str]) -> None:
        self._unconfirmed = groups

    def channel_for(self, group: str) -> str | None:
        """The same for every group."""
        return self._naming.channel

    def count(self) -> int:
        """One connection."""
        return 1

    def count_groups(self) -> int:
        """How many groups it is in."""
        return len(self.groups)

    # --- the consumer's channel ----------------------------------------------------------------

    async def new_channel(self, *args: Any, **kwargs: Any) -> str:
        """The consumer's own channel name at the first call, a new one from the layer after.

        While the layer cannot give one, the consumer gets a provisional name; its
        ``channel_name`` becomes the real one when the layer is back.
        """
        if self._naming.has_begun:
            return str(await self._layer.new_channel(*args, **kwargs))
        started = self._loop.time()
        channel = await self._naming.try_for(self._patience, *args, **kwargs)
        self._patience -= self._loop.time() - started
        self._consumer.start_layer_reader()
        if channel is None:
            channel = self._provisional = f"specific.pending!{uuid4().hex}"
        return channel

    def _is_own(self, channel: str) -> bool:
        return channel in (self.channel, self._provisional)

    async def receive(self, channel: str) -> Any:
        """The next event for the consumer; other channels go straight to the layer."""
        if self._is_own(channel):
            return await self._consumer.next_layer_event()
        return await self._layer.receive(channel)

    def read_supervised(self, events: Events) -> Coroutine[Any, Any, None]:
        """Read events until the consumer leaves, however often the layer fails meanwhile."""

        def put(event: Mapping[str, Any]) -> None:
            self._supervisor.note_arrival()
            events.put_event(event)

        return read(
            self._receive_one,
            put,
            watch=self._supervisor,
            until=lambda: self._is_leaving,
            room=events.wait_for_layer_room,
        )

    async def _receive_one(self) -> Any:
        channel = self._naming.channel
        if channel is None:
            channel = await self._naming.get()
            self._consumer.channel_named(channel)
            if self.unconfirmed:
                self._supervisor.join_later(self)
        return await self._layer.receive(channel)

    def restart_receive(self) -> None:
        """Begin to receive anew: what waits now may wait for ever."""
        self._consumer.restart_layer_reader()

    # --- groups --------------------------------------------------------------------------------

    async def group_add(self, group: str, channel: str) -> None:
        """The consumer's own is remembered, never fails for an outage, and is joined afterwards.

        Raises:
            GroupLimitExceeded: It is in as many groups as it may be.
        """
        operation = self._layer.group_add
        if self._is_own(channel) and not self._is_leaving:
            self._consumer.check_group(group, self.groups)
        if not self._is_here():
            await operation(group, channel)
            if self._is_own(channel):
                self.groups.add(group)
        elif not self._is_own(channel):
            await self._call_layer("group_add", operation, group, channel)
            self._supervisor.remember(group, channel)
        elif not self._is_leaving:
            await self._join(operation, group)

    async def _join(self, operation: Any, group: str) -> None:
        self._check_group_name(group)
        self.groups.add(group)
        self.unconfirmed.add(group)
        if self.channel is not None:
            self._supervisor.keep(group, self.channel)
        if self.channel is None or self._supervisor.is_down:
            self._supervisor.join_later(self)
            return
        try:
            await self._attempt(self._calling("group_add", operation, group, self.channel))
        except LayerUnavailable:
            self._supervisor.join_later(self)
        except Exception:  # not a cancellation: the layer may have taken it, and it has to be left
            self.groups.discard(group)
            self.unconfirmed.discard(group)
            raise
        else:
            self._confirm(group)

    def _confirm(self, group: str) -> None:
        self.unconfirmed.discard(group)
        if not self._unconfirmed:
            self._unconfirmed = None

    async def group_discard(self, group: str, channel: str) -> None:
        """The consumer's own never fails for an outage; in the cleanup it is done afterwards."""
        operation = self._layer.group_discard
        if not self._is_here():
            self.groups.discard(group)
            await operation(group, channel)
        elif not self._is_own(channel):
            self._supervisor.forget(group, channel)
            await self._call_layer("group_discard", operation, group, channel)
        elif self._is_leaving:
            self._check_group_name(group)
            self.groups.add(group)  # it may have been joined behind our back
        else:
            await self._leave_group(operation, group)

    async def _leave_group(self, operation: Any, group: str) -> None:
        self.groups.discard(group)
        self.unconfirmed.discard(group)
        if self.channel is None:
            return
        if self._supervisor.is_down:
            self._supervisor.discard_later(group, self.channel)
            return
        try:
            await self._attempt(self._calling("group_discard", operation, group, self.channel))
        except LayerUnavailable:
            self._supervisor.discard_later(group, self.channel)
        except asyncio.CancelledError:  # nobody else knows that it was to be left
            self._supervisor.discard_later(group, self.channel)
            raise

    def _check_group_name(self, group: str) -> None:
        """Raise what the layer raises for a name that it refuses, where it tells beforehand."""
        check = getattr(self._layer, "require_valid_group_name", None)
        if check is not None:
            check(group)

    def remember(self, groups: Iterable[object]) -> None:
        """Take note of groups that the consumer has joined without us."""
        self.groups.update(group for group in groups if isinstance(group, str))

    def forget(self, group: str) -> None:
        """Another consumer took this one out of a group."""
        self.groups.discard(group)
        self.unconfirmed.discard(group)

    # --- sending -------------------------------------------------------------------------------

    async def group_send(self, group: str, message: Mapping[str, Any]) -> None:
        """Retried within ``LAYER.deadline``, then :class:`LayerUnavailable`."""
        await self._call_layer("group_send", self._layer.group_send, group, message)

    async def send(self, channel: str, message: Mapping[str, Any]) -> None:
        """Retried within ``LAYER.deadline``, then :class:`LayerUnavailable`."""
        if channel == self._provisional and self.channel is not None:
            channel = self.channel
        await self._call_layer("send", self._layer.send, channel, message)

    async def _call_layer(self, name: str, operation: Any, *args: Any) -> None:
        if self._is_here():
            await self._call(self._calling(name, operation, *args))
        else:
            await operation(*args)

    def _calling(self, name: str, operation: Any, *args: Any) -> Callable[[float], Awaitable[None]]:
        return lambda limit: attempt(self._supervisor, name, limit, operation, *args)

    # --- the consumer's life -------------------------------------------------------------------

    async def leave_groups(self) -> None:
        """Leave every group that is left; what the layer does not take in time is done later."""
        self._naming.stop()
        groups, self.groups = self.groups, set()
        channel = self._naming.channel
        try:
            if channel is not None:
                leaves = [(group, channel) for group in groups]
                await self._supervisor.discard_all(leaves, self._leave_by)
        finally:
            await self._supervisor.leave(self, self._leave_by)
            self._is_gone = True
