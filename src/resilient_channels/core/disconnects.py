"""Why a connection ended, told the same way on every server.

ASGI servers report the same event with different codes: a lost TCP connection is 1006 on Daphne
and 1005 on Uvicorn, a clean close without a code is ``None`` on Daphne and 1005 on Uvicorn,
and what an application closed with comes back as something else on half of them. So what *we*
did is remembered, and only the rest is read from the server's event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from .codes import CloseCode

if TYPE_CHECKING:
    from collections.abc import Mapping


class DisconnectKind(Enum):
    """What ended a connection."""

    CLIENT = "client"  # the client closed it, with a close frame
    LOST = "lost"  # the TCP connection ended without one
    TIMEOUT = "timeout"  # the peer stopped reading or answering, and we gave up
    SERVER = "server"  # the application closed it
    ERROR = "error"  # we closed it because handlers failed or the input was bad
    LAYER = "layer"  # we closed it because the channel layer stayed away
    DRAIN = "drain"  # the server process is going away
    CANCELLED = "cancelled"  # the server cancelled the application


class Initiator(Enum):
    """Who ended a connection."""

    CLIENT = "client"
    SERVER = "server"
    NETWORK = "network"


_INITIATORS = {DisconnectKind.CLIENT: Initiator.CLIENT, DisconnectKind.LOST: Initiator.NETWORK}


@dataclass(frozen=True, slots=True)
class DisconnectInfo:
    """How a connection ended.

    Attributes:
        code: Always an ``int``: the close frame's, ours if we closed, 1005 for a clean close
            without a code, 1006 when there was no close frame.
        reason: The close reason, where the server passes it on (Uvicorn); else empty. Text from
            the client is untrusted.
        kind: What ended it.
        certain: ``False`` where the server cannot tell a clean close from a lost connection
            (Hypercorn always, Granian for a close without a code), or the client's close from its
            own answer to a bad frame (1002, 1007 and 1009 on Uvicorn and Granian).
    """

    code: int
    reason: str = ""
    kind: DisconnectKind = DisconnectKind.LOST
    certain: bool = True

    @property
    def initiator(self) -> Initiator:
        """Who ended it."""
        return _INITIATORS.get(self.kind, Initiator.SERVER)


class ServerDialect(Enum):
    """What a server's ``websocket.disconnect`` can be trusted with."""

    TELLS_LOSS_BY_MISSING_REASON = "uvicorn"  # lost TCP: 1005 without a reason key
    TELLS_LOSS_BY_1006 = "daphne"  # no code in a clean close: None
    CANNOT_TELL = "hypercorn, granian"


# A server answers a bad frame with one of these, and reports it as if the client had sent it.
_EITHER_SIDES = {
    CloseCode.PROTOCOL_ERROR,
    CloseCode.INVALID_PAYLOAD,
    CloseCode.MESSAGE_TOO_BIG,
}


def classify(message: Mapping[str, Any], dialect: ServerDialect) -> DisconnectInfo:
    """Read a server's ``websocket.disconnect`` for a connection that we did not close."""
    raw, reason = message.get("code"), message.get("reason") or ""
    code = CloseCode.NO_STATUS.value if raw is None else int(raw)
    if dialect is ServerDialect.TELLS_LOSS_BY_MISSING_REASON and "reason" not in message:
        # A close frame would have brought a reason key.
        if code == CloseCode.SERVICE_RESTART:  # Uvicorn's own shutdown
            return DisconnectInfo(code, reason, DisconnectKind.DRAIN)
        if raw == CloseCode.NO_STATUS:
            return DisconnectInfo(CloseCode.ABNORMAL.value)
    if dialect is ServerDialect.CANNOT_TELL and raw == CloseCode.NO_STATUS:
        return DisconnectInfo(CloseCode.ABNORMAL.value, certain=False)
    if code == CloseCode.ABNORMAL:
        return DisconnectInfo(code, reason, certain=dialect is not ServerDialect.CANNOT_TELL)
    told = dialect is ServerDialect.TELLS_LOSS_BY_1006 or code not in _EITHER_SIDES
    return DisconnectInfo(code, reason, DisconnectKind.CLIENT, certain=told)
