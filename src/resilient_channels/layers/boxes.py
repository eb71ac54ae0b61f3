"""Mailboxes for channels that are received from by ``receive``: made, kept, and given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .mailbox import Mailbox

if TYPE_CHECKING:
    from .directory import Box, Directory, Event
    from .resilient import ResilientChannelLayer

LINGER = 10.0
"""Seconds that a channel is kept whose receiver has given up."""

PURGE_FROM = 256
"""So many channels are not worth a look at which of them nobody uses any more."""


class Boxes:
    """Those of one layer. What nobody receives yet waits in the directory of the whole process."""

    def __init__(self, layer: ResilientChannelLayer, strays: Directory) -> None:
        self._layer = layer
        self._strays = strays
        self._purge_at = PURGE_FROM

    def make(self, directory: Directory, channel: str) -> Box:
        """A box for *channel* in *directory*, with what has come for it so far."""
        self._purge(directory)
        if self._layer.upstream is None:
            return self._register(directory, channel)
        box = self._strays.channels.pop(channel, None) or self._make(channel)
        self._layer.get_hub().register(channel, box)
        return box

    def keep_stray(self, channel: str, event: Event) -> None:
        """Keep an event for a channel that nobody receives from: yet, or any more."""
        self._purge(self._strays)
        strays = self._strays
        box = strays.channels.get(channel) or self._register(strays, channel)
        box.put(dict(event))

    def drop_later(self, directory: Directory, channel: str, box: Box) -> None:
        """Who gives up receiving and is in no group has gone, unless it comes back soon."""

        def drop() -> None:
            is_ours = directory.channels.get(channel) is box
            if is_ours and box.is_idle and not box.groups and box.is_unused(LINGER / 2):
                self._drop(directory, channel)

        asyncio.get_running_loop().call_later(LINGER, drop)

    def _make(self, channel: str) -> Box:
        return Mailbox(self._layer.get_capacity(channel), self._layer.expiry)

    def _register(self, directory: Directory, channel: str) -> Box:
        box = self._make(channel)
        directory.register(channel, box)
        return box

    def _purge(self, directory: Directory) -> None:
        if len(directory.channels) < self._purge_at:
            return
        for unused in directory.find_unused(self._layer.expiry, self._layer.group_expiry):
            self._drop(directory, unused)
        self._purge_at = max(PURGE_FROM, 2 * len(directory.channels))

    def _drop(self, directory: Directory, channel: str) -> None:
        if directory is self._strays:
            directory.unregister(channel)
        else:
            hub = self._layer.get_hub()
            hub.leave_soon(hub.unregister(channel))
