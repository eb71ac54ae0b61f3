"""The frames of broadcasts: written past a consumer's handlers, and awaited by nobody.

Whatever becomes of one is counted, and nothing is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import compat
from .outbox import get_line, offer, write_here

if TYPE_CHECKING:
    from .core.frames import Frame
    from .core.inbox import Message
    from .driver import Driver


def can_push(driver: Driver) -> bool:
    """Whether a frame may be passed on at once: the consumer has nothing to do before it."""
    is_able = driver.gate.is_servers_own or compat.CAN_START_EAGERLY
    return is_able and driver.intake.is_waiting()


def push(driver: Driver, frame: Message, key: str | None) -> None:
    """Pass on a frame at once, beside a consumer that has nothing to do.

    What is around a server's ``send`` may rely on a task of its own. It seldom waits: then what
    comes next waits for it, too.
    """
    if driver.gate.is_servers_own or driver.gate.line is not None:
        offer(driver, frame, key)
        return
    writing = compat.start_eagerly(driver.loop, write_here(driver, frame), driver.context)
    if not writing.done():
        driver.end_with(writing)
        get_line(driver).follow(writing)


async def forward(driver: Driver, frame: Frame) -> None:
    """Pass on a frame when it is its turn."""
    if driver.gate.is_servers_own or driver.gate.line is not None:
        offer(driver, frame, frame.key)
    else:
        await write_here(driver, frame)
