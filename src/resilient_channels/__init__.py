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
from .draining import drain
from .exceptions import (
    ConnectionClosed,
    GroupLimitExceeded,
    LayerUnavailable,
    ResilientChannelsError,
)
from .middleware import ResilientMiddleware
from .origins import OriginValidator
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
    "GroupLimitExceeded",
    "Initiator",
    "LayerUnavailable",
    "OriginValidator",
    "ResilientChannelsError",
    "ResilientJsonWebsocketConsumer",
    "ResilientMiddleware",
    "ResilientMixin",
    "ResilientWebsocketConsumer",
    "SendOutcome",
    "__version__",
    "broadcast",
    "drain",
    "notify",
    "on_disconnect",
    "safe_group_send",
]
