"""The channel layer to configure: any other one behind a hub, or the hub alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer
from django.utils.module_loading import import_string

from .. import compat
from ..conf import get_policies
from ..core.frames import check_event
from .boxes import Boxes
from .directory import Directory, put_to
from .loops import Loops, run_there

if TYPE_CHECKING:
    from ..core.policies import LayerPolicy
    from .directory import Event
    from .hub import Hub

EXPIRY, CAPACITY, GROUP_EXPIRY = 60, 100, 86_400
"""As in the channel layer specification, where a wrapped layer says nothing else."""


class ResilientChannelLayer(BaseChannelLayer):
    """A channel layer that an outage, a flush and a crowd cannot hurt.

    ::

        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "resilient_channels.layers.ResilientChannelLayer",
                "CONFIG": {
                    "BACKEND": "channels_redis.core.RedisChannelLayer",
                    "CONFIG": {"hosts": [("localhost", 6379)]},
                },
            },
        }

    Behaves as the channel layer specification says. Beyond it: a group takes one membership of the
    wrapped layer per process, however many members it has there; memberships are restored when
    the layer has lost them; calls end in time, with :class:`LayerUnavailable` where nothing else
    can be said; and ``receive`` does not raise for an outage. What it does not have itself is
    looked up on the wrapped layer.

    Args:
        BACKEND: Dotted path (or class) of the layer to wrap. Without one, and for Channels' own
            in-memory layer, the hub does all the work itself, within this process.
        CONFIG: What the wrapped layer is configured with.
        capacity: Events that may wait in one channel of this process; by default the wrapped
            layer's, or 100.
        expiry: Seconds after which an event that nobody has received is dropped; likewise, or 60.
        channel_capacity: Capacities for channels by name, as in ``channels_redis``.

    Attributes:
        upstream: The wrapped layer; ``None`` if there is none.
    """

    extensions: ClassVar[list[str]] = ["groups", "flush"]

    def __init__(
        self,
        BACKEND: str | type | None = None,  # as Channels writes them
        CONFIG: Mapping[str, Any] | None = None,
        *,
        capacity: int | None = None,
        expiry: float | None = None,
        channel_capacity: Mapping[Any, int] | None = None,
    ) -> None:
        backend = import_string(BACKEND) if isinstance(BACKEND, str) else BACKEND
        config = dict(CONFIG or {})
        self.upstream: Any = None
        if backend is not None:
            self.upstream = backend(**config)
            if compat.keeps_one_queue(self.upstream):
                compat.shorten_blocking_reads(self.upstream)
        given = self.upstream
        if channel_capacity is None and compat.is_plain_in_memory(backend):
            channel_capacity = config.get("channel_capacity")
        super().__init__(
            expiry=_first(expiry, compat.read_option(given, "expiry"), EXPIRY),
            capacity=_first(capacity, compat.read_option(given, "capacity"), CAPACITY),
        )
        capacities = _first(channel_capacity, compat.read_option(given, "channel_capacity"), {})
        # Compiled, whatever the base class's annotation says. Some layers have done so, some not.
        self.channel_capacity: Any = (
            self.compile_capacities(dict(capacities))
            if isinstance(capacities, Mapping)
            else capacities
        )
        self.group_expiry = _first(compat.read_option(given, "group_expiry"), GROUP_EXPIRY)
        if compat.is_plain_in_memory(backend):
            self.upstream = None
        self._name = uuid4().hex
        self._own = Directory(self._find_alias)  # of the whole process; for a hub alone
        self._boxes = Boxes(self, self._own)
        self._loops = Loops(self._find_alias, self.upstream, self._policy, self._boxes.keep_stray)

    def __getattr__(self, name: str) -> Any:
        upstream = None if name.startswith("_") else self.__dict__.get("upstream")
        if upstream is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(upstream, name)

    def __repr__(self) -> str:
        wrapped = "" if self.upstream is None else f"around {self.upstream!r} "
        return f"<{type(self).__name__} {wrapped}at {id(self):#x}>"

    # --- channels ------------------------------------------------------------------------------

    async def new_channel(self, *args: Any, **kwargs: Any) -> str:
        """A channel name that only this process receives from. An outage does not prevent it.

        Args:
            prefix: What the name begins with; by default ``"specific"``.
        """
        prefix = _read_prefix(*args, **kwargs)
        if self.upstream is None:
            return f"{(prefix or 'specific').rstrip('.')}.{self._name}!{uuid4().hex}"
        hub = self.get_hub()
        return await hub.new_channel(self._policy().deadline, *([] if prefix is None else [prefix]))

    async def send(self, channel: str, message: Mapping[str, Any]) -> None:
        """Send an event to one channel.

        Raises:
            ChannelFull: It is at its capacity.
            LayerUnavailable: The wrapped layer did not take it within ``LAYER.deadline``.
            TypeError, AssertionError: Not a channel's name, or not an event.
        """
        await self.tell(channel, message, self._limit())

    async def receive(self, channel: str) -> dict[str, Any]:
        """The next event of a channel, when it comes. An outage only makes it wait.

        May be cancelled; what arrives later is for the next call.
        """
        self.require_valid_channel_name(channel)
        if self.upstream is None:
            return await self._receive_from(self._own, channel)
        hub = self.get_hub()
        if hub.owns(channel):
            return await self._receive_from(hub.directory, channel)
        return await hub.receive(channel)

    async def _receive_from(self, directory: Directory, channel: str) -> dict[str, Any]:
        box = directory.channels.get(channel) or self._boxes.make(directory, channel)
        try:
            return dict(await box.get())
        except BaseException:
            self._boxes.drop_later(directory, channel, box)
            raise

    # --- groups --------------------------------------------------------------------------------

    async def group_add(self, group: str, channel: str) -> None:
        """Put a channel into a group.

        Returns when the wrapped layer knows; while it is down, at once, and the group is joined
        when it is back.

        Raises:
            LayerUnavailable: The channel is another process's, which may not have heard of it.
            TypeError: Not a group's or a channel's name.
        """
        await self.add(group, channel, self._limit())

    async def group_discard(self, group: str, channel: str) -> None:
        """Take a channel out of a group. Does nothing if it is not in it.

        Raises:
            LayerUnavailable: The channel is another process's, which may not have heard of it.
            TypeError: Not a group's or a channel's name.
        """
        await self.discard(group, channel, self._limit())

    async def group_send(self, group: str, message: Mapping[str, Any]) -> None:
        """Send an event to every channel of a group. Those that are full miss it.

        Raises:
            LayerUnavailable: The wrapped layer did not take it within ``LAYER.deadline``. Members
                of this process may have got it all the same.
            TypeError, AssertionError: Not a group's name, or not an event.
        """
        await self.tell_group(group, message, self._limit())

    # --- the same, until a time on the loop's clock --------------------------------------------

    async def tell(self, channel: str, event: Event, limit: float) -> None:
        """As :meth:`send`."""
        check_event(event)
        self.require_valid_channel_name(channel)
        if self.upstream is not None:
            await self.get_hub().send(channel, event, limit)
            return
        box = self._own.channels.get(channel) or self._boxes.make(self._own, channel)
        if not put_to(box, deepcopy(event)):
            raise ChannelFull(channel)

    async def tell_group(self, group: str, event: Event, limit: float) -> None:
        """As :meth:`group_send`."""
        check_event(event)
        await self.broadcast(group, event, limit)

    async def broadcast(self, group: str, event: Event, limit: float) -> None:
        """As :meth:`group_send`, for an event that may be a broadcast's."""
        self.require_valid_group_name(group)
        if self.upstream is None:
            await self._own.fan_out(group, deepcopy(event))
            # As with a broker, the sender waits: who sends again and again lets others receive.
            await asyncio.sleep(0)
        else:
            serve = partial(self._loops.serve_all, group, event)
            await self.get_hub().call("group_send", limit, group, event, in_outage=serve)

    async def add(self, group: str, channel: str, limit: float) -> None:
        """As :meth:`group_add`."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        if self.upstream is None:
            box = self._own.channels.get(channel) or self._boxes.make(self._own, channel)
            self._own.join(group, channel, box)
            return
        home = self._loops.find_home(channel)
        if home is None:
            await self.get_hub().move(group, channel, limit, is_out=False)
            return
        loop, hub = home
        if loop is asyncio.get_running_loop():
            box = hub.directory.channels.get(channel) or self._boxes.make(hub.directory, channel)
            await hub.join(group, channel, box, limit)
        else:
            await run_there(loop, self.group_add(group, channel))

    async def discard(self, group: str, channel: str, limit: float) -> None:
        """As :meth:`group_discard`."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        if self.upstream is None:
            self._own.leave(group, channel)
            return
        home = self._loops.find_home(channel)
        if home is None:
            await self.get_hub().move(group, channel, limit, is_out=True)
            return
        loop, hub = home
        if loop is asyncio.get_running_loop():
            await hub.leave(group, channel, limit)
        else:
            await run_there(loop, self.group_discard(group, channel))

    # --- everything at once --------------------------------------------------------------------

    async def flush(self) -> None:
        """Delete every event and every membership, in the wrapped layer too: of the whole fleet."""
        self._own.clear()
        if self.upstream is not None:
            await self.get_hub().clear()
            await self.upstream.flush()

    async def close(self) -> None:
        """End what this event loop has to do with this layer, connections to a broker included."""
        if self.upstream is None:
            return
        await self.get_hub().clear()
        await compat.close_layer(self.upstream)

    # --- hubs ----------------------------------------------------------------------------------

    def get_hub(self) -> Hub:
        """What the running event loop has to do with the wrapped layer."""
        return self._loops.get_hub()

    def get_directory(self) -> Directory:
        """Where the channels of the running event loop are found."""
        return self._own if self.upstream is None else self.get_hub().directory

    # --- settings ------------------------------------------------------------------------------

    def _find_alias(self) -> str:
        return compat.find_alias(self)

    def _policy(self) -> LayerPolicy:
        return get_policies(type(self)).layer

    def _limit(self) -> float:
        return asyncio.get_running_loop().time() + self._policy().deadline


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _read_prefix(prefix: str | None = None) -> str | None:
    return prefix
