"""Which channels of this process are in which group, and how each is handed an event."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from ..core import events
from ..core.frames import encode, is_broadcast, read_key, without_mark
from ..observers import notify
from .mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Event = Mapping[str, Any]

AT_ONCE = 200
"""Members that are served before others get their turn: some milliseconds' work."""

DESERTED = 600.0
"""Seconds after which nobody is told any more that a channel overflows: its consumer has gone."""

REPORT_AFTER, REPORT_EVERY = 1.0, 10.0
"""Seconds from the first dropped event to the record about it, and between two of those."""

MAX_COUNTED = 10_000
"""Beyond so many full channels in one record, nobody needs to know how many exactly."""


class Box(Protocol):
    """Where the events of one channel go.

    Attributes:
        loop: The event loop whose thread alone may put; ``None``: every thread may.
        groups: The groups that the channel is in.
    """

    @property
    def groups(self) -> Collection[str]: ...
    def joined(self, group: str, /) -> None: ...
    def left(self, group: str, /) -> None: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop | None: ...
    def put(self, event: Event, /) -> bool: ...
    def put_frame(self, text: str, event: Event, key: str | None = None, /) -> bool: ...
    async def get(self) -> Event: ...
    def is_unused(self, seconds: float, /) -> bool: ...
    @property
    def is_idle(self) -> bool: ...


class Directory:
    """The local side of a hub: a message to a group of N members is N appends here.

    Attributes:
        channels: Where the events of each channel go.
        groups: The members of each group, with where their events go.
    """

    def __init__(self, alias: Callable[[], str]) -> None:
        self.channels: dict[str, Box] = {}
        self.groups: dict[str, dict[str, Box]] = {}
        self._losses = Losses(alias)

    # --- who is there --------------------------------------------------------------------------

    def register(self, channel: str, box: Box) -> None:
        """Let events for *channel* go to *box*."""
        self.channels[channel] = box

    def unregister(self, channel: str) -> list[str]:
        """Forget *channel*; returns the groups that nobody is left in."""
        box = self.channels.pop(channel, None)
        return [] if box is None else self.leave_all(channel, box)

    def join(self, group: str, channel: str, box: Box) -> bool:
        """Put *channel* into *group*; whether it is the first there."""
        members = self.groups.get(group)
        is_first = members is None
        if members is None:
            members = self.groups[group] = {}
        members[channel] = box
        box.joined(group)
        return is_first

    def leave(self, group: str, channel: str) -> bool:
        """Take *channel* out of *group*; whether nobody is left there."""
        members = self.groups.get(group, {})
        box = members.pop(channel, None)
        if box is None:
            return False
        box.left(group)
        if members:
            return False
        del self.groups[group]
        return True

    def leave_all(self, channel: str, box: Box) -> list[str]:
        """Take *channel* out of every group; returns those that nobody is left in."""
        return [group for group in tuple(box.groups) if self.leave(group, channel)]

    def clear(self) -> list[str]:
        """Forget everything but the channels of live connections, who are in no group then.

        Returns:
            The channels that were forgotten.
        """
        for group, members in self.groups.items():
            for box in members.values():
                box.left(group)
        self.groups.clear()
        dropped = [channel for channel, box in self.channels.items() if isinstance(box, Mailbox)]
        for channel in dropped:
            del self.channels[channel]
        return dropped

    def is_member(self, group: str, channel: str) -> bool:
        """Whether *channel* is in *group*."""
        return channel in self.groups.get(group, ())

    def find_unused(self, expiry: float, group_expiry: float) -> list[str]:
        """Channels that nobody receives from any more.

        Those in a group have longer: their consumer may be busy.
        """
        return [
            channel
            for channel, box in list(self.channels.items())
            if box.is_unused(group_expiry if box.groups else expiry)
        ]

    # --- events --------------------------------------------------------------------------------

    def deliver(self, group: str, event: Event) -> None:
        """Give every member of *group* a copy of *event*, all at once."""
        members = self.groups.get(group)
        if members:
            self._hand_out(tuple(members.values()), *_read(event))

    async def fan_out(self, group: str, event: Event) -> None:
        """As :meth:`deliver`, a crowd a part at a time, so that others get their turn."""
        members = self.groups.get(group)
        if members:
            await self.fan_out_to(tuple(members.values()), event)

    async def fan_out_to(self, boxes: tuple[Box, ...], event: Event) -> None:
        """Give each of *boxes* a copy of *event*."""
        text, event, key = _read(event)
        for start in range(0, len(boxes), AT_ONCE):
            if start:
                await asyncio.sleep(0)
            self._hand_out(boxes[start : start + AT_ONCE], text, event, key)

    def put(self, box: Box, event: Event) -> None:
        """Give *event* to one."""
        if not put_to(box, event):
            self._lose(box)

    def _lose(self, box: Box) -> None:
        if not box.is_unused(DESERTED):
            self._losses.note(box)

    def _hand_out(
        self, boxes: tuple[Box, ...], text: str | None, event: Event, key: str | None
    ) -> None:
        here = asyncio._get_running_loop()
        for box in boxes:
            loop = box.loop
            if loop is not None and loop is not here:
                _call_there(loop, self._hand_out, (box,), text, event, key)
            elif not (box.put(dict(event)) if text is None else box.put_frame(text, event, key)):
                self._lose(box)


def _read(event: Event) -> tuple[str | None, Event, str | None]:
    """The text of a broadcast's frame, made once for all members; the ordinary event; the key."""
    if not is_broadcast(event):
        return None, event, None
    key = read_key(event)
    event, text = without_mark(event), None
    with suppress(KeyError, TypeError, ValueError):  # somebody else's idea of a broadcast
        text = encode(event)
    return text, event, key


def put_to(box: Box, event: Event) -> bool:
    """Whether *box* has taken *event*; another loop's is believed to."""
    loop = box.loop
    if loop is None or loop is asyncio._get_running_loop():
        return box.put(event)
    _call_there(loop, box.put, event)
    return True


def _call_there(loop: asyncio.AbstractEventLoop, function: Any, *args: Any) -> None:
    with suppress(RuntimeError):  # that loop is closed, and nobody is there
        loop.call_soon_threadsafe(function, *args)


class Losses:
    """Counts what was dropped, and says so now and then.

    Attributes:
        total: How many events were dropped so far.
    """

    def __init__(self, alias: Callable[[], str]) -> None:
        self._alias = alias
        self._dropped = 0
        self._boxes: set[int] = set()
        self._due = 0.0
        self._told_at = -REPORT_EVERY
        self.total = 0

    def note(self, box: Box) -> None:
        """An event for *box* was dropped."""
        self.total += 1
        self._dropped += 1
        if len(self._boxes) < MAX_COUNTED:
            self._boxes.add(id(box))
        now = time.monotonic()
        loop = asyncio._get_running_loop()
        if now >= self._due and loop is not None:
            # A moment later: a crowd that is full is told of in one record.
            delay = max(REPORT_AFTER, self._told_at + REPORT_EVERY - now)
            # A loop that ends meanwhile keeps nobody quiet for long.
            self._due = now + delay + REPORT_AFTER
            loop.call_later(delay, self._report)

    def _report(self) -> None:
        dropped, channels = self._dropped, len(self._boxes)
        self._dropped, self._due = 0, 0.0
        self._boxes.clear()
        if dropped:
            self._told_at = time.monotonic()
            notify(events.LayerOverflow(alias=self._alias(), dropped=dropped, channels=channels))
