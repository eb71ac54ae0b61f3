"""The errors this library raises.

::

    ResilientChannelsError
    ├── ConnectionClosed (also OSError)        the connection is over; nothing was written
    ├── GroupLimitExceeded                      the connection may be in no more groups
    └── LayerUnavailable (also ConnectionError) the channel layer did not answer in time
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.disconnects import DisconnectInfo


class ResilientChannelsError(Exception):
    """Root of this library's errors."""


class ConnectionClosed(ResilientChannelsError, OSError):
    """A send was attempted after the connection had ended.

    An :class:`OSError`, as the ASGI specification (2.4) asks of servers.

    Attributes:
        info: How the connection ended.
    """

    def __init__(self, info: DisconnectInfo | None) -> None:
        super().__init__(info)
        self.info = info

    def __str__(self) -> str:
        if self.info is None:
            return "the connection is over; nothing was sent"
        kind = self.info.kind.value
        return f"the connection is over (code {self.info.code}, {kind}); nothing was sent"


class LayerUnavailable(ResilientChannelsError, ConnectionError):
    """A channel-layer call did not succeed within its deadline.

    The call may or may not have taken effect. ``__cause__`` is the layer's last exception.
    """

    def __init__(self, alias: str, operation: str, waited: float) -> None:
        super().__init__(alias, operation, waited)
        self.alias = alias
        self.operation = operation
        self.waited = waited

    def __str__(self) -> str:
        return (
            f"channel layer {self.alias!r} did not complete {self.operation}() "
            f"within {self.waited:.1f} s"
        )


class GroupLimitExceeded(ResilientChannelsError):
    """A consumer has tried to join one group more than ``LIMITS.groups``. It was not joined.

    Attributes:
        limit: How many groups a connection may be in.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"the connection is in {self.limit} groups, and may be in no more (LIMITS.groups)"


def is_mere_departure(error: BaseException) -> bool:
    """Whether *error* says nothing but that the connection is over, task groups included."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_mere_departure(part) for part in error.exceptions)
    return isinstance(error, ConnectionClosed)
