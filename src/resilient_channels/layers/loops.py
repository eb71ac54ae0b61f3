"""The hubs of one layer: one for each event loop of the process that uses it."""

from __future__ import annotations

import asyncio
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ..core.policies import LayerPolicy
    from .directory import Event


class Loops:
    """Finds hubs by event loop, and channels by hub; from any thread."""

    def __init__(
        self,
        alias: Callable[[], str],
        layer: Any,
        policy: Callable[[], LayerPolicy],
        keep_stray: Callable[[str, Event], None],
    ) -> None:
        self._alias = alias
        self._layer = layer
        self._policy = policy
        self._keep_stray = keep_stray
        self._hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()
        self._lock = Lock()

    def get_hub(self) -> Hub:
        """The hub of the running event loop."""
        loop = asyncio.get_running_loop()
        hub = self._hubs.get(loop)
        if hub is None:
            with self._lock:
                # What still waits on a closed loop may refer to it, and would keep it for ever.
                for other in list(self._hubs):
                    if other.is_closed():
                        del self._hubs[other]
                hub = Hub(
                    self._alias, self._layer, self._policy, self._claim_number, self._keep_stray
                )
                self._hubs[loop] = hub
        return hub

    def find_home(self, channel: str) -> tuple[asyncio.AbstractEventLoop, Hub] | None:
        """The event loop that *channel* is used on, and its hub; none, if it is not ours."""
        for loop, hub in self._living():
            if channel in hub.directory.channels:
                return loop, hub
        hub = self.get_hub()
        return (asyncio.get_running_loop(), hub) if hub.owns(channel) else None

    def serve_all(self, group: str, event: Event) -> None:
        """Give *event* to every member of *group* in this process, at once."""
        for _, hub in self._living():
            hub.deliver_from_anywhere(group, event)

    def _claim_number(self) -> int:
        """What tells one receiving event loop from the others."""
        taken = {hub.number for _, hub in self._living()}
        return next(number for number in count() if number not in taken)

    def _living(self) -> list[tuple[asyncio.AbstractEventLoop, Hub]]:
        with self._lock:
            return [(loop, hub) for loop, hub in self._hubs.items() if not loop.is_closed()]


async def run_there(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    """Run *work* on *loop*, another thread's."""
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
