"""The consumers of the matrix: one that listens to two groups, and one that speaks all the time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from resilient_channels import AsyncResilientMixin

from ..subjects import AsyncSubject

if TYPE_CHECKING:
    from collections.abc import Mapping

PERIOD = 0.05


class Listener(AsyncSubject):
    """Is in one group of its own, and in one with all the others."""

    @property
    def shared(self) -> str:
        """The group that all are in."""
        return self.record.options["shared"]

    async def connect(self) -> None:
        """Join both groups."""
        await super().connect()
        await self.channel_layer.group_add(self.shared, self.channel_name)

    async def disconnect(self, code: Any) -> None:
        """Leave both groups."""
        await super().disconnect(code)
        await self.channel_layer.group_discard(self.shared, self.channel_name)


class Speaker(AsyncSubject):
    """Sends numbered messages to a group, steadily, for as long as its connection lives.

    Its record has ``sent N`` for every message, and ``returned N`` or ``failed N NAME`` for what
    became of that call to the layer.
    """

    is_quiet = False
    is_done = False

    async def do_begin(self, content: Mapping[str, Any]) -> None:
        """Start with number 0."""
        self.record.background.append(asyncio.create_task(self._speak(content["to"])))

    async def do_quiet(self, content: Mapping[str, Any]) -> None:
        """Say nothing for a while, or go on."""
        self.is_quiet = content["quiet"]

    async def do_stop(self, content: Mapping[str, Any]) -> None:
        """Send no more; what is on its way goes on."""
        self.is_done = True

    async def do_tell(self, content: Mapping[str, Any]) -> None:
        """Send one message each to some groups."""
        message = {"type": "chat.message", "text": content["text"]}
        for group in content["to"]:
            await self.channel_layer.group_send(group, message)

    async def _speak(self, group: str) -> None:
        loop = asyncio.get_running_loop()
        at, number = loop.time(), 0
        async with asyncio.TaskGroup() as sends:
            while not (self.is_done or self.record.ended):
                if not self.is_quiet:
                    # One that waits for its layer must not hold up those behind it.
                    sends.create_task(self._say(group, number))
                    number += 1
                at += PERIOD
                await asyncio.sleep(at - loop.time())

    async def _say(self, group: str, number: int) -> None:
        self.record.note(f"sent {number}")
        try:
            await self.channel_layer.group_send(
                group, {"type": "chat.message", "text": f"stream {number}"}
            )
        except Exception as error:  # noqa: BLE001 - whatever a layer raises is what we count
            self.record.note(f"failed {number} {type(error).__name__}")
        else:
            self.record.note(f"returned {number}")


class ResilientListener(AsyncResilientMixin, Listener):
    """The listener, resilient."""


class ResilientSpeaker(AsyncResilientMixin, Speaker):
    """The speaker, resilient."""
