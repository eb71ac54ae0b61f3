"""How long a consumer may be held up by its channel layer, at each part of its life."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from ..exceptions import LayerUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from ..core.policies import LayerPolicy

HANDSHAKE_PATIENCE = 0.9
"""Seconds that a slow layer may delay a handshake, in all."""


class Consumer(Protocol):
    """What a client needs from the consumer's connection."""

    def layer_event(self, event: Mapping[str, Any]) -> None: ...
    def start_layer_reader(self) -> None: ...
    def restart_layer_reader(self) -> None: ...
    async def next_layer_event(self) -> Mapping[str, Any]: ...
    def channel_named(self, channel: str) -> None: ...
    def check_group(self, group: str, groups: Collection[str]) -> None: ...
    def offer_event(self, event: Mapping[str, Any], capacity: int) -> bool: ...
    def offer_frame(
        self, text: str, event: Mapping[str, Any], key: str | None, capacity: int
    ) -> bool: ...


class PatientClient:
    """One consumer's use of its channel layer: what any layer has in common.

    In the handshake all calls together may take a moment only; then each has ``LAYER.deadline``; in
    the cleanup nothing raises for an outage, or blocks beyond what the cleanup has left.
    """

    __slots__ = ("_consumer", "_is_gone", "_is_handshaking", "_is_leaving", "_leave_by", "_loop",
                 "_patience", "_policy")  # fmt: skip

    def __init__(self, policy: LayerPolicy, consumer: Consumer) -> None:
        self._policy = policy
        self._consumer = consumer
        self._loop = asyncio.get_running_loop()
        self._patience = HANDSHAKE_PATIENCE
        self._is_handshaking = True
        self._is_leaving = False
        self._leave_by = 0.0
        self._is_gone = False  # whoever still calls now is no part of the cleanup

    def _is_here(self) -> bool:
        """Whether this is the consumer's loop; a user's thread has its own, and the bare layer."""
        return asyncio.get_running_loop() is self._loop

    def _find_limit(self) -> float:
        """Until when, on the loop's clock, a call that begins now may take."""
        now = self._loop.time()
        limit = now + self._policy.deadline
        if self._is_handshaking:
            return min(limit, now + max(self._patience, 0.0))
        if self._is_leaving and not self._is_gone:
            return min(limit, max(self._leave_by, now))
        return limit

    async def _attempt(self, work: Callable[[float], Awaitable[None]]) -> None:
        """Do something with the layer, before the time that *work* is given."""
        started = self._loop.time()
        try:
            await work(self._find_limit())
        finally:
            # Only what the layer takes counts, not what the consumer does between two calls.
            self._patience -= self._loop.time() - started

    async def _call(self, work: Callable[[float], Awaitable[None]]) -> None:
        """The same for what may fail for the caller, unless the consumer is in its cleanup."""
        try:
            await self._attempt(work)
        except LayerUnavailable:
            if not self._is_leaving or self._is_gone:
                raise

    # --- the consumer's life -------------------------------------------------------------------

    def layer_event(self, event: Mapping[str, Any]) -> None:
        """Pass an event of the supervisor on to the consumer."""
        self._consumer.layer_event(event)

    def handshake_done(self) -> None:
        """From now on the layer may take its full deadline."""
        self._is_handshaking = False

    def begin_leaving(self, patience: float) -> None:
        """From now on nothing here may raise for an outage, or block beyond *patience*."""
        self._is_leaving = True
        self._leave_by = self._loop.time() + patience
