"""Receiving from channels that other processes receive from, too, as ``runworker`` does.

Such a channel is never read ahead: what a process has read, no other process gets.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

from .. import compat
from ..core.backoff import Backoff

if TYPE_CHECKING:
    from .supervision import Supervisor

LINGER = 5.0
"""Seconds without a receiver after which the layer need not be watched any more."""

REFUSALS = 5
"""Failures in a row, of a layer that is well, after which it is the channel's fault."""

PATIENCE = 1.0
"""A call that fails later than this was waiting, and not refused."""


class Hub(Protocol):
    """What is needed of the hub."""

    def get_supervisor(self) -> Supervisor: ...
    def leave_soon(self, leaves: list[tuple[str, str]], /) -> None: ...


class SharedReceivers:
    """Those of one event loop. True while there are any, and for a moment after."""

    def __init__(self, hub: Hub, layer: Any) -> None:
        self._hub = hub
        self._layer = layer
        self._tasks: set[asyncio.Task[dict[str, Any]]] = set()
        self._returned: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._lingering: asyncio.TimerHandle | None = None
        self._waiting = 0

    def __bool__(self) -> bool:
        return self._waiting > 0 or self._lingering is not None

    async def receive(self, channel: str) -> dict[str, Any]:
        """The next event of *channel*, however often the layer fails meanwhile.

        Raises:
            Exception: What a layer that is well refuses the channel with.
        """
        if channel in self._returned:
            first, *rest = self._returned.pop(channel)
            if rest:
                self._returned[channel] = rest
            return first
        self._waiting += 1
        try:
            while True:
                task = asyncio.ensure_future(self._receive_one(channel))
                self._tasks.add(task)
                try:
                    await asyncio.wait({task})
                except asyncio.CancelledError:
                    await self._take_back(channel, task)
                    raise
                finally:
                    self._tasks.discard(task)
                if not task.cancelled():  # if so, it was restarted
                    return task.result()
        finally:
            self._waiting -= 1
            self._linger()

    def restart(self) -> None:
        """Begin to receive anew: what waits now may wait for ever."""
        for task in tuple(self._tasks):
            task.cancel()

    def stop_lingering(self) -> None:
        """If nobody receives now, nobody will."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    async def _take_back(self, channel: str, task: asyncio.Task[dict[str, Any]]) -> None:
        """Nobody waits for *task* any more; what it has got is for the next one."""
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
        if task.done() and not task.cancelled() and task.exception() is None:
            self._returned[channel].append(task.result())

    async def _receive_one(self, channel: str) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        supervisor = self._hub.get_supervisor()
        backoff = Backoff()
        refusals = 0
        while True:
            started = loop.time()
            try:
                event: dict[str, Any] = await self._layer.receive(channel)
            except Exception:
                if loop.time() - started > PATIENCE:
                    refusals = 0
                    backoff.reset()
                if await supervisor.is_answering():
                    refusals += 1
                if refusals >= REFUSALS:
                    raise
                await supervisor.wait_until_up()
                if refusals > 1:
                    await asyncio.sleep(backoff.next_delay(1.0))
            else:
                compat.heed_cleaner(self._layer)
                return event

    def _linger(self) -> None:
        if self._lingering is None:
            loop = asyncio.get_running_loop()
            self._lingering = loop.call_later(LINGER, self._end)

    def _end(self) -> None:
        self._lingering = None
        if not self._waiting:
            self._hub.leave_soon([])
