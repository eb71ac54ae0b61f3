"""A connection's side of the channel layer: the client, its reader, and outages."""

from __future__ import annotations

import asyncio
from random import random
from typing import TYPE_CHECKING, Any

from ..core import events
from ..core.codes import CloseCode
from ..core.disconnects import DisconnectKind
from ..core.frames import Frame
from ..exceptions import GroupLimitExceeded
from ..forwarding import forward
from ..observers import notify
from .client import LayerClient
from .hub_client import HubClient
from .proxy import LayerProxy
from .resilient import ResilientChannelLayer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..core.inbox import Message
    from ..driver import Driver

READER = "resilient_channels.layer"

HANDLERS = {"layer.down": "layer_down", "layer.up": "layer_up"}


class LayerSide:
    """What one connection has to do with its channel layer.

    Attributes:
        client: What stands behind the consumer's ``channel_layer``; ``None`` if it has none.
        last_event: The event handed out last by :meth:`next_layer_event`.
    """

    __slots__ = ("_driver", "_has_told_limit", "_hold_timer", "_reader", "client", "last_event")

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._has_told_limit = False
        self._hold_timer: asyncio.TimerHandle | None = None
        self.client: LayerClient | HubClient | None = None
        self.last_event: Message | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def is_down(self) -> bool:
        """Whether an outage of the layer is known."""
        return self.client is not None and self.client.is_down

    def adopt(self, layer: Any) -> LayerProxy:
        """Wrap the consumer's channel layer."""
        policy = self._driver.policies.layer
        if isinstance(layer, ResilientChannelLayer):
            self.client = HubClient(layer, policy, self)
        else:
            alias = self._driver.consumer.channel_layer_alias
            self.client = LayerClient(alias, layer, policy, self)
        return LayerProxy(layer, self.client)

    def remember_declared_groups(self) -> None:
        """Once connected: a consumer may join the groups it declares by other ways than ours."""
        declared = getattr(self._driver.consumer, "groups", None)
        if self.client is not None and self._driver.link.accepted and declared:
            self.client.remember(declared)

    def stop_waiting(self) -> None:
        """The connection ends by itself; no need to end it for an outage."""
        if self._hold_timer is not None:
            self._hold_timer.cancel()

    # --- what the client reports ----------------------------------------------------------------

    def start_layer_reader(self) -> None:
        """The consumer has a channel: begin to read it."""
        assert isinstance(self.client, LayerClient)  # noqa: S101  # it is the client that calls
        reading = self.client.read_supervised(self._driver.intake)
        self._reader = self._driver.spawn_reader(reading, READER)

    def restart_layer_reader(self) -> None:
        """Begin to read anew, once the old reader has let go."""
        old = self._reader
        if old is None or old.cancelling():
            return
        old.cancel()
        self._reader = self._driver.spawn_reader(self._read_after(old), READER)

    async def _read_after(self, old: asyncio.Task[None]) -> None:
        assert isinstance(self.client, LayerClient)  # noqa: S101  # it is the client that calls
        await asyncio.wait({old})
        await self.client.read_supervised(self._driver.intake)

    async def next_layer_event(self) -> Message:
        """The next event, for a consumer that calls ``channel_receive`` itself."""
        self.last_event = await self._driver.intake.next_event()
        return self.last_event

    def check_group(self, group: str, groups: Collection[str]) -> None:
        """Raise if the consumer is in *groups*, and may not be in *group* as well."""
        limit = self._driver.policies.limits.groups
        if limit is None or len(groups) < limit or group in groups:
            return
        if not self._has_told_limit:
            self._has_told_limit = True
            cause = "groups"
            notify(events.LimitExceeded(**self._driver.who, cause=cause, code=None, limit=limit))
        raise GroupLimitExceeded(limit)

    def channel_named(self, channel: str) -> None:
        """The layer gave the channel its name late."""
        self._driver.consumer.channel_name = channel

    def offer_event(self, event: Mapping[str, Any], capacity: int) -> bool:
        """Queue an event that a hub has for the consumer; false if there is no room."""
        return self._driver.intake.offer_event(event, capacity)

    def offer_frame(
        self, text: str, event: Mapping[str, Any], key: str | None, capacity: int
    ) -> bool:
        """Queue a finished frame, or *event* for a consumer that makes its own."""
        driver = self._driver
        if not driver.traits.takes_frames:
            return driver.intake.offer_event(dict(event), capacity)
        frame = {"type": "websocket.send", "text": text}
        if driver.intake.is_waiting():  # there is nothing before it
            forward(driver, frame, key)
            return True
        return driver.intake.offer_event(Frame(frame, key), capacity)

    def layer_event(self, event: Mapping[str, Any]) -> None:
        """An outage began or ended: tell a consumer that has a handler for it."""
        if callable(getattr(self._driver.consumer, HANDLERS[event["type"]], None)):
            self._driver.intake.post(dict(event))
        self.stop_waiting()
        hold = self._driver.policies.layer.hold
        if event["type"] == "layer.down" and hold is not None:
            # Spread, or everybody would come back in the same second.
            delay = hold + random() * max(1.0, hold / 5)
            self._hold_timer = self._driver.loop.call_later(delay, self._give_up)

    def _give_up(self) -> None:
        self._driver.close_soon(CloseCode.LAYER_DOWN, DisconnectKind.LAYER)
