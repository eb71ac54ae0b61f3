"""The end of a connection: once, in a task of its own, every step on its own, all in bounds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from channels.exceptions import StopConsumer

from . import compat
from .core import events
from .core.codes import CloseCode
from .core.disconnects import DisconnectInfo, DisconnectKind, Initiator
from .core.link import State
from .observers import notify
from .registry import registry
from .turns import handler_turn, is_being_cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .driver import Driver

CLOSE_TIMEOUT = 1.0
"""Seconds that our own last close frame may take."""

REPORT_TIMEOUT = 1.0
"""Seconds to wait for the server to say how the connection ended, after a send has failed."""

REFUSAL_TIMEOUT = 2.0
"""Seconds to wait for the server to report the end of a handshake that we refused."""

LAST_SHARE = 0.15
"""The part of ``TEARDOWN.timeout`` kept for what comes after the consumer's own code."""


class Teardown:
    """Cleans up after one connection.

    The order: the ``on_disconnect`` method, ``disconnect(code)`` by way of Channels' own event,
    background tasks, groups. The consumer's code comes first, so that it finds everything as it
    was; nothing in it can keep the rest from happening.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._loop = driver.loop
        self._timeout = driver.policies.teardown.timeout

    async def run(self) -> None:
        """Run every step."""
        driver = self._driver
        compat.restore_executor(driver.executor)
        started = self._loop.time()
        if driver.link.info is not None and driver.link.is_over:
            # The time began when the connection ended, not when its last handler returned.
            started = min(started, driver.departure.since or started)
        deadline = max(started + self._timeout, self._loop.time() + self._timeout * 0.25)
        await self._guard("close", self._settle())
        driver.link.finish()
        if driver.layer.client is not None:
            driver.layer.client.begin_leaving(deadline - self._loop.time())
        await self._run_hooks(deadline - self._timeout * LAST_SHARE)
        await self._guard("tasks", driver.tasks.stop(max(deadline, self._loop.time() + 0.5)))
        if driver.layer.client is not None:
            driver.layer.client.begin_leaving(max(deadline - self._loop.time(), 0.5))
            await self._guard("groups", driver.layer.client.leave_groups())
        await self._stop_readers()
        registry.remove(driver)
        self._tell()

    # --- how did it end ------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Close what is still open, and find out how the connection ended."""
        driver, link = self._driver, self._driver.link
        if not link.is_over:
            await self._close()
        if link.state is State.REFUSED and driver.failure is None:
            await self._wait_for_report(REFUSAL_TIMEOUT)
        if link.info is None:
            await self._wait_for_report(REPORT_TIMEOUT)
            link.peer_left(DisconnectInfo(CloseCode.ABNORMAL.value))

    async def _close(self) -> None:
        driver, link = self._driver, self._driver.link
        if driver.failure is None:
            closing = driver.close(None, DisconnectKind.SERVER)
        elif isinstance(driver.failure, asyncio.CancelledError):
            closing = driver.close(CloseCode.RESTART.value, DisconnectKind.CANCELLED)
        else:
            # The exception goes on to the server, which closes in its own way.
            link.give_up(DisconnectKind.ERROR, CloseCode.SERVER_ERROR.value)
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await closing
        except TimeoutError:
            driver.tell_step("the server did not take our close frame")

    async def _wait_for_report(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._driver.settled.wait()
        except TimeoutError:
            self._driver.tell_step("the server reported no end of the connection")

    # --- the consumer's own code ---------------------------------------------------------------

    async def _run_hooks(self, deadline: float) -> None:
        """Run the consumer's code; what a thread does not finish in time, it finishes later."""
        steps = self._find_steps()
        if not steps:
            return
        is_sync = self._driver.traits.is_sync
        hooks = self._loop.create_task(self._run_steps(steps, None if is_sync else deadline))
        registry.keep(hooks)
        remaining = max(deadline - self._loop.time(), 0)
        # A grace for the steps to notice that their own limit has passed.
        done, _ = await asyncio.wait({hooks}, timeout=remaining + self._timeout * 0.05)
        if not done:
            notify(
                events.HandlerCutOff(
                    **self._driver.who, handler="websocket.disconnect", after=round(remaining, 3)
                )
            )

    def _find_steps(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        driver, link = self._driver, self._driver.link
        info = link.info
        assert info is not None  # noqa: S101  # _settle saw to it
        steps: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        if not driver.was_connected:
            return steps  # a __call__ of its own that never let Channels begin
        if link.accepted:
            name = driver.traits.disconnects.find(info)
            if name is not None:
                steps.append((name, lambda: self._call_handler(name, info)))
        # A consumer that never accepted hears of the end as it does in plain Channels: if the
        # server reports it, and unless its connect() failed.
        if link.accepted or (driver.client_message is not None and not driver.failures.in_connect):
            steps.append(("disconnect", lambda: self._dispatch_disconnect(info)))
        return steps

    async def _run_steps(
        self, steps: list[tuple[str, Callable[[], Awaitable[None]]]], deadline: float | None
    ) -> None:
        with handler_turn():
            for index, (name, step) in enumerate(steps):
                limit = None
                if deadline is not None:
                    # Whoever comes first may not use up the time of those who follow.
                    remaining = max(deadline - self._loop.time(), 0)
                    limit = self._loop.time() + remaining / (len(steps) - index)
                await self._guard(name, step(), limit)

    async def _call_handler(self, name: str, info: DisconnectInfo) -> None:
        handler = getattr(self._driver.consumer, name)
        if self._driver.traits.is_sync:
            await compat.run_sync(handler, info)
        else:
            await handler(info)

    async def _dispatch_disconnect(self, info: DisconnectInfo) -> None:
        """Let Channels call ``disconnect()``, through whatever a consumer has overridden."""
        message = dict(self._driver.client_message or {})
        code: int = info.code
        if not self._driver.link.accepted and message.get("code") is not None:
            code = int(message["code"])  # a refused handshake has no close code but the server's
        message.update(type="websocket.disconnect", code=code)
        if info.reason or "reason" in message:
            message["reason"] = info.reason
        try:
            await self._driver.dispatch_raw(message)
        except StopConsumer:
            return

    # --- the rest ------------------------------------------------------------------------------

    async def _stop_readers(self) -> None:
        readers = set(self._driver.readers)
        for _ in range(2):
            for reader in readers:
                reader.cancel()
            # Not for ever, and not only once: under Python 3.11 a layer can lose a cancellation.
            if readers:
                _, readers = await asyncio.wait(readers, timeout=1.0)
        for reader in readers:
            registry.keep(reader)

    def _tell(self) -> None:
        driver, link = self._driver, self._driver.link
        info = link.info
        assert info is not None  # noqa: S101  # _settle saw to it
        if not link.accepted or link.opened_at is None:
            by_us = info.initiator is Initiator.SERVER
            cause = driver.refusal or ("application" if by_us else "client left")
            notify(events.ConnectionRefused(**driver.who, cause=cause))
            return
        notify(
            events.ConnectionClosed(
                **driver.who,
                code=info.code,
                kind=info.kind.value,
                initiator=info.initiator.value,
                certain=info.certain,
                duration=round(self._loop.time() - link.opened_at, 3),
                received=link.received,
                sent=link.sent,
                unsent=link.unsent,
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
        if self._driver.policies.errors.mode == "raise" and self._driver.failure is None:
            self._driver.failure = error
            return
        notify(
            events.TeardownFailed(
                **self._driver.who, step=step, error=type(error).__name__, exception=error
            )
        )
