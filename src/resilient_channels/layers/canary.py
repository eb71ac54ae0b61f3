"""Proves that group messages still arrive in this process, by sending itself one."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from .. import compat
from ..turns import pass_cancellation_on
from .reading import read_anyway

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ARRIVAL_TIMEOUT = 2.0
"""Seconds within which a group message must have come back."""

PREFIX = "rc."
"""No group of a project begins with this; all of ours do."""


class Health(Enum):
    """What one probe found."""

    FINE = "fine"
    FORGOTTEN = "forgotten"  # the layer takes messages, but no longer knows who is in the group
    FAILING = "failing"  # the layer raises or does not answer


class Ear(Protocol):
    """A channel of this process, and how what arrives there is heard."""

    async def open(self, hear: Callable[[Mapping[str, Any]], None]) -> str:
        """Begin to listen, or go on; returns the channel."""

    def restart(self) -> None:
        """Begin to listen anew at the next :meth:`open`."""

    async def close(self, patience: float) -> None:
        """Stop listening; waits *patience* seconds at the most."""


class OwnEar:
    """A channel of its own, read by a task of its own."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._channel: str | None = None
        self._listener: asyncio.Task[None] | None = None

    async def open(self, hear: Callable[[Mapping[str, Any]], None]) -> str:
        """Begin to listen, or go on; returns the channel."""
        if self._channel is None:
            self._channel = str(await self._layer.new_channel())
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen(self._channel, hear))
        return self._channel

    def restart(self) -> None:
        """Begin to listen anew at the next :meth:`open`."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.cancel()

    async def close(self, patience: float) -> None:
        """Stop listening; waits *patience* seconds at the most."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.cancel()
            await asyncio.wait({listener}, timeout=patience)

    async def _listen(self, channel: str, hear: Callable[[Mapping[str, Any]], None]) -> None:
        me = asyncio.current_task()
        # Not for ever: a layer may lose our cancellation and raise something else.
        await read_anyway(
            lambda: self._layer.receive(channel), hear, until=lambda: self._listener is not me
        )


class Canary:
    """A group with one member, ourselves; one on each host, if groups are spread over several."""

    def __init__(self, layer: Any, ear: Ear) -> None:
        self._layer = layer
        self._ear = ear
        self._groups: tuple[str, ...] = ()
        self._channel: str | None = None
        self._must_join = True
        self._sent = 0
        self._heard: dict[str, int] = {}
        self._arrival = asyncio.Event()
        self.error: BaseException | None = None

    @property
    def is_placed(self) -> bool:
        """Whether it has ever joined its group."""
        return self._channel is not None

    async def probe(self, deadline: float, *, join: bool = False) -> Health:
        """Send one message to ourselves through the layer; with *join*, join again first."""
        try:
            async with asyncio.timeout(deadline):
                if join or self._must_join:
                    self._channel = await self._ear.open(self._hear)
                    for group in self._find_groups():
                        await self._layer.group_add(group, self._channel)
                    self._must_join = False
                await self.speak()
        except Exception as error:  # noqa: BLE001  # any failure of the layer, of any class
            pass_cancellation_on(error)
            self.error = error
            return Health.FAILING
        try:
            async with asyncio.timeout(min(deadline, ARRIVAL_TIMEOUT)):
                while any(self._heard.get(group, 0) < self._sent for group in self._groups):
                    self._arrival.clear()
                    await self._arrival.wait()
        except TimeoutError:
            return Health.FORGOTTEN
        return Health.FINE

    async def speak(self) -> None:
        """Send to the groups, whoever is in them. Raises what the layer raises."""
        self._sent += 1
        self._arrival.clear()
        for group in self._find_groups():
            event = {"type": "rc.probe", "group": group, "n": self._sent}
            await self._layer.group_send(group, event)

    def restart(self) -> None:
        """Begin to listen anew; at the next probe, which joins again."""
        self._must_join = True
        self._ear.restart()

    async def stop(self, deadline: float) -> dict[tuple[str, str], None]:
        """Leave within *deadline* seconds; returns what could not be left."""
        if self._channel is None:
            return {}
        left = dict.fromkeys((group, self._channel) for group in self._groups)
        try:
            async with asyncio.timeout(deadline):
                for group, channel in tuple(left):
                    await self._layer.group_discard(group, channel)
                    del left[group, channel]
        except Exception as error:  # noqa: BLE001  # any failure of the layer, of any class
            self.error = error
        finally:
            await self._ear.close(deadline)
        self._must_join = True
        return left

    def _find_groups(self) -> tuple[str, ...]:
        if not self._groups:
            self._groups = compat.name_a_group_per_host(self._layer, lambda: PREFIX + uuid4().hex)
        return self._groups

    def _hear(self, event: Mapping[str, Any]) -> None:
        group, number = event.get("group"), event.get("n")
        if isinstance(group, str) and isinstance(number, int):
            self._heard[group] = max(self._heard.get(group, 0), number)
            self._arrival.set()
