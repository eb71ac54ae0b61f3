"""What a consumer sees as ``self.channel_layer``: the same layer, remembered and bounded.

The layer itself and its settings stay as they are. The proxy remembers which groups the consumer
is in, so that they can be joined again; gives calls a deadline; and keeps a dead layer out of the
handshake and out of the cleanup.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from channels.exceptions import ChannelFull

from ..core.backoff import Backoff
from ..exceptions import LayerUnavailable
from .supervision import get_supervisor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from ..core.policies import LayerPolicy

HANDSHAKE_PATIENCE = 0.9
"""Seconds that a slow layer may delay a handshake, in all."""


class Consumer(Protocol):
    """What the proxy needs from the consumer's driver."""

    def layer_event(self, event: Mapping[str, Any]) -> None: ...
    def start_layer_reader(self) -> None: ...
    def restart_layer_reader(self) -> None: ...
    async def next_layer_event(self) -> Mapping[str, Any]: ...
    def channel_named(self, channel: str) -> None: ...


class LayerProxy:
    """One consumer's view of its channel layer."""

    def __init__(self, alias: str, layer: Any, policy: LayerPolicy, consumer: Consumer) -> None:
        self._alias = alias
        self._layer = layer
        self._policy = policy
        self._consumer = consumer
        self._loop = asyncio.get_running_loop()
        self._supervisor = get_supervisor(alias, layer, policy)
        self._naming: asyncio.Task[str] | None = None
        self._provisional: str | None = None
        self._patience_ends = self._loop.time() + HANDSHAKE_PATIENCE
        self._is_handshaking = True
        self._is_leaving = False
        self.channel: str | None = None
        self.groups: set[str] = set()
        self.unconfirmed: set[str] = set()
        self._supervisor.enter(self, policy)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    def __repr__(self) -> str:
        return f"<LayerProxy of {self._layer!r}>"

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
        if self._naming is not None:
            return str(await self._layer.new_channel(*args, **kwargs))
        naming = self._start_naming(*args, **kwargs)
        await asyncio.wait({naming}, timeout=HANDSHAKE_PATIENCE)
        self._consumer.start_layer_reader()
        if naming.done() and naming.exception() is None:
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

    async def receive_supervised(self) -> Mapping[str, Any]:
        """The next event from the layer, however often it fails meanwhile.

        Never under a time limit: some layers take the cancellation of ``receive`` for goodbye.
        """
        backoff = Backoff()
        failures = 0
        while not self._is_leaving:
            started = self._loop.time()
            try:
                channel = self.channel or await self._get_late_name()
                event: Mapping[str, Any] = await self._layer.receive(channel)
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
                self._supervisor.note_arrival()
                return event
        raise asyncio.CancelledError  # the layer lost our cancellation

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

    @property
    def group_add(self) -> Callable[[str, str], Awaitable[None]]:
        """As the layer's. For the consumer's own channel it is remembered, and never fails for
        an outage: the group is joined as soon as the layer is back."""
        operation = self._layer.group_add  # AttributeError, if the layer has no groups

        async def group_add(group: str, channel: str) -> None:
            if not self._is_own(channel):
                await self._call("group_add", operation, group, channel)
            elif not self._is_leaving:
                await self._join(operation, group)

        return group_add

    async def _join(self, operation: Any, group: str) -> None:
        check = getattr(self._layer, "require_valid_group_name", None)
        if check is not None:
            check(group)
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
        except BaseException:
            self.groups.discard(group)
            self.unconfirmed.discard(group)
            raise
        else:
            self.unconfirmed.discard(group)

    @property
    def group_discard(self) -> Callable[[str, str], Awaitable[None]]:
        """As the layer's. For the consumer's own channel it never fails for an outage, and in the
        consumer's cleanup it returns at once: the groups are left after ``disconnect()``."""
        operation = self._layer.group_discard

        async def group_discard(group: str, channel: str) -> None:
            if not self._is_own(channel):
                await self._call("group_discard", operation, group, channel)
            elif self._is_leaving:
                self.groups.add(group)  # it may have been joined behind our back
            else:
                await self._leave_group(operation, group)

        return group_discard

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

    def remember(self, groups: Iterable[str]) -> None:
        """Take note of groups that the consumer has joined without us."""
        self.groups.update(groups)

    # --- sending -------------------------------------------------------------------------------

    @property
    def group_send(self) -> Callable[..., Awaitable[None]]:
        """As the layer's, retried within ``LAYER.deadline``, then :class:`LayerUnavailable`."""
        operation = self._layer.group_send

        async def group_send(group: str, message: Mapping[str, Any]) -> None:
            await self._call("group_send", operation, group, message)

        return group_send

    async def send(self, channel: str, message: Mapping[str, Any]) -> None:
        """As the layer's, retried within ``LAYER.deadline``, then :class:`LayerUnavailable`."""
        if channel == self._provisional and self.channel is not None:
            channel = self.channel
        await self._call("send", self._layer.send, channel, message)

    async def _call(self, name: str, operation: Any, *args: Any) -> None:
        """A call that may fail for the caller, unless the consumer is in its cleanup."""
        try:
            await self._attempt(operation, *args)
        except LayerUnavailable as error:
            if not self._is_leaving:
                raise LayerUnavailable(self._alias, name, error.waited) from error.__cause__

    # --- one call to the layer -----------------------------------------------------------------

    async def _attempt(self, operation: Any, *args: Any) -> None:
        """Call the layer until it succeeds, the error is the caller's, or time is up.

        Whose error it is, is not judged by its class (a broken connection has raised
        ``AttributeError`` and ``TypeError``), but by whether a probe fails too.
        """
        started = self._loop.time()
        limit = started + self._policy.deadline
        if self._is_handshaking or self._is_leaving:
            limit = min(limit, max(self._patience_ends, started))
        backoff = Backoff()
        cause: Exception | None = None
        failures = 0
        try:
            async with asyncio.timeout_at(limit) as timeout:
                while True:
                    try:
                        await operation(*args)
                    except ChannelFull:
                        raise
                    except Exception as error:
                        cause, failures = error, failures + 1
                        # The first failure may be one stale connection of a pool: again, at once.
                        # A third one beside a layer that answers is the caller's.
                        if failures > 1:
                            is_answering = await self._supervisor.is_answering()
                            if is_answering and failures > 2:
                                raise
                            if not is_answering:
                                await asyncio.sleep(backoff.next_delay(1.0))
                                await self._supervisor.wait_until_up()
                    else:
                        return
        except TimeoutError:
            if not timeout.expired():
                raise
            self._supervisor.alarm()
            waited = self._loop.time() - started
            raise LayerUnavailable(self._alias, "call", waited) from cause

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
        self._patience_ends = self._loop.time() + patience

    async def leave_groups(self) -> None:
        """Leave every group that is left; what the layer does not take in time is done later."""
        if self._naming is not None and self.channel is None:
            self._naming.cancel()
        groups, self.groups = self.groups, set()
        try:
            if self.channel is not None:
                await self._supervisor.discard_all(groups, self.channel, self._patience_ends)
        finally:
            await self._supervisor.leave(self, self._patience_ends)
