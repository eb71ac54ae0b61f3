"""Faults that need a consumer's help: both chats fail on request, in the same way."""

from __future__ import annotations

import asyncio
import os
import time
from functools import cache
from typing import Any

from . import amounts, durations, fates


class FaultsOnRequest:
    """Message types of a consumer that break it."""

    scope: Any
    channel_layer: Any
    channel_name: str
    send: Any
    send_json: Any
    close: Any

    async def fail(self, name: str) -> None:
        """Do what the fault called *name* is about."""
        faults = {
            "handler-exception": self._raise,
            "unknown-event": self._send_odd_event,
            "send-after-close": self._send_after_close,
            "double-close": self._close_twice,
            "slow-handler": self._work_for_long,
            "leave-in-handler": self._work_until_left,
            "slow-reader": self._stream,
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

    async def _work_for_long(self) -> None:
        await asyncio.sleep(durations.SLOW_HANDLER)

    async def _work_until_left(self) -> None:
        await asyncio.sleep(durations.LEFT_HANDLER)
        for n in range(3):
            await self.send_json({"type": "chat", "text": f"answer {n} to nobody"})

    async def _stream(self) -> None:
        frame, began, longest, unread = make_frame(), time.monotonic(), 0.0, 0
        for n in range(amounts.FRAMES):
            # By the clock: whoever was held up makes up for it.
            await asyncio.sleep(began + n * amounts.FRAME_EVERY - time.monotonic())
            before = time.monotonic()
            if not await self.pass_on(frame):
                break
            now = time.monotonic()
            longest = max(longest, now - before)
            if now - began < durations.NOT_READING:
                unread += len(frame)
        fates.note_stream(self.scope, longest, unread / amounts.MB)

    async def pass_on(self, frame: bytes) -> bool:
        """Send a frame of a stream; false if there is no use in another one."""
        await self.send(bytes_data=frame)
        return True


@cache
def make_frame() -> bytes:
    """One frame of the stream: noise, which no compression makes smaller."""
    return os.urandom(amounts.STREAM_MB * amounts.MB // amounts.FRAMES)
