"""A channel name from a layer that may be slow to give one, or down."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..exceptions import LayerUnavailable

if TYPE_CHECKING:
    from .supervision import Supervisor


class Naming:
    """Asks a layer for a channel name until it has given one.

    Attributes:
        channel: The name, once there is one.
    """

    __slots__ = ("_layer", "_supervisor", "_task", "channel")

    def __init__(self, layer: Any, supervisor: Supervisor) -> None:
        self._layer = layer
        self._supervisor = supervisor
        self._task: asyncio.Task[str] | None = None
        self.channel: str | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the layer was ever asked."""
        return self._task is not None or self.channel is not None

    async def try_for(self, patience: float, *args: Any, **kwargs: Any) -> str | None:
        """Ask now; the name, if it comes within *patience* seconds without an error."""
        task = self._begin(*args, **kwargs)
        await asyncio.wait({task}, timeout=max(patience, 0.0))
        if not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return self._take(task)

    async def get(self) -> str:
        """The name, now or as soon as the layer is up.

        Raises:
            LayerUnavailable: The layer hangs. To be asked again.
            Exception: What the layer raised. To be asked again.
        """
        if self.channel is not None:
            return self.channel
        task, deadline = self._task, self._supervisor.deadline
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            await self._supervisor.wait_until_up()
            task = self._begin()
        await asyncio.wait({task}, timeout=deadline)
        if not task.done():
            # It may hang on a connection that is dead by now, so the next attempt is a new one.
            task.cancel()
            self._task = None
            raise LayerUnavailable(self._supervisor.alias, "new_channel", deadline)
        return self._take(task)

    def stop(self) -> None:
        """Nobody needs the name any more."""
        if self._task is not None:
            self._task.cancel()

    def _begin(self, *args: Any, **kwargs: Any) -> asyncio.Task[str]:
        task: asyncio.Task[str]
        task = self._task = asyncio.ensure_future(self._layer.new_channel(*args, **kwargs))
        # A failure is looked at when the name is needed, which may be never.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return task

    def _take(self, task: asyncio.Task[str]) -> str:
        self.channel = str(task.result())
        self._task = None
        return self.channel
