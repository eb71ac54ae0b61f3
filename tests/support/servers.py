"""How ASGI servers differ: after a close, after the client left, in their scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.scripted import Message, ScriptedServer


class ClientDisconnected(OSError):
    """What Uvicorn raises from ``send`` once the client is gone."""


class Disconnected(RuntimeError):
    """What Autobahn, below Daphne, raises from ``send`` after a close."""


class ServerStyle:
    """A lenient server: takes everything, and answers a close with a disconnect."""

    name = "plain"
    asgi: dict[str, str] | None = None
    extensions: dict[str, Any] | None = None

    def scope(self, path: str, more: dict[str, Any]) -> dict[str, Any]:
        path, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "websocket",
            "path": path,
            "query_string": query.encode(),
            "headers": [],
            "subprotocols": [],
        }
        if self.asgi is not None:
            scope["asgi"] = dict(self.asgi)
        if self.extensions is not None:
            scope["extensions"] = dict(self.extensions)
        return scope | more

    def take(self, server: ScriptedServer, message: Message) -> bool:
        """Accept *message* from the application; whether the client gets to see it."""
        if message["type"] == "websocket.accept":
            server.accepted = True
        elif message["type"] == "websocket.close" and not server.closed:
            server.closed = True
            server.feed(self.own_close(server, message))
        return True

    def own_close(self, server: ScriptedServer, message: Message) -> Message:
        code = message.get("code", 1000) if server.accepted else 1006
        return {"type": "websocket.disconnect", "code": code}

    def clean_close(self, code: int | None, reason: str) -> Message:
        return {"type": "websocket.disconnect", "code": code}

    def lost(self) -> Message:
        return {"type": "websocket.disconnect", "code": 1006}


class Uvicorn(ServerStyle):
    """Uvicorn: raises from ``send`` when the client is gone and after a close."""

    name = "uvicorn"
    asgi = {"version": "3.0", "spec_version": "2.4"}
    extensions = {"websocket.http.response": {}}

    def take(self, server: ScriptedServer, message: Message) -> bool:
        kind = message["type"]
        if server.client_is_gone:
            raise ClientDisconnected
        if server.closed and kind != "websocket.http.response.body":
            raise RuntimeError(
                f"Unexpected ASGI message '{kind}', after sending 'websocket.close'."
            )
        if kind == "websocket.http.response.start":
            server.closed = True
            return True
        if kind == "websocket.http.response.body":
            if not message.get("more_body", False):
                server.feed({"type": "websocket.disconnect", "code": 1006})
            return True
        if not server.accepted and kind not in ("websocket.accept", "websocket.close"):
            raise RuntimeError(f"Expected ASGI message 'websocket.accept' but got '{kind}'.")
        return super().take(server, message)

    def own_close(self, server: ScriptedServer, message: Message) -> Message:
        event = super().own_close(server, message)
        if server.accepted:
            event["reason"] = message.get("reason") or ""
        return event

    def clean_close(self, code: int | None, reason: str) -> Message:
        return {
            "type": "websocket.disconnect",
            "code": 1005 if code is None else code,
            "reason": reason,
        }

    def lost(self) -> Message:
        return {"type": "websocket.disconnect", "code": 1005}


class Daphne(ServerStyle):
    """Daphne: silent when the client is gone, raises after a close, few close codes."""

    name = "daphne"

    def take(self, server: ScriptedServer, message: Message) -> bool:
        kind = message["type"]
        if server.client_is_gone:
            return False
        if kind == "websocket.close":
            if server.closed:
                return False
            code = message.get("code", 1000)
            if server.accepted and code != 1000 and not 3000 <= code <= 4999:
                raise Exception(f"invalid close code {code}")
        elif server.closed:
            raise Disconnected
        elif kind == "websocket.send" and not server.accepted:
            raise ValueError("Socket has not been accepted, so cannot send over it")
        return super().take(server, message)

    def clean_close(self, code: int | None, reason: str) -> Message:
        return {"type": "websocket.disconnect", "code": code}


PLAIN = ServerStyle()
UVICORN = Uvicorn()
DAPHNE = Daphne()
ALL_STYLES = (PLAIN, UVICORN, DAPHNE)
