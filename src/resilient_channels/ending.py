"""The end of a connection: once, in a task of its own, every step on its own, all in bounds."""

from __future__ import annotations

import asyncio
from random import random
from typing import TYPE_CHECKING, Any

from channels.exceptions import StopConsumer

from . import compat
from .core import events
from .core.codes import CloseCode
from .core.disconnects import DisconnectInfo, DisconnectKind, Initiator
from .core.link import State
from .core.spread import make_spread
from .crowds import leave
from .observers import notify
from .registry import registry
from .turns import is_being_cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from .connection import Connection

CLOSE_TIMEOUT = 1.0
"""Seconds that our own last close frame may take."""

REPORT_TIMEOUT = 1.0
"""Seconds to wait for the server to say how the connection ended, after a send has failed."""

REFUSAL_TIMEOUT = 2.0
"""Seconds to wait for the server to report the end of a handshake that we refused."""


class Ending:
    """Finds out how a connection ended, closes what is still open, and tells about it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = connection.loop
        self._timeout = connection.policies.teardown.timeout

    async def run(self) -> None:
        """Run every step."""
        connection = self._connection
        compat.restore_executor(connection.executor)
        started = self._loop.time()
        if connection.link.info is not None and connection.link.is_over:
            # The time began when the connection ended, not when its last handler returned.
            started = min(started, connection.departure.since or started)
        deadline = max(started + self._timeout, self._loop.time() + self._timeout * 0.25)
        await self._guard("close", self._settle())
        connection.link.finish()
        leave(connection)
        for limit in (connection.heartbeat, connection.lifetime, connection.intake.guard):
            if limit is not None:
                limit.stop()
        await self._end_work(deadline)
        await self._let_close_frame_out()
        await self._stop_readers()
        registry.remove(connection)
        self._tell()

    async def _end_work(self, deadline: float) -> None:
        """What is to be done about the application itself, until *deadline* on the loop's clock."""

    # --- how did it end ------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Close what is still open, and find out how the connection ended."""
        connection, link = self._connection, self._connection.link
        if not link.is_over:
            await self._close()
        if link.state is State.REFUSED and connection.failure is None:
            await self._wait_for_report(REFUSAL_TIMEOUT)
        if link.info is None:
            await self._wait_for_report(REPORT_TIMEOUT)
            link.peer_left(DisconnectInfo(CloseCode.ABNORMAL.value))

    async def _close(self) -> None:
        connection, link = self._connection, self._connection.link
        if connection.failure is None:
            closing = connection.close(None, DisconnectKind.SERVER)
        elif isinstance(connection.failure, asyncio.CancelledError):
            # A server that cancels one application does so with all of them, in one moment.
            drain = connection.policies.drain
            spread = make_spread(len(registry), drain.duration, drain.spread)
            after = random() * spread.returns
            closing = connection.close(CloseCode.RESTART.value, DisconnectKind.CANCELLED, after)
        else:
            # The exception goes on to the server, which closes in its own way.
            link.give_up(DisconnectKind.ERROR, CloseCode.SERVER_ERROR.value)
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await closing
        except TimeoutError:
            connection.tell_step("the server did not take our close frame")

    async def _let_close_frame_out(self) -> None:
        """Granian writes none any more, once the application has returned."""
        closing = self._connection.gate.closing
        if closing is not None and not closing.done():
            await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT)

    async def _wait_for_report(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._connection.wait_until_left()
        except TimeoutError:
            self._connection.tell_step("the server reported no end of the connection")

    # --- the rest ------------------------------------------------------------------------------

    async def _stop_readers(self) -> None:
        readers = set(self._connection.readers)
        for _ in range(2):
            for reader in readers:
                reader.cancel()
            # Not for ever, and not only once: under Python 3.11 a layer can lose a cancellation.
            if readers:
                _, readers = await asyncio.wait(readers, timeout=1.0)
        for reader in readers:
            registry.keep(reader)

    def _tell(self) -> None:
        connection, link = self._connection, self._connection.link
        info = link.info
        assert info is not None  # noqa: S101  # _settle saw to it
        if not link.accepted or link.opened_at is None:
            by_us = info.initiator is Initiator.SERVER
            failed = isinstance(connection.failure, Exception)
            ordinary = "error" if failed else "application" if by_us else "client left"
            cause = connection.refusal or ordinary
            code = connection.refusal_code
            notify(events.ConnectionRefused(**connection.who, cause=cause, code=code))
            return
        conversation, heartbeat = connection.conversation, connection.heartbeat
        notify(
            events.ConnectionClosed(
                **connection.who,
                code=info.code,
                kind=info.kind.value,
                initiator=info.initiator.value,
                certain=info.certain,
                duration=round(self._loop.time() - link.opened_at, 3),
                received=connection.intake.received - conversation.taken,
                sent=link.sent,
                unsent=link.unsent,
                ignored=conversation.ignored,
                rtt=None if heartbeat is None else heartbeat.rtt,
            )
        )

    async def _guard(self, step: str, work: Awaitable[Any], limit: float | None = None) -> None:
        """Run one step; log what it raises, and go on."""
        try:
            async with asyncio.timeout_at(limit):
                await work
        except StopConsumer:
            return  # it stops as it is
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            self._fail(step, error)
        except Exception as error:  # noqa: BLE001  # every step on its own
            self._fail(step, error)

    def _fail(self, step: str, error: BaseException) -> None:
        connection = self._connection
        if connection.policies.errors.mode == "raise" and connection.failure is None:
            connection.failure = error
            return
        notify(
            events.TeardownFailed(
                **connection.who, step=step, error=type(error).__name__, exception=error
            )
        )
