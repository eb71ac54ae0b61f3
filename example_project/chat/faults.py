"""Faults that need the server's help: both chats fail on request, in the same way."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.layers import get_channel_layer

SLOW = 2.0
LAYER_AWAY = 3.0


class FaultsOnRequest:
    """Message types of a consumer that break it."""

    channel_layer: Any
    channel_name: str
    send_json: Any
    close: Any

    async def fail(self, name: str) -> None:
        """Do what the fault called *name* is about."""
        faults = {
            "handler-exception": self._raise,
            "unknown-event": self._send_odd_event,
            "send-after-close": self._send_after_close,
            "double-close": self._close_twice,
            "slow-handler": self._work_slowly,
            "layer-failure": self._break_layer,
        }
        await faults[name]()

    async def _raise(self) -> None:
        raise RuntimeError("this handler fails on request")

    async def _send_odd_event(self) -> None:
        await self.channel_layer.send(self.channel_name, {"type": "feature.of.tomorrow"})

    async def _send_after_close(self) -> None:
        await self.close(code=4001)
        await self.send_json({"type": "chat", "text": "too late"})

    async def _close_twice(self) -> None:
        await self.close(code=4001)
        await self.close(code=4001)

    async def _work_slowly(self) -> None:
        await asyncio.sleep(SLOW)
        for n in range(3):
            await self.send_json({"type": "chat", "text": f"answer {n} of a slow handler"})

    async def _break_layer(self) -> None:
        # The layer itself, not a consumer's view of it.
        layer: Any = get_channel_layer()
        layer.break_for(LAYER_AWAY)
