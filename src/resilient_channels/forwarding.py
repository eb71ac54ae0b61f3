"""The frames of broadcasts: written past a consumer's handlers, and awaited by nobody.

Whatever becomes of one is counted, and nothing is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import compat
from .core.link import State
from .core.outcomes import SendOutcome

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from . import blocking
    from .core.inbox import Message
    from .driver import Driver


def can_push(driver: Driver) -> bool:
    """Whether a frame may be passed on at once: there is nothing before it."""
    return (
        (driver.gate.is_servers_own or compat.CAN_START_EAGERLY)
        and driver.forwarding is None
        and driver.intake.is_waiting()
    )


def push(driver: Driver, frame: Message) -> None:
    """Pass on a frame at once, beside a consumer that has nothing to do.

    What is around a server's ``send`` may rely on a task of its own. It seldom waits: then what
    comes next waits for it, too.
    """
    if driver.gate.is_servers_own:
        rest = _begin(driver, frame)
        if rest is None:
            return
        forwarding = driver.loop.create_task(rest)
    else:
        forwarding = compat.start_eagerly(driver.loop, forward(driver, frame), driver.context)
    if not forwarding.done():
        driver.forwarding = forwarding
        driver.end_with(forwarding)
        forwarding.add_done_callback(driver.forwarded)


async def forward(driver: Driver, frame: Message) -> None:
    """Pass on a frame when it is its turn."""
    rest = _begin(driver, frame)
    if rest is not None:
        await rest


def _begin(driver: Driver, frame: Message) -> Coroutine[Any, Any, None] | None:
    """Do what can be done without a wait; what is returned is left to be awaited."""
    outcome = SendOutcome.CLOSED
    if driver.link.state is State.OPEN:
        try:
            waiting = driver.gate.begin(frame)
        except Exception as error:  # noqa: BLE001  # sorted there
            outcome = _judge(driver, error)
        else:
            if waiting is not None:
                return _finish(driver, *waiting)
            outcome = SendOutcome.SENT
    _count(driver, outcome)
    return None


async def _finish(driver: Driver, steps: blocking.Steps, wait: Any) -> None:
    try:
        outcome = await driver.gate.finish(steps, wait)
    except Exception as error:  # noqa: BLE001  # sorted there
        outcome = _judge(driver, error)
    _count(driver, outcome)


def _judge(driver: Driver, error: Exception) -> SendOutcome:
    try:
        return driver.gate.judge(error)
    except Exception as refusal:  # noqa: BLE001  # the server's own
        driver.tell_step(f"the server refused a frame: {type(refusal).__name__}")
        return SendOutcome.CLOSED


def _count(driver: Driver, outcome: SendOutcome) -> None:
    if outcome is SendOutcome.SENT:
        driver.link.sent += 1
    else:
        driver.link.unsent += 1
