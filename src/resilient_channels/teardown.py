"""What a consumer's own code does at the end of its connection, and what follows on that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from channels.exceptions import StopConsumer

from . import compat
from .core import events
from .ending import Ending
from .observers import notify
from .registry import registry
from .turns import handler_turn
from .watchdog import is_work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .core.disconnects import DisconnectInfo
    from .driver import Driver

LAST_SHARE = 0.15
"""The part of ``TEARDOWN.timeout`` kept for what comes after the consumer's own code."""


class Teardown(Ending):
    """Cleans up after one consumer.

    The order: the ``on_disconnect`` method, ``disconnect(code)`` by way of Channels' own event,
    background tasks, groups. The consumer's code comes first, so that it finds everything as it
    was; nothing in it can keep the rest from happening.
    """

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self._driver = driver

    async def _end_work(self, deadline: float) -> None:
        driver = self._driver
        layer = driver.layer.client
        if layer is not None:
            layer.begin_leaving(deadline - self._loop.time())
        await self._run_hooks(deadline - self._timeout * LAST_SHARE)
        await self._guard("tasks", driver.tasks.stop(max(deadline, self._loop.time() + 0.5)))
        if layer is not None:
            layer.begin_leaving(max(deadline - self._loop.time(), 0.5))
            await self._guard("groups", layer.leave_groups())

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

    @is_work
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
