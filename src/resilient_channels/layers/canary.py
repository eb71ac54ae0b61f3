"""Proves that group messages still arrive in this process, by sending itself one."""

from __future__ import annotations

import asyncio
from enum import Enum
from random import random
from typing import Any
from uuid import uuid4

from ..core.backoff import Backoff

ARRIVAL_TIMEOUT = 2.0
"""Seconds within which a group message must have come back."""


class Health(Enum):
    """What one probe found."""

    FINE = "fine"
    FORGOTTEN = "forgotten"  # the layer takes messages, but no longer knows who is in the group
    FAILING = "failing"  # the layer raises or does not answer


class Canary:
    """A group with one member, ourselves. Its name starts with ``rc.``, as none of a project's do.

    ``receive`` is never run under a time limit: some layers take its cancellation for goodbye.
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._group = f"rc.{uuid4().hex}"
        self._channel: str | None = None
        self._listener: asyncio.Task[None] | None = None
        self._sent = 0
        self._heard = 0
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
                if join or self._listener is None:
                    await self._join()
                self._sent += 1
                self._arrival.clear()
                await self._layer.group_send(self._group, {"type": "rc.probe", "n": self._sent})
        except Exception as error:  # noqa: BLE001  # any failure of the layer, of any class
            self.error = error
            return Health.FAILING
        try:
            async with asyncio.timeout(min(deadline, ARRIVAL_TIMEOUT)):
                while self._heard < self._sent:
                    self._arrival.clear()
                    await self._arrival.wait()
        except TimeoutError:
            return Health.FORGOTTEN
        return Health.FINE

    async def _join(self) -> None:
        if self._channel is None:
            self._channel = await self._layer.new_channel()
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen(self._channel))
        await self._layer.group_add(self._group, self._channel)

    def restart(self) -> None:
        """Begin to listen anew; at the next probe, which joins again."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.cancel()

    async def stop(self, deadline: float) -> dict[tuple[str, str], None]:
        """Leave within *deadline* seconds; returns what could not be left."""
        listener, self._listener = self._listener, None
        if self._channel is None:
            return {}
        left = {(self._group, self._channel): None}
        try:
            async with asyncio.timeout(deadline):
                await self._layer.group_discard(self._group, self._channel)
        except Exception as error:  # noqa: BLE001  # any failure of the layer, of any class
            self.error = error
        else:
            left = {}
        if listener is not None:
            listener.cancel()
            await asyncio.wait({listener}, timeout=deadline)
        return left

    async def _listen(self, channel: str) -> None:
        backoff = Backoff()
        me = asyncio.current_task()
        # Not "while True": a layer may lose our cancellation and raise something else.
        while self._listener is me:
            try:
                event = await self._layer.receive(channel)
            except Exception as error:  # noqa: BLE001  # idle timeouts of redis-py among them
                self.error = error
                await asyncio.sleep(backoff.next_delay(random()))
                continue
            backoff.reset()
            self._heard = max(self._heard, event.get("n", 0))
            self._arrival.set()
