"""One call to a channel layer, again and again until it is clear what comes of it."""

from __future__ import annotations

import asyncio
from random import random
from typing import TYPE_CHECKING, Any

from channels.exceptions import ChannelFull

from .. import compat
from ..core.backoff import Backoff
from ..exceptions import LayerUnavailable
from ..turns import pass_cancellation_on
from .membership import CONCURRENCY

if TYPE_CHECKING:
    from collections.abc import Callable

    from .supervision import Supervisor


RESUME_RATE = 200
"""Calls per second that go on after an outage, of those that have waited. A process's queue holds
100 messages in ``channels_redis``, and what it cannot hold is lost."""

FAILURES_IN_A_CROWD = 5
"""With their pauses, some 1.5 seconds."""


async def attempt(
    supervisor: Supervisor,
    name: str,
    limit: float,
    operation: Any,
    *args: Any,
    in_outage: Callable[[], None] | None = None,
) -> None:
    """Call the layer until it succeeds, the error is the caller's, or it is *limit* o'clock.

    Whose error it is, is not judged by its class (a broken connection has raised
    ``AttributeError`` and ``TypeError``), but by whether a probe fails too, and by whether the
    layer can put the message into bytes at all.

    Args:
        name: What the call is called in an error.
        in_outage: Called once, as soon as an outage is known to be in the way.

    Raises:
        LayerUnavailable: Time is up, or too many wait already.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    backoff = Backoff()
    cause: Exception | None = None
    failures = 0
    if supervisor.is_down:
        compat.check_message(supervisor.layer, args)
        if in_outage is not None:
            in_outage()
            in_outage = None
        if supervisor.attempts >= supervisor.pending:
            raise LayerUnavailable(supervisor.alias, name, 0.0)
    supervisor.attempts += 1
    try:
        async with asyncio.timeout_at(limit) as timeout:
            while True:
                try:
                    await operation(*args)
                except ChannelFull:
                    raise
                except Exception as error:
                    pass_cancellation_on(error)
                    cause, failures = error, failures + 1
                    compat.check_message(supervisor.layer, args)
                    # The first failure may be one stale connection of a pool: again, at once.
                    # A third one beside a layer that answers is the caller's; unless there is a
                    # crowd, because a pool has an end: then with pauses, for longer than it lasts.
                    if failures > 1:
                        is_answering = await supervisor.is_answering()
                        is_crowded = supervisor.attempts > CONCURRENCY
                        if is_answering and failures > (FAILURES_IN_A_CROWD if is_crowded else 2):
                            raise
                        if not is_answering and in_outage is not None:
                            in_outage()
                            in_outage = None
                        if not is_answering and supervisor.attempts > supervisor.pending:
                            waited = loop.time() - started
                            raise LayerUnavailable(supervisor.alias, name, waited) from error
                        if is_crowded or not is_answering:
                            await asyncio.sleep(backoff.next_delay(1.0))
                        if not is_answering:
                            await supervisor.wait_until_up()
                            # Not all at once: what is sent now has to be received, too.
                            await asyncio.sleep(random() * supervisor.attempts / RESUME_RATE)
                else:
                    return
    except TimeoutError:
        if not timeout.expired():
            raise
        supervisor.alarm()
        if in_outage is not None and supervisor.is_down:
            in_outage()
        raise LayerUnavailable(supervisor.alias, name, loop.time() - started) from cause
    finally:
        supervisor.attempts -= 1
