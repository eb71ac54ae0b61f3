"""Which supervisor watches which layer: one per layer and event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .. import compat
from .supervision import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..core.policies import LayerPolicy
    from .canary import Ear

NO_RENEWAL = 7 * 86_400.0
"""Seconds within which every group is joined again on a layer that forgets nobody by itself."""

# Loops are not kept alive by this map; a supervisor leaves it when its last member has left.
_supervisors: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, Supervisor]] = (
    WeakKeyDictionary()
)


def get_supervisor(
    alias: str,
    layer: Any,
    policy: LayerPolicy,
    make_ear: Callable[[], Ear] | None = None,
    *,
    renewal: float | None = None,
) -> Supervisor:
    """The supervisor of *layer* on the running loop.

    Args:
        make_ear: How its probe listens, if not on a channel of its own.
        renewal: Seconds within which every group is joined again.
    """
    supervisors = _supervisors.setdefault(asyncio.get_running_loop(), {})
    supervisor = supervisors.get(id(layer))
    if supervisor is None:
        ear = None if make_ear is None else make_ear()
        supervisor = supervisors[id(layer)] = Supervisor(
            alias, layer, policy, ear, renewal=renewal or renewal_interval(layer, 2), on_end=_forget
        )
    return supervisor


def renewal_interval(layer: Any, times: int, longest: float = NO_RENEWAL) -> float:
    """Seconds in which *layer* lets a member be renewed so many *times* before it forgets it."""
    expiry = compat.read_option(layer, "group_expiry")
    if isinstance(expiry, int | float) and expiry > 0:
        return min(expiry / times, longest)
    return longest


def find_home(layer: Any) -> asyncio.AbstractEventLoop | None:
    """A running event loop whose consumers use *layer*; from any thread."""
    for loop, supervisors in _supervisors.copy().items():
        supervisor = supervisors.get(id(layer))
        if supervisor is not None and supervisor.is_watching and loop.is_running():
            return loop
    return None


def _forget(supervisor: Supervisor) -> None:
    supervisors = _supervisors.get(asyncio.get_running_loop(), {})
    if supervisors.get(id(supervisor.layer)) is supervisor:
        del supervisors[id(supervisor.layer)]
