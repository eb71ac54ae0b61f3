"""The uplink to ``channels_redis.core``, and to layers built like it: one reader per process.

Such a layer keeps all channels of a process in one queue of the broker, named by the process's
prefix. The layer's own ``receive`` lets every consumer queue up for it. Here one task reads it for
all, and a group is joined under a name with that prefix.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

from .. import compat
from .reading import read_anyway

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .canary import Ear
    from .directory import Box
    from .uplink import Hub

LINES = GROUP, PROBE = "g.", "p."
"""What the names of groups' and probes' channels go on with. No consumer's has a dot there."""

CANCELLATIONS = 4
"""How often a read is cancelled, half a second apart, before it is left alone."""

RETRY_CAP = 0.4
"""Seconds between two attempts to read from a layer that fails, at the most. Who waits for the
layer's return waits for this, too."""

_numbers = count(1)
"""Of the group channels; never used twice, so that a late leave cannot meet a new join."""


class CoreUplink:
    """One reader for everything of this process that arrives under one prefix."""

    def __init__(self, layer: Any, hub: Hub) -> None:
        self._layer = layer
        self._hub = hub
        self._prefix = compat.find_process_prefix(layer)
        self._channels: dict[str, str] = {}
        # What is heard on a channel that is no consumer's: a group's, or a probe's.
        self._lines: dict[str, str | Callable[[Mapping[str, Any]], None]] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    # --- names ---------------------------------------------------------------------------------

    def owns(self, channel: str) -> bool:
        """Whether *channel* is one of this process."""
        local, mark, _ = channel.partition("!")
        return bool(mark) and local.endswith(self._prefix)

    @property
    def _kind(self) -> str:
        """What the names begin with: two loops on one queue would take each other's messages."""
        number = self._hub.claim_number()
        return f"specific.{number}" if number else "specific"

    async def new_channel(self, patience: float, *args: Any) -> str:
        """A channel name of this process. Takes no time: the layer makes it up."""
        return str(await self._layer.new_channel(*(args or (self._kind,))))

    def make_line(self, name: str, target: str | Callable[[Mapping[str, Any]], None]) -> str:
        """A channel whose events go to *target*: a group's name, or a callable."""
        channel = f"{self._kind}.{self._prefix}!{name}{next(_numbers)}"
        self._lines[channel] = target
        self._read(channel)
        return channel

    def drop_line(self, channel: str) -> None:
        """Nobody listens to *channel* any more."""
        self._lines.pop(channel, None)
        self._stop_idle_readers()

    # --- groups and channels -------------------------------------------------------------------

    def open(self, group: str) -> None:
        """Give *group* a channel, and listen there."""
        self._channels[group] = self.make_line(GROUP, group)

    def close(self, group: str) -> str | None:
        """Forget the channel of *group*; returns it."""
        channel = self._channels.pop(group, None)
        if channel is not None:
            self.drop_line(channel)
        return channel

    def channel_for(self, group: str) -> str | None:
        """The channel of *group*."""
        return self._channels.get(group)

    async def get_channel(self, group: str) -> str | None:
        """The same, at once."""
        return self._channels.get(group)

    def listen(self, channel: str) -> None:
        """Read what is sent to *channel*."""
        self._read(channel)

    def stop_listening(self, channel: str) -> None:
        """Stop reading, if nobody is left to read for."""
        self._stop_idle_readers()

    def make_ear(self) -> Ear:
        """A probe listens by way of the reader it is to prove."""
        return LineEar(self)

    # --- reading -------------------------------------------------------------------------------

    def retry_now(self) -> None:
        """There is reason to believe that reading succeeds again."""
        self._wake.set()

    def restart(self) -> None:
        """Begin to receive anew: what waits now may wait for ever."""
        for queue, reader in list(self._readers.items()):
            self._cancel(reader)
            compat.abandon_cleaners(self._layer)
            self._start(queue, after=reader)

    async def stop(self) -> None:
        """Stop reading."""
        self._lines.clear()
        self._channels.clear()
        self._stop_readers()
        if self._ending:
            await asyncio.wait(self._ending, timeout=0.5 * CANCELLATIONS)

    def _cancel(self, reader: asyncio.Task[None]) -> None:
        reader.cancel()
        self._ending.add(reader)
        reader.add_done_callback(self._ending.discard)

    def _read(self, channel: str) -> None:
        queue = self._layer.non_local_name(channel)
        if queue not in self._readers:
            self._start(queue)

    def _start(self, queue: str, after: asyncio.Task[None] | None = None) -> None:
        reading = self._run(queue, after)
        self._readers[queue] = asyncio.get_running_loop().create_task(
            reading, name=f"resilient_channels.reader.{queue}"
        )

    async def _run(self, queue: str, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after}, timeout=1.0)
        me = asyncio.current_task()
        reading = asyncio.get_running_loop().create_task(
            read_anyway(
                lambda: compat.receive_single(self._layer, queue),
                self._route,
                until=lambda: self._readers.get(queue) is not me,
                failed=lambda: self._hub.get_supervisor().alarm(),
                wake=self._wake,
                cap=RETRY_CAP,
            )
        )
        try:
            await asyncio.wait({reading})
        finally:
            # Under Python 3.11 a client of Redis can lose a cancellation, and whoever ends a loop
            # cancels its tasks once, and waits for ever.
            for _ in range(CANCELLATIONS):
                if not reading.done():
                    reading.cancel()
                    await asyncio.wait({reading}, timeout=0.5)

    def _stop_idle_readers(self) -> None:
        if not self._lines and not self._hub.directory.channels:
            self._stop_readers()

    def _stop_readers(self) -> None:
        for reader in self._readers.values():
            self._cancel(reader)
        self._readers.clear()

    async def _route(self, received: tuple[str | list[str], Mapping[str, Any]]) -> None:
        """Hand a message to those it names: one channel, or several of one group at once."""
        names, event = received
        directory = self._hub.directory
        if isinstance(names, str):
            names = [names]
        if len(names) == 1:
            target = self._lines.get(names[0])
            if isinstance(target, str):
                await self._hub.deliver(target, event)
                return
        boxes: list[Box] = []
        for name in names:
            target = self._lines.get(name)
            if isinstance(target, str):
                boxes += directory.groups.get(target, {}).values()
            elif target is not None:
                target(event)
            elif (box := directory.channels.get(name)) is not None:
                boxes.append(box)
            elif not name.partition("!")[2].startswith(LINES):
                self._hub.keep_stray(name, event)
        # Once each, however often it is named.
        await directory.fan_out_to(tuple(dict.fromkeys(boxes)), event)


class LineEar:
    """A probe's channel, heard by the reader of everybody."""

    def __init__(self, uplink: CoreUplink) -> None:
        self._uplink = uplink
        self._channel: str | None = None

    async def open(self, hear: Callable[[Mapping[str, Any]], None]) -> str:
        """Begin to listen, or go on; returns the channel."""
        if self._channel is None:
            self._channel = self._uplink.make_line(PROBE, hear)
        self._uplink.retry_now()
        return self._channel

    def restart(self) -> None:
        """The reader is restarted by its hub."""

    async def close(self, patience: float) -> None:
        """Stop listening."""
        if self._channel is not None:
            self._uplink.drop_line(self._channel)
            self._channel = None
