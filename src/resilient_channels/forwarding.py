"""The frames of broadcasts: written past a consumer's handlers, and awaited by nobody.

Whatever becomes of one is counted, and nothing is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import compat
from .blocking import without_trace
from .outbox import get_line, offer
from .outcomes import write_here

if TYPE_CHECKING:
    from .core.inbox import Message
    from .driver import Driver


def forward(driver: Driver, frame: Message, key: str | None) -> None:
    """Pass on a frame. What the server does not take at once waits in the outbox.

    What is around a server's ``send`` may rely on a task of its own, so there it gets one.
    """
    gate = driver.gate
    if gate.is_servers_own or gate.line is not None or not compat.CAN_START_EAGERLY:
        offer(driver, frame, key)
        return
    work = without_trace(write_here(driver, frame))
    writing = compat.start_eagerly(driver.loop, work, driver.context)
    if not writing.done():
        driver.end_with(writing)
        get_line(driver).follow(writing)
