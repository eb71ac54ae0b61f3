"""Joining groups upstream: all who join one group at once wait for the same call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..exceptions import LayerUnavailable
from .attempts import attempt

if TYPE_CHECKING:
    from .hub import Hub
    from .uplink import Uplink


class Joins:
    """The joins of one hub that are under way, by group."""

    def __init__(self, hub: Hub, layer: Any, uplink: Uplink) -> None:
        self._hub = hub
        self._layer = layer
        self._uplink = uplink
        self._tasks: dict[str, asyncio.Task[Exception | None]] = {}

    def __contains__(self, group: str) -> bool:
        return group in self._tasks

    async def wait(self, group: str, limit: float) -> Exception | None:
        """Wait until *group* is joined, or *limit* o'clock.

        Returns:
            What a layer that is well refuses the group with. ``None``: it was joined, or will be.
        """
        joining = self._tasks.get(group)
        if joining is None:
            loop = asyncio.get_running_loop()
            joining = self._tasks[group] = loop.create_task(self._join(group))
        remaining = limit - asyncio.get_running_loop().time()
        await asyncio.wait({joining}, timeout=max(remaining, 0.0))
        return joining.result() if joining.done() and not joining.cancelled() else None

    def forget(self, group: str) -> None:
        """Nobody is in *group* any more. Whoever joins again has another channel, and call."""
        self._tasks.pop(group, None)

    async def _join(self, group: str) -> Exception | None:
        """Join with the channel that *group* has now; what fails for an outage is done later."""
        supervisor = self._hub.get_supervisor()
        limit = asyncio.get_running_loop().time() + supervisor.deadline
        try:
            async with asyncio.timeout_at(limit), supervisor.membership.slots:
                channel = await self._uplink.get_channel(group)
                if channel is None:
                    return None  # it was left meanwhile
                operation = self._layer.group_add
                await attempt(supervisor, "group_add", limit, operation, group, channel)
        except (LayerUnavailable, TimeoutError):
            supervisor.join_later(self._hub)
        except Exception as error:  # noqa: BLE001  # raised by whoever waits for it
            return error
        else:
            if self._uplink.channel_for(group) == channel:
                self._hub.unconfirmed.discard(group)
            else:
                supervisor.discard_later(group, channel)  # it was left meanwhile
        finally:
            if self._tasks.get(group) is asyncio.current_task():
                del self._tasks[group]
        return None
