"""Wire protocol v1: control frames, which travel beside the application's own.

A control frame is a text frame whose first character is U+001E (RECORD SEPARATOR), then one JSON
object with a ``type``. One look at one character tells it from application text. It is spoken
only with clients that asked for it (see ``subprotocols.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MARK = "\x1e"
VERSION = 1

MAX_LENGTH = 1024
"""Characters of a control frame from a client; a longer one is not even parsed."""

MAX_NONCE = 64
"""Characters of a nonce that is a string."""

MAX_INTEGER = 2**53 - 1
"""The largest nonce that is a number: what every JSON reader keeps exact (RFC 8259 section 6)."""

Nonce = int | str


class WireError(ValueError):
    """A control frame that says nothing we know. ``str()`` is the cause, in a word or two."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A client speaks the protocol."""

    version: int


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer wants to know whether we are there."""

    nonce: Nonce


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping, with the nonce of that ping."""

    nonce: Nonce


ClientFrame = Hello | Ping | Pong


def decode(text: str) -> ClientFrame:
    """Read a control frame of a client, mark included.

    Unknown keys are ignored.

    Raises:
        WireError: It is too long, no JSON object, of an unknown type, or lacks what its type needs.
    """
    if len(text) > MAX_LENGTH:
        raise WireError("too long")
    try:
        content = json.loads(text[len(MARK) :])
    except (ValueError, RecursionError):
        raise WireError("not json") from None
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "ping":
        return Ping(_read_nonce(content))
    if kind == "pong":
        return Pong(_read_nonce(content))
    if kind == "hello":
        if type(content.get("version")) is not int or content["version"] != VERSION:
            raise WireError("malformed")
        return Hello(content["version"])
    raise WireError("unknown type" if isinstance(kind, str) else "malformed")


def _read_nonce(content: dict[str, Any]) -> Nonce:
    nonce = content.get("n")
    if type(nonce) is int and abs(nonce) <= MAX_INTEGER:
        return nonce
    if isinstance(nonce, str) and len(nonce) <= MAX_NONCE:
        return nonce
    raise WireError("malformed")


def encode_hello(connection: str, interval: float | None, timeout: float | None) -> str:
    """The server's first frame. Both times are in seconds; ``None``: no heartbeat."""
    return _encode(
        type="hello",
        version=VERSION,
        connection=connection,
        interval_ms=None if interval is None else round(interval * 1000),
        timeout_ms=None if timeout is None else round(timeout * 1000),
    )


def encode_ping(nonce: int, rtt: float | None = None) -> str:
    """A ping; *rtt* is the last measured round trip in seconds."""
    if rtt is None:
        return f'{MARK}{{"type":"ping","n":{nonce}}}'
    tenths = round(rtt * 10_000)  # of a millisecond; cheaper than rounding a float
    return f'{MARK}{{"type":"ping","n":{nonce},"rtt_ms":{tenths / 10}}}'


def expected_pong(nonce: int) -> str:
    """The answer to a ping of ours, as a client writes it that adds nothing."""
    return f'{MARK}{{"type":"pong","n":{nonce}}}'


def encode_pong(nonce: Nonce) -> str:
    """The answer to a ping with that nonce."""
    return _encode(type="pong", n=nonce)


def encode_bye(code: int, reason: str, verdict: str, after_ms: int) -> str:
    """Says before a planned close what the client should do about it."""
    return _encode(type="bye", code=code, reason=reason, verdict=verdict, after_ms=after_ms)


def _encode(**content: Any) -> str:
    return MARK + json.dumps(content, separators=(",", ":"))
