"""One consumer's calls to its channel layer: remembered, bounded, retried.

Which groups the consumer is in is remembered, so that they can be joined again; calls get a
deadline; and a dead layer is kept out of the handshake and out of the cleanup.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from ..core.backoff import Backoff
from ..exceptions import LayerUnavailable
from .attempts import attempt
from .supervision import get_supervisor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..core.policies import LayerPolicy

HANDSHAKE_PATIENCE = 0.9
"""Seconds that a slow layer may delay a handshake, in all."""


class Consumer(Protocol):
    """What the client needs from the consumer's driver."""

    def layer_event(self, event: Mapping[str, Any]) -> None: ...
    def start_layer_reader(self) -> None: ...
    def restart_layer_reader(self) -> None: ...
    async def next_layer_event(self) -> Mapping[str, Any]: ...
    def channel_named(self, channel: str) -> None: ...


class Events(Protocol):
    """Where the events of the layer go."""

    async def wait_for_layer_room(self) -> None: ...
    def put_event(self, event: Mapping[str, Any], /) -> None: ...


class LayerClient:
    """One consumer's use of its channel layer.

    Attributes:
        channel: The consumer's channel name, once the layer has given one.
        groups: The groups it is in, or should be.
    """

    __slots__ = (
        "_alias", "_consumer", "_is_gone", "_is_handshaking", "_is_leaving", "_layer", "_leave_by",
        "_loop", "_naming", "_patience", "_policy", "_provisional", "_supervisor", "_unconfirmed",
        "channel", "groups",
    )  # fmt: skip

    def __init__(self, alias: str, layer: Any, policy: LayerPolicy, consumer: Consumer) -> None:
        self._alias = alias
        self._layer = layer
        self._policy = policy
        self._consumer = consumer
        self._loop = asyncio.get_running_loop()
        self._supervisor = get_supervisor(alias, layer, policy)
        self._naming: asyncio.Task[str] | None = None
        self._provisional: str | None = None
        self._patience = HANDSHAKE_PATIENCE
        self._is_handshaking = True
        self._is_leaving = False
        self._leave_by = 0.0
        self._is_gone = False  # whoever still calls now is no part of the cleanup
        self.channel: str | None = None
        self.groups: set[str] = set()
        self._unconfirmed: set[str] | None = None  # mostly empty
        self._supervisor.enter(self, policy)

    @property
    def unconfirmed(self) -> set[str]:
        """Those of the groups that the layer may not know of."""
        if self._unconfirmed is None:
            self._unconfirmed = set()
        return self._unconfirmed

    @unconfirmed.setter
    def unconfirmed(self, groups: set[str]) -> None:
        self._unconfirmed = groups

    @property
    def is_down(self) -> bool:
        """Whether an outage of the layer is known."""
        return self._supervisor.is_down

    # --- the consumer's channel ----------------------------------------------------------------

    async def new_channel(self, *args: Any, **kwargs: Any) -> str:
        """The consumer's own channel name at the first call, a new one from the layer after.

        While the layer cannot give one, the consumer gets a provisional name; its
        ``channel_name`` becomes the real one when the layer is back.
        """
        if self._naming is not None or self.channel is not None:
            return str(await self._layer.new_channel(*args, **kwargs))
        naming = self._start_naming(*args, **kwargs)
        started = self._loop.time()
        await asyncio.wait({naming}, timeout=self._patience)
        self._patience -= self._loop.time() - started
        self._consumer.start_layer_reader()
        if naming.done() and naming.exception() is None:
            self._naming = None
            self.channel = naming.result()
            return self.channel
        self._provisional = f"specific.pending!{uuid4().hex}"
        return self._provisional

    def _start_naming(self, *args: Any, **kwargs: Any) -> asyncio.Task[str]:
        self._naming = asyncio.ensure_future(self._layer.new_channel(*args, **kwargs))
        # A failure is looked at when the name is needed, which may be never.
        self._naming.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._naming

    def _is_own(self, channel: str) -> bool:
        return channel in (self.channel, self._provisional)

    async def receive(self, channel: str) -> Any:
        """The next event for the consumer; other channels go straight to the layer."""
        if self._is_own(channel):
            return await self._consumer.next_layer_event()
        return await self._layer.receive(channel)

    async def read_supervised(self, events: Events) -> None:
        """Read events until the consumer leaves, however often the layer fails meanwhile.

        Never under a time limit: some layers take the cancellation of ``receive`` for goodbye.
        """
        backoff = Backoff()
        failures = 0
        while not self._is_leaving:
            await events.wait_for_layer_room()
            started = self._loop.time()
            try:
                channel = self.channel or await self._get_late_name()
                event = await self._layer.receive(channel)
            except Exception:  # noqa: BLE001  # any failure of the layer, of any class
                if self._loop.time() - started > 1.0:
                    failures = 0
                    backoff.reset()
                # An idle layer may fail for no reason (a client's read timeout), so the first
                # failure is only a reason to look. The pause keeps a layer whose probe succeeds
                # and whose receive does not from spinning.
                await self._supervisor.is_answering()
                await self._supervisor.wait_until_up()
                if failures:
                    await asyncio.sleep(backoff.next_delay(1.0))
                failures += 1
            else:
                failures = 0
                backoff.reset()
                self._supervisor.note_arrival()
                events.put_event(event)

    async def _get_late_name(self) -> str:
        naming = self._naming
        if naming is None or (naming.done() and naming.exception() is not None):
            await self._supervisor.wait_until_up()
            naming = self._start_naming()
        await asyncio.wait({naming}, timeout=self._policy.deadline)
        if not naming.done():
            # It may hang on a connection that is dead by now, so the next attempt is a new one.
            naming.cancel()
            self._naming = None
            raise LayerUnavailable(self._alias, "new_channel", self._policy.deadline)
        self.channel = naming.result()
        self._consumer.channel_named(self.channel)
        if self.unconfirmed:
            self._supervisor.join_later(self)
        return self.channel

    def restart_receive(self) -> None:
        """Begin to receive anew: what waits now may wait for ever."""
        self._consumer.restart_layer_reader()

    # --- groups --------------------------------------------------------------------------------

    async def group_add(self, group: str, channel: str) -> None:
        """The consumer's own is remembered, never fails for an outage, and is joined afterwards."""
        operation = self._layer.group_add
        if not self._is_here():
            await operation(group, channel)
            if self._is_own(channel):
                self.groups.add(group)
        elif not self._is_own(channel):
            await self._call("group_add", operation, group, channel)
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
            await self._attempt(operation, group, self.channel)
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
            await self._call("group_discard", operation, group, channel)
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
            await self._attempt(operation, group, self.channel)
        except LayerUnavailable:
            self._supervisor.discard_later(group, self.channel)

    def _check_group_name(self, group: str) -> None:
        """Raise what the layer raises for a name that it refuses, where it tells beforehand."""
        check = getattr(self._layer, "require_valid_group_name", None)
        if check is not None:
            check(group)

    def _is_here(self) -> bool:
        """Whether this is the consumer's loop; a user's thread has its own, and the bare layer."""
        return asyncio.get_running_loop() is self._loop

    def remember(self, groups: Iterable[object]) -> None:
        """Take note of groups that the consumer has joined without us."""
        self.groups.update(group for group in groups if isinstance(group, str))

    # --- sending -------------------------------------------------------------------------------

    async def group_send(self, group: str, message: Mapping[str, Any]) -> None:
        """Retried within ``LAYER.deadline``, then :class:`LayerUnavailable`."""
        await self._call("group_send", self._layer.group_send, group, message)

    async def send(self, channel: str, message: Mapping[str, Any]) -> None:
        """Retried within ``LAYER.deadline``, then :class:`LayerUnavailable`."""
        if channel == self._provisional and self.channel is not None:
            channel = self.channel
        await self._call("send", self._layer.send, channel, message)

    async def _call(self, name: str, operation: Any, *args: Any) -> None:
        """A call that may fail for the caller, unless the consumer is in its cleanup."""
        if not self._is_here():
            await operation(*args)
            return
        try:
            await self._attempt(operation, *args)
        except LayerUnavailable as error:
            if not self._is_leaving or self._is_gone:
                raise LayerUnavailable(self._alias, name, error.waited) from error.__cause__

    # --- one call to the layer -----------------------------------------------------------------

    async def _attempt(self, operation: Any, *args: Any) -> None:
        """Call the layer, with the patience that this part of the consumer's life allows."""
        started = self._loop.time()
        limit = started + self._policy.deadline
        if self._is_handshaking:
            limit = min(limit, started + max(self._patience, 0.0))
        elif self._is_leaving and not self._is_gone:
            limit = min(limit, max(self._leave_by, started))
        try:
            await attempt(self._supervisor, self._alias, limit, operation, *args)
        finally:
            # Only what the layer takes counts, not what the consumer does between two calls.
            self._patience -= self._loop.time() - started

    # --- the consumer's life -------------------------------------------------------------------

    def layer_event(self, event: Mapping[str, Any]) -> None:
        """Pass an event of the supervisor on to the consumer."""
        self._consumer.layer_event(event)

    def handshake_done(self) -> None:
        """From now on the layer may take its full deadline."""
        self._is_handshaking = False

    def begin_leaving(self, patience: float) -> None:
        """From now on nothing here may raise for an outage, or block beyond *patience*."""
        self._is_leaving = True
        self._leave_by = self._loop.time() + patience

    async def leave_groups(self) -> None:
        """Leave every group that is left; what the layer does not take in time is done later."""
        if self._naming is not None and self.channel is None:
            self._naming.cancel()
        groups, self.groups = self.groups, set()
        try:
            if self.channel is not None:
                await self._supervisor.discard_all(groups, self.channel, self._leave_by)
        finally:
            await self._supervisor.leave(self, self._leave_by)
            self._is_gone = True
