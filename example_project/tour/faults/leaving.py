"""Clients that leave: with a close frame, without one, and while nobody looks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..facts import SETTLED_BY, Facts, conclusion, seconds_between
from ..judge import Promise, ends
from .base import Fault

if TYPE_CHECKING:
    from ..stage import Stage

# Longer than Daphne waits before it cancels the application of a client that has left.
LONG_HANDLER = 12.0


async def close_cleanly(stage: Stage, code: int | None, colour: str = "async") -> Facts:
    """The client says goodbye."""
    connection = await stage.connect("clean", colour=colour)
    await connection.client.close(code)
    return await conclusion([connection])


async def fin(stage: Stage, colour: str = "async") -> Facts:
    """The client's process ends."""
    connection = await stage.connect("fin", colour=colour)
    await connection.client.fin()
    return await conclusion([connection])


async def rst(stage: Stage, colour: str = "async") -> Facts:
    """The client's connection is torn down."""
    connection = await stage.connect("rst", colour=colour)
    await connection.client.rst()
    return await conclusion([connection])


async def leave_during_a_handler(stage: Stage) -> Facts:
    """The client closes while a handler works for longer than anybody wants to wait."""
    connection = await stage.connect("handler")
    await connection.do("work", seconds=LONG_HANDLER)
    await connection.noted("handler began")
    await connection.client.close(1001)
    facts = await conclusion([connection], LONG_HANDLER + 3)
    state = await connection.state()
    facts.seconds = seconds_between(state, "handler began", "disconnect")
    cancelled = seconds_between(state, "handler began", "handler cancelled")
    if cancelled is not None:
        facts.extra["words"] = [f"handler cancelled after {cancelled:.0f} s"]
    elif facts.seconds is not None:
        facts.extra["words"] = [f"noticed after {facts.seconds:.0f} s"]
    return facts


async def cancel(stage: Stage) -> Facts:
    """Somebody cancels the application, as servers do when they lose patience."""
    connection = await stage.connect("cancelled")
    await stage.look("/cancel", id=connection.key)
    return await conclusion([connection], SETTLED_BY)


IN_TIME = Promise(
    "disconnect() runs within 8 s of the client's leaving",
    lambda facts: facts.seconds is not None and facts.seconds <= 8.5,
)

FAULTS = (
    Fault("close-1000", "client closes with 1000", partial(close_cleanly, code=1000),
          ends(1000, "client")),
    Fault("close-1001", "client closes with 1001", partial(close_cleanly, code=1001),
          ends(1001, "client")),
    Fault("close-4000", "client closes with 4000", partial(close_cleanly, code=4000),
          ends(4000, "client")),
    Fault("close-no-code", "client closes without a code", partial(close_cleanly, code=None),
          ends(1005, "client")),
    Fault("fin", "client ends TCP (FIN)", fin, ends(1006, "lost")),
    Fault("rst", "client resets TCP (RST)", rst, ends(1006, "lost")),
    Fault("fin-sync", "client ends TCP (FIN), sync consumer", partial(fin, colour="sync"),
          ends(1006, "lost"), alone=True),
    Fault("rst-sync", "client resets TCP (RST), sync consumer", partial(rst, colour="sync"),
          ends(1006, "lost"), alone=True),
    Fault("leave-in-handler", f"client leaves during a {LONG_HANDLER:.0f} s handler",
          leave_during_a_handler, (IN_TIME, *ends(1001, "client"))),
    Fault("cancelled", "application cancelled", cancel,
          ends(None, "cancelled", cancelled=True)),
)  # fmt: skip
