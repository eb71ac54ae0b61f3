"""Django Channels consumers that survive their clients and their channel layer."""

from .consumers import (
    AsyncResilientJsonWebsocketConsumer,
    AsyncResilientMixin,
    AsyncResilientWebsocketConsumer,
    ResilientJsonWebsocketConsumer,
    ResilientMixin,
    ResilientWebsocketConsumer,
)
from .core.codes import CloseCode
from .core.disconnects import DisconnectInfo, DisconnectKind, Initiator
from .core.outcomes import SendOutcome
from .disconnects import on_disconnect
from .exceptions import ConnectionClosed, LayerUnavailable, ResilientChannelsError
from .middleware import ResilientMiddleware
from .sending import broadcast, notify, safe_group_send

__version__ = "0.1.0"

__all__ = [
    "AsyncResilientJsonWebsocketConsumer",
    "AsyncResilientMixin",
    "AsyncResilientWebsocketConsumer",
    "CloseCode",
    "ConnectionClosed",
    "DisconnectInfo",
    "DisconnectKind",
    "Initiator",
    "LayerUnavailable",
    "ResilientChannelsError",
    "ResilientJsonWebsocketConsumer",
    "ResilientMiddleware",
    "ResilientMixin",
    "ResilientWebsocketConsumer",
    "SendOutcome",
    "__version__",
    "broadcast",
    "notify",
    "on_disconnect",
    "safe_group_send",
]
