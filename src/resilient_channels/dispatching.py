"""How a message reaches its handler: as in Channels, without the hop to a thread before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import compat
from .databases import close_old_connections, ledgers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .core.inbox import Message
    from .driver import Driver

VISIT = {"type": "close_old_connections"}
"""Stands for the message where an error is reported that no handler raised."""


def find_dispatch(driver: Driver) -> Callable[[Message], Awaitable[None]]:
    """What to call with each message of a consumer.

    Its own ``dispatch``, unless that is the one of ``AsyncConsumer``.
    """
    if compat.has_channels_dispatch(driver.consumer):
        return _Dispatcher(driver).dispatch
    dispatch: Callable[[Message], Awaitable[None]] = driver.consumer.dispatch
    return dispatch


class _Dispatcher:
    """Dispatches to an async consumer."""

    __slots__ = ("_driver",)

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    @compat.is_dispatch
    def dispatch(self, message: Message) -> Awaitable[None]:
        """Call the handler of *message*; fail in the words of Channels if there is none."""
        driver = self._driver
        name = compat.find_handler_name(message)
        handler = getattr(driver.consumer, name, None)
        if not handler:
            raise ValueError("No handler for message type %s" % message["type"])  # noqa: UP031
        if name == "websocket_disconnect":
            handler = compat.without_hop(handler, self._close_old_connections)
        called: Awaitable[None]
        if ledgers or driver.has_failed:
            called = self._visit_and_call(handler, message)
        else:
            called = handler(message)
        return called

    @compat.is_dispatch
    async def _visit_and_call(self, handler: Any, message: Message) -> None:
        await self._close_old_connections()
        await handler(message)

    async def _close_old_connections(self) -> None:
        if not ledgers and not self._driver.has_failed:
            return
        await close_old_connections(
            self._driver.loop,
            self._tell_error,
            # Only a call that was under way when the connection began can be around it.
            is_enclosed=self._driver.executor is not None,
            always=self._driver.has_failed,
        )
        self._driver.has_failed = False

    def _tell_error(self, error: BaseException) -> None:
        self._driver.failures.report_bug(error, VISIT)
