"""What a WebSocket client can receive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """A text message."""

    data: str


@dataclass(frozen=True)
class Binary:
    """A binary message."""

    data: bytes


@dataclass(frozen=True)
class Close:
    """A close frame; ``code`` is None when it held none."""

    code: int | None
    reason: str


@dataclass(frozen=True)
class Eof:
    """The server ended the TCP connection in order (FIN)."""


@dataclass(frozen=True)
class Reset:
    """The TCP connection was torn down (RST)."""


Received = Text | Binary | Close | Eof | Reset


@dataclass(frozen=True)
class Ending:
    """How a connection looked from the client when it was over."""

    close: Close | None
    last: Eof | Reset
