"""``self.resilient``: everything a consumer may ask of its connection, under one name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .tasks import check_coroutine

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

    from .core.disconnects import DisconnectInfo
    from .driver import Driver


class Handle:
    """A consumer's handle on its connection.

    On a consumer that was never called (a unit test's), ``info`` and ``rtt`` are ``None``,
    ``groups`` is empty and ``spawn`` starts a plain task.
    """

    __slots__ = ("_driver",)

    def __init__(self, driver: Driver | None) -> None:
        self._driver = driver

    @property
    def info(self) -> DisconnectInfo | None:
        """How the connection ended; ``None`` while it is open."""
        if self._driver is None or not self._driver.link.is_over:
            return None
        return self._driver.link.info

    @property
    def rtt(self) -> float | None:
        """Seconds that the last answered ping took, there and back.

        ``None`` before the first answer, and for a client that gets no heartbeat.
        """
        if self._driver is None or self._driver.heartbeat is None:
            return None
        return self._driver.heartbeat.rtt

    @property
    def groups(self) -> frozenset[str]:
        """The groups the consumer is in, or will be in once the channel layer is back."""
        if self._driver is None or self._driver.layer.client is None:
            return frozenset()
        return frozenset(self._driver.layer.client.groups)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | Future[Any]:
        """Run a background task that the connection owns.

        When the connection ends the task is cancelled, after ``disconnect()``, and awaited. What
        it raises is logged as ``task.error``; a :class:`ConnectionClosed` from a send is its
        normal end. May be called from a synchronous handler; it then returns a
        :class:`concurrent.futures.Future`.

        Raises:
            TypeError: *coroutine* is not a coroutine object.
            ConnectionClosed: The connection has been cleaned up.
        """
        if self._driver is None:
            check_coroutine(coroutine)
            return asyncio.get_running_loop().create_task(coroutine)
        return self._driver.tasks.spawn(coroutine)
