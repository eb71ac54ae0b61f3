"""Events as counters: how often each has happened in this process."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.events import Event

counts: Counter[tuple[str, str]] = Counter()
"""By name of the event and its ``cause``; empty for an event without one.

As many entries as there are names and causes: both are words of ours, never a client's.
"""


def count_event(event: Event) -> None:
    """Count *event*."""
    cause = getattr(event, "cause", "")
    counts[event.name, cause] += 1
