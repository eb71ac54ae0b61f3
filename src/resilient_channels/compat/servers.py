"""What ASGI servers do differently, as far as this library has to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.disconnects import ServerDialect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What servers raise, besides OSError, for a send on a connection that is over. Matched by name:
# none of them may be imported here, and two are not even public.
_GONE_BY_NAME = {
    ("autobahn.exception", "Disconnected"),
    ("wsproto.utilities", "LocalProtocolError"),
    ("websockets.exceptions", "ConnectionClosed"),
    ("websockets.exceptions", "ConnectionClosedOK"),
    ("websockets.exceptions", "ConnectionClosedError"),
    ("websockets.exceptions", "InvalidState"),
}

# Hypercorn's complaint about a message that does not fit the state of the connection. Only in these
# is it over; of a second accept, for one, the complaint is the same.
_HYPERCORNS = ("hypercorn.utils", "UnexpectedMessageError")
_OVER = ("ASGIWebsocketState.CLOSED", "ASGIWebsocketState.HTTPCLOSED")


def says_gone(error: Exception) -> bool:
    """Whether a server's ``send`` failed because the connection is over.

    ASGI 2.4 asks for an ``OSError``; only Uvicorn follows. Uvicorn's other form is a
    ``RuntimeError`` that names the message it did not expect.
    """
    if isinstance(error, OSError):
        return True
    if type(error) is RuntimeError:
        return "after sending 'websocket.close'" in str(error)
    name = (type(error).__module__, type(error).__name__)
    return name in _GONE_BY_NAME or (name == _HYPERCORNS and str(error).endswith(_OVER))


# Whose own ``send`` is known not to ask which task it runs in, before it waits.
_KNOWN = ("uvicorn.", "daphne.", "hypercorn.", "granian.")


def is_servers_own(send: object) -> bool:
    """Whether *send* is that of a server we know, with nothing around it."""
    method = getattr(send, "func", send)  # Daphne's is a partial
    return type(getattr(method, "__self__", None)).__module__.startswith(_KNOWN)


def read_dialect(scope: Mapping[str, Any]) -> ServerDialect:
    """How the server behind *scope* reports the end of a connection."""
    version = (scope.get("asgi") or {}).get("spec_version")
    if version is None:
        return ServerDialect.TELLS_LOSS_BY_1006  # Daphne; test communicators too
    if tuple(int(part) for part in str(version).split(".") if part.isdigit()) >= (2, 4):
        return ServerDialect.TELLS_LOSS_BY_MISSING_REASON
    return ServerDialect.CANNOT_TELL


def offers_denial_response(scope: Mapping[str, Any]) -> bool:
    """Whether a handshake can be refused with an HTTP response of one's own."""
    return "websocket.http.response" in (scope.get("extensions") or {})


def never_waits(scope: Mapping[str, Any]) -> bool:
    """Whether the server's ``send`` takes whatever it is given, read or not: Daphne's."""
    return read_dialect(scope) is ServerDialect.TELLS_LOSS_BY_1006


def is_served(scope: Mapping[str, Any]) -> bool:
    """Whether a server is behind *scope*, and no test's communicator."""
    return "server" in scope


_RELOADING = ("UVICORN_RELOAD", "GRANIAN_RELOAD", "RUN_MAIN")


def is_reloading(argv: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether the server starts anew whenever the code changes, as far as can be told."""
    # A worker process has the command line of its parent.
    return "--reload" in argv or any(
        environment.get(name, "").lower() in ("1", "true", "yes", "on") for name in _RELOADING
    )
