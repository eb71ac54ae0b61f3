"""Peers that are not there any more, and do not say so."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from ..facts import Facts, conclusion
from ..heart import Heart
from ..judge import Promise, ends
from ..lengths import FOUND_WITHIN
from ..proxy import FaultProxy
from ..stage import moment
from .base import Fault

if TYPE_CHECKING:
    from ..stage import Connection, Stage

    During = Literal["nothing", "handler", "flood", "pour"]

# The buffers of kernels, of the server, and the outbox: some megabytes in memory.
FULL_WITHIN = 2.0
# Longer than it takes to find out, and than we wait for a plain consumer to find out.
HANDLER = 7.0


async def freeze(stage: Stage, during: During = "nothing", colour: str = "async") -> Facts:
    """The client keeps its connection, and neither reads nor writes: asleep, hung, stopped."""
    connection = await stage.connect("frozen", colour=colour, heart=Heart(), receive_buffer=4096)
    await connection.echoes()
    if during == "handler":
        await connection.do("work", seconds=HANDLER)
        await connection.noted("handler began")
    elif during == "flood":
        await connection.do("flood")
        await connection.noted("flood began")
    await connection.note("gone")
    await connection.client.stop_reading()
    if during == "pour":
        await connection.do("pour")
    return await _found(stage, connection)


async def drop_everything(stage: Stage) -> Facts:
    """The link between them swallows everything from now on: a cable, a wall, a dead zone."""
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(FaultProxy(stage.server.port))
        connection = await stage.connect("behind-a-link", heart=Heart(), port=proxy.port)
        await connection.echoes()
        await connection.note("gone")
        proxy.drop()
        return await _found(stage, connection, stack)


async def _found(stage: Stage, connection: Connection, link: AsyncExitStack | None = None) -> Facts:
    """Measure how long it takes until the server's side knows; end it ourselves if it does not."""
    patience = stage.lengths.patience
    state = await connection.until(lambda state: noticed_after(state) is not None, patience)
    seconds = noticed_after(state)
    if seconds is None:
        await connection.client.rst()
        if link is not None:
            await link.aclose()
    gone = moment(state, "gone")
    since = None if gone is None else state["began"] + gone
    facts = await conclusion([connection], HANDLER + 3, since=since)
    facts.seconds = seconds
    if seconds is None:
        facts.extra["unnoticed"] = True
        facts.extra["words"] = [f"not noticed in {patience:.0f} s, until our reset"]
    else:
        facts.extra["words"] = [f"noticed after {seconds:.1f} s"]
    return facts


def noticed_after(state: dict[str, Any]) -> float | None:
    """Seconds from the peer's vanishing until anybody on the server's side acted on it."""
    signs = ("close", "server noticed", "disconnect")
    gone = moment(state, "gone")
    seen = [at for at in (moment(state, sign) for sign in signs) if at is not None]
    return None if gone is None or not seen else min(seen) - gone


IN_TIME = Promise(
    "the peer is given up within interval + timeout + 1 s",
    lambda facts: facts.seconds is not None and facts.seconds <= FOUND_WITHIN,
)
AT_ONCE = Promise(
    "the client is given up as soon as its outbox is full",
    lambda facts: facts.seconds is not None and facts.seconds <= FULL_WITHIN,
)
PROMISES = (IN_TIME, *ends(3408, "timeout"))

FAULTS = (
    Fault("frozen-idle", "client freezes", freeze, PROMISES),
    Fault("frozen-in-handler", f"client freezes during a {HANDLER:.0f} s handler",
          partial(freeze, during="handler"), PROMISES),
    Fault("frozen-in-handler-sync", f"client freezes during a {HANDLER:.0f} s handler, sync"
          " consumer", partial(freeze, during="handler", colour="sync"), PROMISES,
          own_server=True),
    Fault("frozen-flooded", "client freezes while the server streams to it",
          partial(freeze, during="flood"), PROMISES, own_server=True),
    Fault("slow-reader", "client stops reading, frames do not wait for it",
          partial(freeze, during="pour"), (AT_ONCE, *ends(3420, "timeout")), own_server=True),
    Fault("silent-link", "the link drops everything silently", drop_everything, PROMISES),
)  # fmt: skip
