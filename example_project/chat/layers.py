"""An in-memory channel layer with a switch that makes it fail like a broker that is away."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.layers import BaseChannelLayer, InMemoryChannelLayer


class BreakableLayer(BaseChannelLayer):
    """Fails every call while it is broken, the waiting ``receive()`` calls included."""

    extensions = ["groups"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._layer = InMemoryChannelLayer(**options)
        self._breaks = asyncio.Event()

    def break_for(self, seconds: float) -> None:
        """Fail from now on, for that long."""
        self._breaks.set()
        asyncio.get_running_loop().call_later(seconds, self._breaks.clear)

    async def receive(self, channel: str) -> dict[str, Any]:
        """Return the next message; ConnectionError when the layer breaks meanwhile."""
        self._check()
        message = asyncio.ensure_future(self._layer.receive(channel))
        failure = asyncio.ensure_future(self._breaks.wait())
        try:
            await asyncio.wait({message, failure}, return_when=asyncio.FIRST_COMPLETED)
            if not message.done():
                self._check()
            return await message
        finally:
            message.cancel()
            failure.cancel()

    async def new_channel(self, prefix: str = "specific.") -> str:
        """Return a channel name that nobody has."""
        self._check()
        return await self._layer.new_channel(prefix)

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send to one channel."""
        self._check()
        await self._layer.send(channel, message)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to a group."""
        self._check()
        await self._layer.group_send(group, message)

    async def group_add(self, group: str, channel: str) -> None:
        """Join a group."""
        self._check()
        await self._layer.group_add(group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """Leave a group."""
        self._check()
        await self._layer.group_discard(group, channel)

    def _check(self) -> None:
        if self._breaks.is_set():
            raise ConnectionError("the channel layer is away")
