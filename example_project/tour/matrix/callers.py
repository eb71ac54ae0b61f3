"""Who calls the crowd from outside, to learn whether its groups are whole."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from .rigs import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..stage import Connection
    from .rigs import Rig

EVERY = 0.2


class Caller(Protocol):
    """Sends to groups."""

    async def call(self, text: str, groups: Iterable[str]) -> None:
        """Send *text* to each of *groups*, as far as possible; there will be another call."""

    async def close(self) -> None:
        """Let its connections go."""


class Outsider:
    """A process on the bare layer, with a good link to Redis: it knows who is in a group there."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._layer: Any = None

    async def call(self, text: str, groups: Iterable[str]) -> None:
        """See ``Caller``."""
        if self._layer is None:
            self._layer = self._make_layer()
        try:
            for group in groups:
                async with asyncio.timeout(2):
                    message = {"type": "chat.message", "text": text}
                    await self._layer.group_send(group, message)
        except Exception:  # noqa: BLE001 - its own connections have to be good, so: new ones
            await self.close()

    async def close(self) -> None:
        """Let its connections go."""
        layer, self._layer = self._layer, None
        if layer is not None:
            # On the one layer flush() closes connections; on the other it deletes keys.
            await getattr(layer, "close_pools", layer.flush)()

    def _make_layer(self) -> Any:
        module, _, name = BACKENDS[self._rig.layer].rpartition(".")
        return getattr(import_module(module), name)(hosts=[self._rig.broker.host])


class Insider:
    """The speaker's own process: there is no other for a layer in memory."""

    def __init__(self, speaker: Connection) -> None:
        self._speaker = speaker

    async def call(self, text: str, groups: Iterable[str]) -> None:
        """See ``Caller``."""
        await self._speaker.do("tell", text=text, to=list(groups))

    async def close(self) -> None:
        """Nothing to let go."""
