"""The opening handshake of a WebSocket client (RFC 6455, section 4)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MAX_HEAD_BYTES = 65_536


class Refused(Exception):
    """The server answered the handshake with something other than 101."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body


class Dropped(ConnectionError):
    """The TCP connection ended before the handshake was answered."""


@dataclass
class Handshake:
    """What was asked for, and the headers of the answer."""

    host: str
    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocols: Sequence[str] = ()
    key: str = field(default_factory=lambda: base64.b64encode(os.urandom(16)).decode())
    answer: dict[str, str] = field(default_factory=dict)

    def request(self) -> bytes:
        """Return the request's bytes."""
        lines = {
            "Host": f"{self.host}:{self.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": self.key,
            "Sec-WebSocket-Version": "13",
        }
        if self.subprotocols:
            lines["Sec-WebSocket-Protocol"] = ", ".join(self.subprotocols)
        lines.update(self.headers)
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"GET {self.path} HTTP/1.1\r\n{head}\r\n".encode()

    def check(self) -> None:
        """Raise if the answer does not belong to this request."""
        digest = hashlib.sha1(self.key.encode() + GUID, usedforsecurity=False).digest()
        expected = base64.b64encode(digest).decode()
        if self.answer.get("sec-websocket-accept") != expected:
            raise Dropped("the handshake's answer has a wrong Sec-WebSocket-Accept")


async def shake_hands(raw: socket.socket, handshake: Handshake) -> bytearray:
    """Connect *raw*, ask for the upgrade, and return the bytes that came after the answer."""
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (handshake.host, handshake.port))
    buffer = bytearray()
    try:
        await loop.sock_sendall(raw, handshake.request())
        while b"\r\n\r\n" not in buffer and len(buffer) < MAX_HEAD_BYTES:
            chunk = await loop.sock_recv(raw, 4096)
            if not chunk:
                raise Dropped("the server ended the connection during the handshake")
            buffer += chunk
    except (ConnectionResetError, BrokenPipeError) as error:
        raise Dropped("the server reset the connection during the handshake") from error
    head, _, rest = buffer.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    status = int(status_line.split()[1])
    for line in lines:
        name, _, value = line.partition(":")
        handshake.answer[name.strip().lower()] = value.strip()
    if status != 101:
        length = int(handshake.answer.get("content-length", "0"))
        with contextlib.suppress(OSError):
            while len(rest) < length and (chunk := await loop.sock_recv(raw, 4096)):
                rest += chunk
        raise Refused(status, handshake.answer, bytes(rest))
    handshake.check()
    return bytearray(rest)
