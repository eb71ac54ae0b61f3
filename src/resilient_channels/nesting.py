"""Who else is around a connection: a middleware of ours, or another consumer on the same socket."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from .gate import find_owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from . import compat
    from .core.link import Link

surrounding: ContextVar[Link | None] = ContextVar("resilient_channels_surrounding", default=None)
"""The connection of a middleware around. Its link only: contexts live on in timers and tasks."""


@runtime_checkable
class Outer(Protocol):
    """A connection that something further inside was given the ends of."""

    def step_aside(
        self, scope: Mapping[str, Any], receive: compat.Receive, send: compat.Send
    ) -> tuple[Mapping[str, Any], compat.Receive, compat.Send] | None:
        """Let a consumer further inside have a connection of its own; or not."""


def find_outer(receive: object, send: object) -> Outer | None:
    """The connection that *receive* or *send* belong to already."""
    owner = find_owner(send)
    if owner is None:
        owner = getattr(receive, "__self__", None)
    return owner if isinstance(owner, Outer) else None
