"""How a message reaches its handler: as in Channels, without the hop to a thread before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from . import compat
from .databases import close_old_connections, ledgers

if TYPE_CHECKING:
    from .core.inbox import Message
    from .driver import Driver

VISIT = {"type": "close_old_connections"}
"""Stands for the message where an error is reported that no handler raised."""


Dispatch = Callable[["Driver", "Message"], Awaitable[None]]


def find_dispatch(consumer: Any) -> Dispatch:
    """What to call with each message of a consumer, and with its driver.

    Its own ``dispatch``, unless that is the one of ``AsyncConsumer``.
    """
    if compat.has_channels_dispatch(consumer):
        return dispatch_as_channels
    own: Callable[[Message], Awaitable[None]] = consumer.dispatch
    return lambda driver, message: own(message)


@compat.is_dispatch
def dispatch_as_channels(driver: Driver, message: Message) -> Awaitable[None]:
    """Call the handler of *message*; fail in the words of Channels if there is none."""
    name = compat.find_handler_name(message)
    handler = getattr(driver.consumer, name, None)
    if not handler:
        raise ValueError("No handler for message type %s" % message["type"])  # noqa: UP031
    if name == "websocket_disconnect":
        handler = compat.without_hop(handler, partial(_close_old_connections, driver))
    called: Awaitable[None]
    if ledgers or driver.has_failed:
        called = _visit_and_call(driver, handler, message)
    else:
        called = handler(message)
    return called


@compat.is_dispatch
async def _visit_and_call(driver: Driver, handler: Any, message: Message) -> None:
    await _close_old_connections(driver)
    await handler(message)


async def _close_old_connections(driver: Driver) -> None:
    if not ledgers and not driver.has_failed:
        return
    await close_old_connections(
        driver.loop,
        lambda error: driver.failures.report_bug(error, VISIT),
        # Only a call that was under way when the connection began can be around it.
        is_enclosed=driver.executor is not None,
        always=driver.has_failed,
    )
    driver.has_failed = False
