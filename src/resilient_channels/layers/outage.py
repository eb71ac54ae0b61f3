"""An outage of a channel layer, from its first sign to its end, and who is told of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..core import events
from ..observers import notify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .membership import Membership


class Outage:
    """Whether a layer is out of order.

    Attributes:
        is_going_on: It is.
        event: What consumers are told of the last one's beginning.
    """

    def __init__(self, alias: str, membership: Membership) -> None:
        self._alias = alias
        self._membership = membership
        self._since = 0.0
        self._over = asyncio.Event()
        self._over.set()
        self.is_going_on = False
        self.event: Mapping[str, Any] = {}

    def begin(self, error: BaseException | None) -> None:
        """The layer does not answer. From now on no membership is taken for granted."""
        if self.is_going_on:
            return
        self.is_going_on = True
        self._over.clear()
        self._since = asyncio.get_running_loop().time()
        name = type(error).__name__ if error is not None else "no message arrived"
        connections = self._membership.count_connections()
        notify(events.LayerDown(alias=self._alias, error=name, connections=connections))
        self.event = {"type": "layer.down", "alias": self._alias, "error": name}
        self._membership.doubt_all()
        self._tell_members(self.event)

    def end(self) -> None:
        """The layer answers again, and every group that it lets us join was joined again."""
        self.is_going_on = False
        self._over.set()
        downtime = asyncio.get_running_loop().time() - self._since
        groups = self._membership.count_groups()
        notify(events.LayerUp(alias=self._alias, downtime=round(downtime, 3), groups=groups))
        self._tell_members({"type": "layer.up", "alias": self._alias, "downtime": downtime})

    async def wait_until_over(self) -> None:
        """Return when no outage is known."""
        await self._over.wait()

    def _tell_members(self, event: Mapping[str, Any]) -> None:
        for member in self._membership.members():
            member.layer_event(event)
