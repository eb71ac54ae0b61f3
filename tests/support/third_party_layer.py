"""A channel layer as a third party might write it: the specification, and nothing of Channels.

Several layers on one ``Exchange`` are several processes on one broker.
"""

import asyncio
import fnmatch
import itertools
import re
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

import msgpack
from channels.exceptions import ChannelFull

CHANNEL_NAME = re.compile(r"[a-zA-Z0-9_.-]+(![a-zA-Z0-9_.-]*)?")
GROUP_NAME = re.compile(r"[a-zA-Z0-9_.-]+")
LONGEST_NAME = 99


class Exchange:
    """The broker: what waits in each channel, who is in which group, who wants to know."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.queues: defaultdict[str, deque[tuple[float, bytes]]] = defaultdict(deque)
        self.groups: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._bells: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def wait(self, bell: asyncio.Event) -> None:
        self._bells.append((asyncio.get_running_loop(), bell))

    def leave(self, bell: asyncio.Event) -> None:
        self._bells = [entry for entry in self._bells if entry[1] is not bell]

    def ring(self) -> None:
        """Let every reader look again, on whatever loop it waits."""
        for loop, bell in self._bells:
            if not loop.is_closed():
                loop.call_soon_threadsafe(bell.set)

    def forget_expired(self, process: str) -> None:
        """Drop what has waited too long in *process*: a channel, or a name up to its ``!``."""
        now = time.time()
        for channel in [name for name in self.queues if process_part(name) == process]:
            queue = self.queues[channel]
            while queue and queue[0][0] <= now:
                queue.popleft()
            if not queue:
                del self.queues[channel]

    def waiting(self, process: str) -> int:
        """How many messages wait in all channels of *process* together."""
        return sum(
            len(queue) for name, queue in self.queues.items() if process_part(name) == process
        )


class ThirdPartyLayer:
    """One process' view of an exchange.

    Args:
        exchange: shared by all processes; a new one by default.
        expiry: seconds that a message may wait.
        group_expiry: seconds that a membership lasts.
        capacity: messages that may wait in a channel, or in all channels of one process.
        channel_capacity: the same per glob pattern of channel names.
    """

    extensions = ("groups", "flush")

    def __init__(
        self,
        exchange: Exchange | None = None,
        *,
        expiry: float = 60,
        group_expiry: int = 86400,
        capacity: int = 100,
        channel_capacity: Mapping[str, int] | None = None,
    ) -> None:
        self.exchange = exchange or Exchange()
        self.expiry = expiry
        self.group_expiry = group_expiry
        self.capacity = capacity
        self.channel_capacity = channel_capacity or {}
        self._process = uuid.uuid4().hex
        self._numbers = itertools.count()

    # -- channels -----------------------------------------------------------

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        check_name(channel, CHANNEL_NAME)
        packed = pack(message)
        with self.exchange.lock:
            if not self._put(channel, packed):
                raise ChannelFull(channel)

    async def receive(self, channel: str) -> dict[str, Any]:
        check_name(channel, CHANNEL_NAME)
        process, local, _ = channel.partition("!")
        assert not local or process.endswith(f".{self._process}"), "a channel of another process"
        bell = asyncio.Event()
        with self.exchange.lock:
            self.exchange.wait(bell)
        try:
            while (packed := self._take(channel)) is None:
                await bell.wait()
                bell.clear()
        finally:
            with self.exchange.lock:
                self.exchange.leave(bell)
        message: dict[str, Any] = msgpack.unpackb(packed)
        return message

    async def new_channel(self, prefix: str = "specific") -> str:
        return f"{prefix}.{self._process}!{next(self._numbers)}"

    # -- groups -------------------------------------------------------------

    async def group_add(self, group: str, channel: str) -> None:
        check_name(group, GROUP_NAME)
        check_name(channel, CHANNEL_NAME)
        with self.exchange.lock:
            self.exchange.groups[group][channel] = time.time() + self.group_expiry

    async def group_discard(self, group: str, channel: str) -> None:
        check_name(group, GROUP_NAME)
        check_name(channel, CHANNEL_NAME)
        with self.exchange.lock:
            self.exchange.groups[group].pop(channel, None)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        check_name(group, GROUP_NAME)
        packed = pack(message)
        with self.exchange.lock:
            for channel, until in list(self.exchange.groups[group].items()):
                if until > time.time():
                    self._put(channel, packed)

    # -- flush --------------------------------------------------------------

    async def flush(self) -> None:
        with self.exchange.lock:
            self.exchange.queues.clear()
            self.exchange.groups.clear()

    # -- the exchange's lock is held -----------------------------------------

    def _put(self, channel: str, packed: bytes) -> bool:
        """Add a message, unless there is no room for it."""
        process = process_part(channel)
        self.exchange.forget_expired(process)
        if self.exchange.waiting(process) >= self._capacity_of(channel):
            return False
        self.exchange.queues[channel].append((time.time() + self.expiry, packed))
        self.exchange.ring()
        return True

    def _take(self, channel: str) -> bytes | None:
        with self.exchange.lock:
            self.exchange.forget_expired(process_part(channel))
            queue = self.exchange.queues.get(channel)
            return queue.popleft()[1] if queue else None

    def _capacity_of(self, channel: str) -> int:
        for pattern, capacity in self.channel_capacity.items():
            if fnmatch.fnmatchcase(channel, pattern):
                return capacity
        return self.capacity


def process_part(channel: str) -> str:
    """The name up to and including its ``!``; all of it when there is none."""
    return channel[: channel.find("!") + 1] or channel


def check_name(name: Any, grammar: re.Pattern[str]) -> None:
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not grammar.fullmatch(name):
        raise TypeError("not a valid name")


def pack(message: Any) -> bytes:
    assert isinstance(message, dict), "message is not a dict"
    assert "__asgi_channel__" not in message, "a reserved key"
    packed: bytes = msgpack.packb(message)
    return packed
