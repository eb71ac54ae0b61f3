"""Those who are told what happened. An observer is a callable; none may block or raise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .counts import count_event, counts
from .logs import log_event

if TYPE_CHECKING:
    from ..core.events import Event


class Observer(Protocol):
    """Takes every event, on the event loop's thread; that of a stall on the watchdog's."""

    def __call__(self, event: Event, /) -> None: ...


_observers: tuple[Observer, ...] = (count_event, log_event)


def notify(event: Event) -> None:
    """Tell every observer."""
    for observer in _observers:
        observer(event)


__all__ = ["Observer", "counts", "notify"]
