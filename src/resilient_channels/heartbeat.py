"""The heartbeat of one connection: pings on the wheel, and an end for a peer that is silent."""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING

from . import compat
from .blocking import without_trace
from .core import wire
from .core.link import State
from .core.liveness import Liveness

if TYPE_CHECKING:
    import asyncio

    from .connection import Connection
    from .wheel import Deadline

LOOK_AGAIN = 0.4
"""Seconds between the end of our patience and the verdict: after a stall that was not noticed,
what the peer has sent meanwhile is read by then."""


class Heartbeat:
    """Asks the peer for signs of life, and gives it up when none come.

    Nothing here waits for a handler, and a ping that cannot be written holds nobody up.

    Attributes:
        awaited: The answer to the latest ping, as it is nearly always written.

    Args:
        ping: The frame to send; ``None``: the wire protocol's.
        is_trusting: Whether a peer that has never answered may be one that never will.
    """

    __slots__ = (
        "_beat_timer", "_check_timer", "_connection", "_has_answered", "_is_last_look",
        "_is_trusting", "_liveness", "_ping", "_sending", "awaited",
    )  # fmt: skip

    def __init__(self, connection: Connection, ping: str | None, *, is_trusting: bool) -> None:
        policy = connection.policies.heartbeat
        self._connection = connection
        self._ping = ping
        self._is_trusting = is_trusting
        self._liveness = Liveness(policy.interval, policy.timeout)
        self._has_answered = False
        self._is_last_look = False
        self._beat_timer: Deadline | None = None
        self._check_timer: Deadline | None = None
        self._sending: asyncio.Task[None] | None = None
        self.awaited = policy.pong if ping is not None else None

    @property
    def rtt(self) -> float | None:
        """Seconds of the last measured round trip."""
        return self._liveness.rtt

    def start(self) -> None:
        """The connection is open."""
        wheel = self._connection.wheel
        wheel.watch(self)
        self._beat_timer = wheel.after(self._liveness.first_delay(random()), self._beat)

    def stop(self) -> None:
        """The connection is over."""
        self._connection.wheel.unwatch(self)
        for timer in (self._beat_timer, self._check_timer):
            if timer is not None:
                timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def answered(self, nonce: wire.Nonce) -> bool:
        """The peer answered the ping with that nonce; false if nobody asked."""
        was_asked = self._liveness.answered(nonce, self._connection.loop.time())
        if was_asked and isinstance(nonce, int):
            self._confirm(nonce)
        return was_asked

    def answered_latest(self) -> bool:
        """The peer sent what is awaited; false if nobody asked."""
        was_asked = self._liveness.answered_latest(self._connection.loop.time())
        if was_asked:
            self._has_answered = True
        if self._ping is None:
            self.awaited = None  # the same again was not asked for
            self._confirm(None)
        return was_asked

    def ask(self) -> None:
        """Ask for a sign of life now, not at the next beat: it also confirms what came before."""
        if self._connection.link.state is State.OPEN:
            self._expect_answer()

    def _confirm(self, nonce: int | None) -> None:
        gate = self._connection.gate
        if gate.credit is not None:
            gate.credit.answered(nonce)
            if gate.line is not None:
                gate.line.confirmed()

    def _beat(self) -> None:
        connection = self._connection
        if connection.link.state is not State.OPEN:
            return
        self._expect_answer()
        self._beat_timer = connection.wheel.after(self._liveness.next_delay(random()), self._beat)

    def _expect_answer(self) -> None:
        connection, liveness = self._connection, self._liveness
        now, rtt = connection.loop.time(), liveness.rtt
        liveness.expect(now, connection.wheel.stalled, connection.intake.last_heard)
        # One ping at a time: if the last one could not be written yet, the peer does not read.
        if self._sending is None:
            nonce = liveness.ping(now)
            connection.conversation.asked()
            text = self._ping
            if text is None:
                text, self.awaited = wire.encode_ping(nonce, rtt), wire.expected_pong(nonce)
                if connection.gate.credit is not None:
                    connection.gate.credit.asked(nonce)
            sending = compat.start_eagerly(connection.loop, without_trace(self._send(text)))
            self._sending = None if sending.done() else sending
        if self._check_timer is None:
            self._check_timer = connection.wheel.after(liveness.timeout, self._check)

    async def _send(self, text: str) -> None:
        try:
            await self._connection.gate.say(text)
        except Exception as error:  # noqa: BLE001  # servers raise five different classes here
            self._connection.tell_step(f"the server refused a ping: {type(error).__name__}")
        finally:
            self._sending = None

    def _check(self) -> None:
        connection = self._connection
        self._check_timer = None
        if connection.link.state is not State.OPEN:
            return
        now, heard = connection.loop.time(), connection.intake.last_heard
        if not connection.is_listening:
            patience: float | None = self._liveness.timeout  # it may be talking
        else:
            patience = self._liveness.patience(now, connection.wheel.stalled, heard)
        if patience is None or (self._is_trusting and not self._has_answered):
            self._is_last_look = False
        elif patience > 0:
            self._is_last_look = False
            self._check_timer = connection.wheel.after(patience, self._check)
        elif not self._is_last_look:
            self._is_last_look = True
            self._check_timer = connection.wheel.after(LOOK_AGAIN, self._check)
        else:
            connection.peer_lost(self._liveness.silent_for(now, heard), self.rtt)


def make_heartbeat(connection: Connection, *, negotiated: bool, foreign: bool) -> Heartbeat | None:
    """The heartbeat of a client that is about to be accepted; none if it would not understand.

    Args:
        negotiated: Whether it speaks the wire protocol.
        foreign: Whether it speaks another subprotocol.
    """
    policy = connection.policies.heartbeat
    if policy.mode == "off" or foreign:
        return None
    if negotiated:
        return Heartbeat(connection, None, is_trusting=False)
    if policy.ping is not None and (policy.mode == "always" or policy.pong is not None):
        return Heartbeat(connection, policy.ping, is_trusting=policy.mode == "auto")
    return None
