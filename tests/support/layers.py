"""A channel layer in memory that fails, hangs and forgets on command."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from channels.layers import BaseChannelLayer, InMemoryChannelLayer, channel_layers

from support.faults import Fault, strike
from support.script import OPERATIONS, Interruption, Script

__all__ = ["OPERATIONS", "ScriptedLayer", "installed"]


class ScriptedLayer(Script, BaseChannelLayer):
    """A broker with a script: in memory, but not Channels' in-memory layer by class.

    Code that trusts a layer because it lives in the process does not trust this one.

    Attributes:
        broker: what several of these layers may share, as processes do.
    """

    extensions = ("groups", "flush")

    def __init__(self, faults: Any = None, broker: Any = None, **kwargs: Any) -> None:
        super().__init__(faults, **kwargs)
        self.group_expiry = 86400
        self.broker = broker or InMemoryChannelLayer(**kwargs)
        self._receiving: Counter[str] = Counter()

    def neighbour(self) -> "ScriptedLayer":
        """The same broker as another process has it, with a script of its own."""
        return type(self)(broker=self.broker)

    @property
    def all_groups(self) -> dict[str, dict[str, float]]:
        groups: dict[str, dict[str, float]] = self.broker.groups
        return groups

    def expire_after(self, seconds: float) -> None:
        """Let every membership end so long after its last renewal."""
        self.group_expiry = self.broker.group_expiry = int(seconds)

    # -- the layer ----------------------------------------------------------

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        await self._perform("send", self.broker.send, channel, message)

    async def receive(self, channel: str) -> dict[str, Any]:
        message = await self._perform("receive", self._receive, channel)
        if isinstance(message, Interruption):
            await strike(message.fault)
        return message  # type: ignore[no-any-return]

    async def _receive(self, channel: str) -> dict[str, Any]:
        self._receiving[channel] += 1
        try:
            return await self.broker.receive(channel)  # type: ignore[no-any-return]
        finally:
            self._receiving[channel] -= 1

    async def new_channel(self, prefix: str = "specific.") -> str:
        return str(await self._perform("new_channel", self.broker.new_channel, prefix))

    async def group_add(self, group: str, channel: str) -> None:
        await self._perform("group_add", self.broker.group_add, group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        await self._perform("group_discard", self.broker.group_discard, group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._perform("group_send", self.broker.group_send, group, message)

    async def flush(self) -> None:
        await self.broker.flush()

    def interrupt_receivers(self, fault: Fault) -> None:
        for channel, queue in self.broker.channels.items():
            if self._receiving[channel] and not queue.full():
                queue.put_nowait((math.inf, Interruption(fault)))


@contextmanager
def installed(layer: Any, alias: str = "default") -> Iterator[Any]:
    """Let *layer* stand in for the configured one."""
    before = dict(channel_layers.backends)
    channel_layers.set(alias, layer)
    try:
        yield layer
    finally:
        channel_layers.backends.clear()
        channel_layers.backends.update(before)
