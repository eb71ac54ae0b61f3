"""What hubs of one fleet tell each other: that a channel of one of them was moved by another.

A hub's consumers are in no group of the layer themselves; their hub is, for all of them. So the
layer alone cannot take one of them out again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeGuard

from channels.layers import BaseChannelLayer

from .canary import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .directory import Box
    from .hub import Hub

CONTROL_GROUP = f"{PREFIX}control"
"""Every hub is in it, and nobody else."""

KIND = "rc.membership"

_grammar = BaseChannelLayer()


class Control:
    """A member of the control group: this hub."""

    loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._tasks: set[asyncio.Task[None]] = set()
        self.groups: set[str] = set()

    def joined(self, group: str) -> None:
        """The control group was opened."""
        self.groups.add(group)

    def left(self, group: str) -> None:
        """The control group was closed."""
        self.groups.discard(group)

    async def get(self) -> Mapping[str, Any]:
        """Nobody receives from here."""
        raise NotImplementedError

    def is_unused(self, seconds: float) -> bool:
        """Never: a hub listens as long as it lives."""
        return False

    is_idle = False

    def put_frame(self, text: str, event: Mapping[str, Any], key: str | None = None) -> bool:
        """Nobody broadcasts here."""
        return True

    def put(self, event: Mapping[str, Any]) -> bool:
        """Another process has moved a channel; if it is one of ours, so do we."""
        group, channel = event.get("group"), event.get("channel")
        if event.get("type") != KIND or not _is_group(group) or not isinstance(channel, str):
            return True
        box = self._hub.directory.channels.get(channel)
        if box is not None:
            moving = self._move(group, channel, box, is_out=bool(event.get("is_out")))
            task = asyncio.get_running_loop().create_task(moving)
            self._tasks.add(task)
            task.add_done_callback(self._forget)
        return True

    async def _move(self, group: str, channel: str, box: Box, *, is_out: bool) -> None:
        limit = asyncio.get_running_loop().time() + self._hub.get_supervisor().deadline
        if is_out:
            await self._hub.leave(group, channel, limit)
        else:
            await self._hub.join(group, channel, box, limit)
            # From now on it is in by way of us, and would get everything twice.
            await self._hub.leave_upstream([(group, channel)], limit)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the layer refuses the group; whoever moved it was told


def _is_group(name: Any) -> TypeGuard[str]:
    try:
        return bool(_grammar.require_valid_group_name(name))
    except TypeError:
        return False


def tell_move(group: str, channel: str, *, is_out: bool) -> dict[str, Any]:
    """The event that says that *channel* was put into *group*, or taken out."""
    return {"type": KIND, "group": group, "channel": channel, "is_out": is_out}
