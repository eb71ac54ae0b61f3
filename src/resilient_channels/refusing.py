"""How a client is told that it may not come in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from . import compat
from .admission import find_refusal
from .standby import stand_by

if TYPE_CHECKING:
    from .connection import Connection
    from .core.refusal import Refusal


async def admit(connection: Connection) -> bool:
    """Whether its application gets to see *connection*; if not, the client was told why."""
    stand_by(connection.scope)
    refusal = find_refusal(connection)
    if refusal is not None:
        await refuse(connection, refusal)
    return refusal is None


async def refuse(connection: Connection, refusal: Refusal) -> None:
    """End a handshake that the application does not get to see.

    A browser tells a page nothing about a refused handshake. So a client that speaks the wire
    protocol is let in to be told: it gets a ``bye`` and the close code. Any other gets the HTTP
    status, where the server can send one (ASGI denial response), else 403.
    """
    connection.refusal, connection.refusal_code = refusal.cause, refusal.code
    accept, frames = connection.conversation.let_in_to_tell(refusal.code, refusal.after)
    gate = connection.gate
    if accept is not None:
        await gate.accept_to_close(accept, frames, refusal.code)
    elif compat.offers_denial_response(connection.scope):
        headers = []
        if refusal.after is not None:
            headers.append((b"retry-after", b"%d" % math.ceil(refusal.after)))
        await gate.deny(refusal.status, headers)
    else:
        await gate.deny_plainly()
