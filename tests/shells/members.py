"""Consumers that live by their channel layer, and what happens to it."""

import asyncio
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from shells.visits import Visit, note, settle
from support.faults import HANG
from support.hubs import AnyLayer

FAILURES = [
    ConnectionError("refused"),
    RuntimeError("pool is closed"),
    AttributeError("None"),
    HANG,
]


class Member(AsyncWebsocketConsumer):
    """Is in one group, echoes its client, passes on what the group says."""

    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data)

    async def news(self, event):
        await self.send(event["text"])


class Curious(Member):
    """Wants to hear of outages."""

    async def layer_down(self, event):
        note(self, event)

    async def layer_up(self, event):
        note(self, event)


async def tell_room(layer: AnyLayer, text: str) -> None:
    """Send to the group as another process would."""
    await layer.group_send("room", {"type": "news", "text": text})
    await settle()


async def hears(layer: AnyLayer, *visits: Visit) -> list[bool]:
    """Which of the connections get what is sent to the group now."""
    before = [len(visit.texts) for visit in visits]
    await tell_room(layer, "do you hear me?")
    return [len(visit.texts) > count for visit, count in zip(visits, before, strict=True)]


def break_down(layer: AnyLayer, fault: Any) -> None:
    """Let every call fail, or freeze the layer.

    Frozen, as a stopped process is: it takes no call, and who waits for an event waits on.
    """
    still_waits = {"receive"} if fault == HANG else set()
    layer.break_down(fault, *(set(layer.operations) - still_waits))


async def outage(layer: AnyLayer, fault: Any, seconds: float = 30) -> None:
    """Let the layer be out of order for a while."""
    break_down(layer, fault)
    await asyncio.sleep(seconds)
    layer.heal()
