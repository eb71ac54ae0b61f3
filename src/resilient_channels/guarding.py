"""The limits on a handler: what it is given to read, and how long it may take.

Each is put around a consumer's ``dispatch``, and only where it is set.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from . import compat
from .blocking import Interruption
from .core import events
from .core.depth import is_deeper
from .isolation import FrameTooDeep
from .observers import notify
from .observers.logs import escape

if TYPE_CHECKING:
    from .core.inbox import Message
    from .dispatching import Dispatch
    from .driver import Driver
    from .wheel import PatientDeadline

DISCONNECT = "websocket.disconnect"
"""It has the limits of the cleanup."""


def guard(driver: Driver, dispatch: Dispatch) -> Dispatch:
    """*dispatch* within the limits of its driver; itself, if there are none."""
    deadline = driver.policies.handler.deadline
    if deadline is not None:
        dispatch = _watched(dispatch) if driver.traits.is_sync else _limited(dispatch)
    depth = driver.policies.limits.json_depth
    if depth is not None and compat.reads_json(type(driver.consumer)):
        dispatch = _shallow(dispatch, depth)
    return dispatch


def _shallow(dispatch: Dispatch, limit: int) -> Dispatch:
    async def dispatch_shallow(driver: Driver, message: Message) -> None:
        text = message.get("text")
        if text and message["type"] == "websocket.receive" and is_deeper(text, limit):
            raise FrameTooDeep(f"nested deeper than {limit}")
        await dispatch(driver, message)

    return dispatch_shallow


def _limited(dispatch: Dispatch) -> Dispatch:
    async def dispatch_in_time(driver: Driver, message: Message) -> None:
        if message.get("type") == DISCONNECT:
            await dispatch(driver, message)
            return
        term = _Term(driver)
        try:
            await dispatch(driver, message)
        except asyncio.CancelledError as error:
            if not term.end():
                raise
            raise TimeoutError(f"not done within {term.seconds} s") from error
        else:
            if term.end():
                term.tell()  # else nobody would hear that the deadline has struck
        finally:
            term.end()

    return dispatch_in_time


def _watched(dispatch: Dispatch) -> Dispatch:
    async def dispatch_watched(driver: Driver, message: Message) -> None:
        if message.get("type") == DISCONNECT:
            await dispatch(driver, message)
            return
        watch = _Watch(driver)
        try:
            await dispatch(driver, message)
        finally:
            watch.end()

    return dispatch_watched


class _Term(Interruption):
    """The time that an asynchronous handler is given: then it is cancelled."""

    __slots__ = ("_driver", "_is_told", "_timer", "seconds")

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        self._driver = driver
        self._is_told = False
        self.seconds = driver.policies.handler.deadline or 0.0
        self._timer: PatientDeadline = driver.wheel.patiently_after(self.seconds, self._expire)

    def end(self) -> bool:
        """The handler is done; true if it was cancelled, by nobody but us. Asked once."""
        self._timer.cancel()
        return self.take_back()

    def _expire(self) -> None:
        self._fire()
        # Most end at once. One that does not is told of when it has taken as long again.
        self._timer = self._driver.wheel.patiently_after(self.seconds, self.tell)

    def tell(self) -> None:
        """The handler has taken no notice of its end. Told once."""
        if not self._is_told:
            self._is_told = True
            _tell_overdue(self._driver)


class _Watch:
    """The time after which a synchronous handler is told of."""

    __slots__ = ("_driver", "_timer")

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._begin()

    def end(self) -> None:
        """The handler is done."""
        self._timer.cancel()

    def _begin(self) -> None:
        deadline = self._driver.policies.handler.deadline or 0.0
        self._timer: PatientDeadline = self._driver.wheel.patiently_after(deadline, self._expire)

    def _expire(self) -> None:
        if compat.is_at_work(self._driver.consumer):
            _tell_overdue(self._driver)
        else:
            self._begin()  # it waits for a thread that others hold


def _tell_overdue(driver: Driver) -> None:
    deadline = driver.policies.handler.deadline or 0.0
    handler = escape(driver.handling or "(none)")
    notify(events.HandlerOverdue(**driver.who, handler=handler, deadline=deadline))
