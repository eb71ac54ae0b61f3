"""What is known about a consumer class once it exists."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from . import compat
from .disconnects import DisconnectTable

ERROR_HOOK = "on_error"

LIFECYCLE = frozenset(
    {
        "accept", "as_asgi", "base_send", "channel_receive", "close", "connect", "disconnect",
        "dispatch", "send", "websocket_connect",
    }
)  # fmt: skip
"""Methods of a Channels consumer that are no event handlers, and do harm as such."""


@dataclass(frozen=True, slots=True)
class Traits:
    """Facts about one consumer class.

    Attributes:
        name: Dotted path of the class, for logs.
        is_sync: Whether its handlers run in a thread.
        owns_call: Whether we may run Channels' loop ourselves.
        has_error_hook: Whether it defines ``on_error(error, message)``.
        disconnects: Its ``@on_disconnect`` methods.
        reserved: Attributes that an event of the channel layer must not reach.
        takes_frames: Whether a broadcast may be sent to its client without asking it: what it
            sends goes out as Channels makes it.
    """

    name: str
    is_sync: bool
    owns_call: bool
    has_error_hook: bool
    disconnects: DisconnectTable
    reserved: frozenset[str]
    takes_frames: bool


def read_traits(consumer_class: type, mixin: type, reserved: frozenset[str]) -> Traits:
    """Read a consumer class.

    Raises:
        TypeError: Its ``@on_disconnect`` methods contradict each other, or are of the wrong colour.
    """
    is_sync = compat.is_sync(consumer_class)
    has_error_hook = _has_error_hook(consumer_class, is_sync=is_sync)
    return Traits(
        name=f"{consumer_class.__module__}.{consumer_class.__qualname__}",
        is_sync=is_sync,
        owns_call=not compat.overrides_call(consumer_class, mixin),
        has_error_hook=has_error_hook,
        disconnects=DisconnectTable(consumer_class, is_sync=is_sync),
        takes_frames=compat.sends_plainly(consumer_class),
        reserved=reserved | LIFECYCLE | ({ERROR_HOOK} if has_error_hook else frozenset()),
    )


def _has_error_hook(consumer_class: type, *, is_sync: bool) -> bool:
    """Whether ``on_error`` takes what our hook takes.

    A consumer may have an event handler of that name, which takes one argument: the event.
    """
    hook = getattr(consumer_class, ERROR_HOOK, None)
    if not inspect.isfunction(hook) or inspect.iscoroutinefunction(hook) is is_sync:
        return False
    try:
        inspect.signature(hook).bind(None, None, None)
    except TypeError:
        return False
    return True
