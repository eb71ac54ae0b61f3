"""What waits in one channel until somebody receives it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mailbox:
    """A bounded queue of events. Any thread may put, and any event loop may get.

    Attributes:
        loop: ``None``: it may be put to from everywhere.
        groups: The groups that the channel is in.
    """

    __slots__ = ("_capacity", "_events", "_expiry", "_lock", "_receivers", "_used_at", "groups")

    loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, capacity: int, expiry: float) -> None:
        self._capacity = capacity
        self._expiry = expiry
        self._events: deque[tuple[float, Mapping[str, Any]]] = deque()
        self._receivers: deque[asyncio.Future[None]] = deque()
        self._lock = Lock()
        self.groups: set[str] = set()
        self._used_at = time.monotonic()

    def joined(self, group: str) -> None:
        """The channel was put into *group*."""
        self.groups.add(group)

    def left(self, group: str) -> None:
        """The channel was taken out of *group*."""
        self.groups.discard(group)

    def put(self, event: Mapping[str, Any]) -> bool:
        """Add an event; false if there is no room for it."""
        with self._lock:
            self._drop_expired()
            if len(self._events) >= self._capacity:
                return False
            self._events.append((time.monotonic() + self._expiry, event))
        self._wake_one()
        return True

    def put_frame(self, text: str, event: Mapping[str, Any], key: str | None = None) -> bool:
        """Whoever receives from here knows nothing of finished frames."""
        return self.put(dict(event))

    async def get(self) -> Mapping[str, Any]:
        """The oldest event, now or when it comes. Cancelled, it takes none."""
        loop = asyncio.get_running_loop()
        while True:
            self._used_at = time.monotonic()
            with self._lock:
                self._drop_expired()
                if self._events:
                    return self._events.popleft()[1]
                receiver = loop.create_future()
                self._receivers.append(receiver)
            try:
                await receiver
            except BaseException:
                self._give_up(receiver)
                raise

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits and nothing is in it."""
        return not (self._receivers or self._events)

    def is_unused(self, seconds: float) -> bool:
        """Whether nobody waits, nor has asked for an event for so long."""
        return not self._receivers and time.monotonic() - self._used_at > seconds

    def _drop_expired(self) -> None:
        now = time.monotonic()
        while self._events and self._events[0][0] < now:
            self._events.popleft()

    def _wake_one(self) -> None:
        here = asyncio._get_running_loop()
        while True:
            with self._lock:
                if not self._receivers:
                    return
                receiver = self._receivers.popleft()
            if receiver.done():
                continue
            loop = receiver.get_loop()
            if loop is here:
                receiver.set_result(None)
                return
            with suppress(RuntimeError):  # that loop is closed: somebody else's turn
                loop.call_soon_threadsafe(_resolve, receiver)
                return

    def _give_up(self, receiver: asyncio.Future[None]) -> None:
        with self._lock:
            with suppress(ValueError):
                self._receivers.remove(receiver)
                return
            has_events = bool(self._events)
        if has_events:
            self._wake_one()  # it had been woken, and cannot take any more


def _resolve(receiver: asyncio.Future[None]) -> None:
    if not receiver.done():
        receiver.set_result(None)
