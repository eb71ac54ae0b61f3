"""A channel layer built like ``channels_redis.core``, in memory, with a script.

All channels of a process share one queue of the broker, named by the process's prefix. A message
says which of them it is for: one channel's name, or the list of those of a group.
"""

import asyncio
import math
import pickle
import time
import uuid
from collections import Counter, defaultdict, deque
from typing import Any

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer

from support.faults import Fault, Faults, strike
from support.script import OPERATIONS, Interruption, Script

Parcel = tuple[float, bytes | Interruption]
ADDRESS = "__asgi_channel__"


class Broker:
    """What all processes see: queues of bytes, and groups with the times of their joins."""

    def __init__(self) -> None:
        self.queues: defaultdict[str, asyncio.Queue[Parcel]] = defaultdict(asyncio.Queue)
        self.groups: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def put(self, queue: str, content: bytes, capacity: int, expiry: float) -> bool:
        """Whether there was room in *queue* for *content*."""
        waiting = self.queues[queue]
        parcels: deque[Parcel] = waiting._queue  # type: ignore[attr-defined]
        while parcels and parcels[0][0] < time.time():
            waiting.get_nowait()
        if waiting.qsize() >= capacity:
            return False
        waiting.put_nowait((time.time() + expiry, content))
        return True


class ScriptedCore(Script, BaseChannelLayer):
    """One process's view of a :class:`Broker`.

    Beside the operations of every scripted layer, ``clean`` can be told to fail: what is done
    about a message after it was received, in a task that the next read waits for. ``new_channel``
    can be told so, too, but never does: no broker is asked for a name.
    """

    extensions = ["groups", "flush"]
    operations = (*OPERATIONS, "clean")
    brpop_timeout = 5

    def __init__(
        self,
        faults: Faults | None = None,
        broker: Broker | None = None,
        hosts: list[dict[str, Any]] | None = None,
        group_expiry: int = 86400,
        **kwargs: Any,
    ) -> None:
        super().__init__(faults, **kwargs)
        self.broker = broker or Broker()
        self.hosts = hosts or [{"address": "redis://127.0.0.1:6379"}]
        self.group_expiry = group_expiry
        self.client_prefix = uuid.uuid4().hex
        self.receive_cleaners: list[asyncio.Task[None]] = []
        self._cleaning: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._reading: Counter[str] = Counter()
        self._buffers: defaultdict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self._reader: asyncio.Task[None] | None = None
        self._receivers = 0

    def neighbour(self) -> "ScriptedCore":
        """The same broker as another process has it, with a script of its own."""
        return type(self)(broker=self.broker)

    @property
    def all_groups(self) -> dict[str, dict[str, float]]:
        return {name: members for name, members in self.broker.groups.items() if members}

    def lose_groups(self) -> None:
        self.broker.groups.clear()

    def lose_group(self, group: str) -> None:
        self.broker.groups.pop(group, None)

    def expire_after(self, seconds: float) -> None:
        """Let every membership end so long after its last renewal."""
        self.group_expiry = int(seconds)

    def interrupt_receivers(self, fault: Fault) -> None:
        for queue, readers in self._reading.items():
            if readers:
                self.broker.queues[queue].put_nowait((math.inf, Interruption(fault)))

    # -- channels -----------------------------------------------------------

    async def new_channel(self, prefix: str = "specific") -> str:
        self.calls["new_channel"] += 1
        return f"{prefix}.{self.client_prefix}!{uuid.uuid4().hex}"

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        assert isinstance(message, dict), "message is not a dict"
        self.require_valid_channel_name(channel)
        assert ADDRESS not in message
        await self._perform("send", self._send, channel, message)

    async def _send(self, channel: str, message: dict[str, Any]) -> None:
        if "!" in channel:
            message = {**message, ADDRESS: channel}
        content = self.serialize(message)
        queue = self.non_local_name(channel)
        if not self.broker.put(queue, content, self.get_capacity(channel), self.expiry):
            raise ChannelFull

    async def receive(self, channel: str) -> dict[str, Any]:
        """The next message of *channel*; of all who wait, one task reads for all."""
        self.require_valid_channel_name(channel)
        if "!" not in channel:
            return (await self.receive_single(channel))[1]
        queue = self.non_local_name(channel)
        assert queue.endswith(f"{self.client_prefix}!"), "Wrong client prefix"
        self._receivers += 1
        try:
            while not self._buffers[channel]:
                if self._reader is None or self._reader.done():
                    self._reader = asyncio.ensure_future(self._read_for_all(queue))
                reader = self._reader
                await asyncio.wait({reader})
                if not reader.cancelled():
                    reader.result()
            return self._buffers[channel].popleft()
        finally:
            self._receivers -= 1
            if not self._receivers and self._reader is not None:
                self._reader.cancel()

    async def _read_for_all(self, queue: str) -> None:
        names, message = await self.receive_single(queue)
        for name in [names] if isinstance(names, str) else names:
            self._buffers[name].append(message)

    async def receive_single(self, channel: str) -> tuple[str | list[str], dict[str, Any]]:
        """The next message of a queue, with the channels it is for."""
        assert self.require_valid_channel_name(channel, receive=True)
        content = await self._perform("receive", self._receive_single, channel)
        if isinstance(content, Interruption):
            await strike(content.fault)
        message = self.deserialize(content)
        return message.pop(ADDRESS, channel), message

    async def _receive_single(self, queue: str) -> bytes | Interruption:
        self._reading[queue] += 1
        try:
            await self._cleaning[queue].acquire()
            try:
                content = (await self.broker.queues[queue].get())[1]
            except BaseException:
                self._cleaning[queue].release()
                raise
        finally:
            self._reading[queue] -= 1
        if isinstance(content, Interruption):
            self._cleaning[queue].release()
        else:
            self._clean_later(queue)
        return content

    def _clean_later(self, queue: str) -> None:
        """Start what the next read of *queue* has to wait for."""
        cleaner = asyncio.ensure_future(self._perform("clean", asyncio.sleep, 0))
        self.receive_cleaners.append(cleaner)

        def cleaned(cleaner: asyncio.Task[None]) -> None:
            self.receive_cleaners.remove(cleaner)
            self._cleaning[queue].release()

        cleaner.add_done_callback(cleaned)

    # -- groups -------------------------------------------------------------

    async def group_add(self, group: str, channel: str) -> None:
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        await self._perform("group_add", self._group_add, group, channel)

    async def _group_add(self, group: str, channel: str) -> None:
        self.broker.groups[group][channel] = time.time()

    async def group_discard(self, group: str, channel: str) -> None:
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        await self._perform("group_discard", self._group_discard, group, channel)

    async def _group_discard(self, group: str, channel: str) -> None:
        self.broker.groups[group].pop(channel, None)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.require_valid_group_name(group)
        await self._perform("group_send", self._group_send, group, message)

    async def _group_send(self, group: str, message: dict[str, Any]) -> None:
        members = self.broker.groups[group]
        for channel, joined in list(members.items()):
            if joined <= time.time() - self.group_expiry:
                del members[channel]
        addresses: defaultdict[str, list[str]] = defaultdict(list)
        for channel in members:
            addresses[self.non_local_name(channel)].append(channel)
        for queue, channels in addresses.items():
            content = self.serialize({**message, ADDRESS: channels})
            self.broker.put(queue, content, self.get_capacity(channels[0]), self.expiry)

    # -- the rest -----------------------------------------------------------

    def serialize(self, message: dict[str, Any]) -> bytes:
        return pickle.dumps(message)

    def deserialize(self, content: bytes) -> dict[str, Any]:
        message: dict[str, Any] = pickle.loads(content)
        return message

    async def flush(self) -> None:
        await self.close_pools()
        self.broker.queues.clear()
        self.broker.groups.clear()

    async def close_pools(self) -> None:
        if self.receive_cleaners:
            await asyncio.wait(self.receive_cleaners[:])
