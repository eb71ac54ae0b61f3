"""How long a connection may be silent, and how old it may become."""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING

from .core.codes import CloseCode
from .core.disconnects import DisconnectKind
from .core.link import State

if TYPE_CHECKING:
    from .connection import Connection
    from .wheel import Deadline

SPREAD = 0.1
"""The part of ``max_age`` by which a connection may end early."""


class Lifetime:
    """The limits of one open connection."""

    __slots__ = (
        "_age_timer", "_connection", "_heard", "_idle_timer", "_stalled", "_stalled_before",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._idle_timer: Deadline | None = None
        self._age_timer: Deadline | None = None
        self._heard = 0.0
        self._stalled = 0.0  # what the loop had lost when the silence began, or a little earlier
        self._stalled_before = 0.0

    def start(self) -> None:
        """The connection is open."""
        policy, wheel = self._connection.policies.lifetime, self._connection.wheel
        if policy.max_age is not None:
            age = policy.max_age * (1 - SPREAD * random())
            self._age_timer = wheel.after(age, self._too_old)
        if policy.idle_timeout is not None:
            wheel.watch(self)
            self._stalled_before = wheel.stalled
            self._idle_timer = wheel.after(policy.idle_timeout, self._check_idle)

    def stop(self) -> None:
        """The connection is over."""
        self._connection.wheel.unwatch(self)
        for timer in (self._idle_timer, self._age_timer):
            if timer is not None:
                timer.cancel()

    def _check_idle(self) -> None:
        connection, wheel = self._connection, self._connection.wheel
        limit = connection.policies.lifetime.idle_timeout
        if connection.link.state is not State.OPEN or limit is None:
            return
        heard = connection.intake.last_heard
        if heard != self._heard:
            self._heard, self._stalled = heard, self._stalled_before
        self._stalled_before = wheel.stalled
        if connection.is_listening:
            # As with heartbeats: time in which the loop did not run is nobody's silence.
            remaining = heard + limit + (wheel.stalled - self._stalled) - connection.loop.time()
        else:
            remaining = limit
        if remaining > 0:
            self._idle_timer = wheel.after(remaining, self._check_idle)
        else:
            connection.close_soon(CloseCode.IDLE, DisconnectKind.TIMEOUT)

    def _too_old(self) -> None:
        if self._connection.link.state is State.OPEN:
            # What was read is still handled: nothing is wrong with this client.
            self._connection.close_soon(CloseCode.MAX_AGE, DisconnectKind.SERVER, discard=False)
