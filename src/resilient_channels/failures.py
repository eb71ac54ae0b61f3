"""What is done about a handler that failed: log, reply, close, or let it through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from . import compat
from .core.codes import CloseCode
from .core.disconnects import DisconnectKind
from .core.link import State
from .exceptions import is_mere_departure
from .isolation import ErrorJudge, find_layer_failure
from .turns import is_being_cancelled

if TYPE_CHECKING:
    from .core.inbox import Message
    from .driver import Driver

HTTP_SERVER_ERROR = 500
HTTP_UNAVAILABLE = 503


class FailureHandler:
    """Carries out what the judge says about one connection's failures.

    Attributes:
        in_connect: Whether ``connect()`` failed.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._policy = driver.policies.errors
        self._judge = ErrorJudge(
            driver.who, self._policy, driver.loop.time, lambda: driver.layer.is_down
        )
        self.in_connect = False
        self.report_bug = self._judge.report_bug
        self.report_unhandled = self._judge.report_unhandled

    async def meet(self, error: BaseException, message: Message, *, from_layer: bool) -> None:
        """A handler raised *error*. Raises it again only in mode ``raise``."""
        if self._policy.mode == "raise":
            raise error
        verdict = self._judge.judge(error, message, from_layer=from_layer)
        if verdict.is_bug:
            await self._call_hook(error, message)
        if verdict.reply is not None:
            await self._reply(verdict.reply)
        if verdict.close_code is not None:
            self._driver.intake.finish(discard=True)
            await self._driver.close(verdict.close_code, DisconnectKind.ERROR)

    async def meet_in_connect(self, error: Exception, message: Message) -> None:
        """``connect()`` raised *error*: the connection is of no use."""
        self.in_connect = True
        if self._policy.mode == "raise":
            raise error
        driver = self._driver
        driver.intake.finish(discard=True)
        if is_mere_departure(error):
            return  # the client left before it was accepted
        unavailable = find_layer_failure(error)
        if unavailable is None:
            self.report_bug(error, message, closes=True)
        else:
            self._judge.report_layer_failure(unavailable, message)
        await self._call_hook(error, message)
        if driver.link.state is not State.CONNECTING:
            await driver.close(CloseCode.HANDLER_ERRORS, DisconnectKind.ERROR)
            return
        driver.refusal = "error"
        if compat.offers_denial_response(driver.scope):
            await driver.gate.deny(HTTP_SERVER_ERROR if unavailable is None else HTTP_UNAVAILABLE)
        else:
            await driver.close(None, DisconnectKind.ERROR)

    async def _reply(self, text: str) -> None:
        if self._driver.link.state is not State.OPEN:
            return
        try:
            await self._driver.gate.send({"type": "websocket.send", "text": text})
        except Exception as error:  # noqa: BLE001  # what cannot be said is not worth more trouble
            self._driver.tell_step(f"the server refused our reply: {type(error).__name__}")

    async def _call_hook(self, error: BaseException, message: Message) -> None:
        consumer, traits = self._driver.consumer, self._driver.traits
        if not traits.has_error_hook:
            return
        try:
            if traits.is_sync:
                await compat.run_sync(consumer.on_error, error, message)
            else:
                await consumer.on_error(error, message)
        except asyncio.CancelledError as hook_error:
            if is_being_cancelled():
                raise
            self.report_bug(hook_error, {"type": "on_error"})
        except Exception as hook_error:  # noqa: BLE001  # a hook is user code too
            self.report_bug(hook_error, {"type": "on_error"})
