"""Two processes on one broker, each with a layer of its own, in one event loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from shells.members import Member
from support.hubs import AnyLayer, around
from support.layers import installed


class There(Member):
    """A member in the other process."""

    channel_layer_alias = "there"


class PlainThere(AsyncWebsocketConsumer):
    """One without the mixin, in the other process."""

    groups = ["room"]
    channel_layer_alias = "there"

    async def news(self, event: dict[str, Any]) -> None:
        await self.send(event["text"])


@contextmanager
def two_processes(layer: AnyLayer, *, hub_there: bool = True) -> Iterator[tuple[Any, Any]]:
    """The other process, next to the one that *layer* is installed in: what it has installed, and
    the layer at its bottom."""
    bottom = layer.neighbour()
    there = around(bottom) if hub_there else bottom
    with installed(there, "there"):
        yield there, bottom
