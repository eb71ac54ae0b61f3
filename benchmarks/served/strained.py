"""A consumer whose clients stop reading, vanish and freeze, and what is left of them."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from typing import TYPE_CHECKING, Any

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from resilient_channels import AsyncResilientMixin, broadcast, on_disconnect
from resilient_channels.queueing import pool
from resilient_channels.registry import registry
from resilient_channels.wheel import get_wheel

from . import inspection
from .messages import FILL, GROUP, TELL

if TYPE_CHECKING:
    from resilient_channels import DisconnectInfo

CHUNK = "x" * 65_536
# Nobody who reads needs so long for one chunk.
STUCK = 0.5

_filled: list[float] = []
_endings: list[tuple[float, int]] = []


class Strained(AsyncResilientMixin, AsyncWebsocketConsumer):
    """Is in a group with everybody; sends back every text that is no order."""

    groups = [GROUP]  # noqa: RUF012

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Do what the text says."""
        order, _, arguments = (text_data or "").partition(" ")
        if order == FILL:
            self.resilient.spawn(self.fill())
        elif order == TELL:
            count, size, pause = arguments.split()
            self.resilient.spawn(tell(int(count), int(size), float(pause)))
        else:
            await self.send(text_data=text_data)

    async def fill(self) -> None:
        """Send to this client until every buffer on the way is full."""
        while True:
            began = time.monotonic()
            sending = asyncio.ensure_future(self.safe_send(CHUNK))
            done, _ = await asyncio.wait({sending}, timeout=STUCK)
            if not done:
                _filled.append(began)
                await sending
                return

    @on_disconnect
    async def ended(self, info: DisconnectInfo) -> None:
        """Note when."""
        _endings.append((time.monotonic(), info.code))


async def tell(count: int, size: int, pause: float) -> None:
    """Tell everybody, again and again; each message says when it was due."""
    due = time.monotonic()
    for _ in range(count):
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await broadcast(GROUP, {"due": due, "pad": "x" * size}, type="benchmark.told")
        due += pause


def tell_endings() -> dict[str, Any]:
    """When buffers were full, and which connections have ended since somebody asked."""
    found = {"filled": list(_filled), "endings": list(_endings)}
    _filled.clear()
    _endings.clear()
    return found


def tell_rest() -> dict[str, Any]:
    """What the process holds. The question's own connection is part of it each time."""
    gc.collect()
    groups = get_channel_layer().get_directory().groups
    # uvloop does not tell how many there are, and Daphne's are Twisted's.
    timers = sum(type(each).__name__ in ("TimerHandle", "DelayedCall") for each in gc.get_objects())
    return {
        "tasks": len(asyncio.all_tasks()),
        "timers": timers + len(get_wheel(asyncio.get_running_loop())),
        "objects": len(gc.get_objects()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "groups": len(groups),
        "members": sum(len(members) for members in groups.values()),
        "connections": len(registry),
        "waiting": pool.size,
    }


inspection.more.update({"/endings": tell_endings, "/rest": tell_rest})
