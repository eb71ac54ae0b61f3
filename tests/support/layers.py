"""A channel layer in memory that fails, hangs and forgets on command."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from channels.layers import BaseChannelLayer, InMemoryChannelLayer, channel_layers

from support.faults import Fault, Faults, Plan, strike


class Interruption:
    """Travels through a channel to the ``receive`` that waits there."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


OPERATIONS = ("send", "receive", "new_channel", "group_add", "group_discard", "group_send")


class ScriptedLayer(BaseChannelLayer):
    """A broker with a script: in memory, but not Channels' in-memory layer by class.

    Code that trusts a layer because it lives in the process does not trust this one.

    Attributes:
        calls: how often each operation was called.
        finished: how often each operation came to its end.
    """

    extensions = ("groups", "flush")

    def __init__(self, faults: Faults | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.faults = faults or Faults()
        self.calls: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.group_expiry = 86400
        self._broker = InMemoryChannelLayer(**kwargs)
        self._plans: defaultdict[str, Plan] = defaultdict(Plan)

    # -- the script ---------------------------------------------------------

    def fail(self, operation: str, fault: Fault, times: int = 1) -> None:
        """Let the next *times* calls of *operation* raise *fault* (or ``HANG``)."""
        self._plan(operation).add(fault, times)

    def break_down(self, fault: Fault, *operations: str) -> None:
        """Let every call raise *fault* (or ``HANG``) until ``heal``.

        That includes the ``receive`` calls that are waiting at this moment.
        """
        for operation in operations or OPERATIONS:
            self._plan(operation).stand(fault)
            if operation == "receive":
                self._interrupt_receivers(fault)

    def heal(self) -> None:
        for plan in self._plans.values():
            plan.stand(None)

    def lose_groups(self) -> None:
        """Forget every membership, as a broker does that restarts empty."""
        self._broker.groups.clear()

    @property
    def groups(self) -> dict[str, set[str]]:
        """Who is in which group; probes of the library (``rc.*``) are left out."""
        return {
            name: set(channels)
            for name, channels in self._broker.groups.items()
            if channels and not name.startswith("rc.")
        }

    def members(self, group: str) -> set[str]:
        return self.groups.get(group, set())

    # -- the layer ----------------------------------------------------------

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        await self._perform("send", channel, message)

    async def receive(self, channel: str) -> dict[str, Any]:
        message = await self._perform("receive", channel)
        if isinstance(message, Interruption):
            await strike(message.fault)
        return message  # type: ignore[no-any-return]

    async def new_channel(self, prefix: str = "specific.") -> str:
        return str(await self._perform("new_channel", prefix))

    async def group_add(self, group: str, channel: str) -> None:
        await self._perform("group_add", group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        await self._perform("group_discard", group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._perform("group_send", group, message)

    async def flush(self) -> None:
        await self._broker.flush()

    async def _perform(self, operation: str, *args: Any) -> Any:
        self.calls[operation] += 1
        await self.faults.point(f"layer.{operation}")
        await self._plans[operation].play()
        result = await getattr(self._broker, operation)(*args)
        self.finished[operation] += 1
        return result

    def _interrupt_receivers(self, fault: Fault) -> None:
        for queue in self._broker.channels.values():
            if queue._getters:
                queue.put_nowait((math.inf, Interruption(fault)))

    def _plan(self, operation: str) -> Plan:
        assert operation in OPERATIONS, f"{operation!r} is none of {OPERATIONS}"
        return self._plans[operation]


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
