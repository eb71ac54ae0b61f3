"""WebSocket frames as bytes (RFC 6455, section 5), legal and illegal ones."""

from __future__ import annotations

import os
from typing import NamedTuple

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA


class Frame(NamedTuple):
    """One frame, unmasked."""

    opcode: int
    payload: bytes
    fin: bool


def encode(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    announced: int | None = None,
) -> bytes:
    """Return the bytes of a client's frame.

    Nothing is checked, so that any illegal frame can be made. *announced* is the length that the
    header claims, when it is not the payload's own.
    """
    length = len(payload) if announced is None else announced
    head = bytearray([fin << 7 | rsv << 4 | opcode])
    if length < 126:
        head.append(masked << 7 | length)
    elif length < 0x10000:
        head.append(masked << 7 | 126)
        head += length.to_bytes(2)
    else:
        head.append(masked << 7 | 127)
        head += length.to_bytes(8)
    if not masked:
        return bytes(head) + payload
    mask = os.urandom(4)
    return bytes(head) + mask + _xor(payload, mask)


def _xor(payload: bytes, mask: bytes) -> bytes:
    # As one big integer: megabytes in milliseconds, without a loop in Python.
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


def take(buffer: bytearray) -> Frame | None:
    """Cut the first whole frame off *buffer*; None while it is incomplete."""
    if len(buffer) < 2:
        return None
    fin, opcode = bool(buffer[0] & 0x80), buffer[0] & 0x0F
    masked, length, start = bool(buffer[1] & 0x80), buffer[1] & 0x7F, 2
    if length >= 126:
        start = 4 if length == 126 else 10
        if len(buffer) < start:
            return None
        length = int.from_bytes(buffer[2:start])
    mask = b""
    if masked:
        mask, start = bytes(buffer[start : start + 4]), start + 4
    if len(buffer) < start + length:
        return None
    payload = bytes(buffer[start : start + length])
    del buffer[: start + length]
    return Frame(opcode, _xor(payload, mask) if masked else payload, fin)


def close_payload(code: int | None, reason: str = "") -> bytes:
    """Return a close frame's payload; empty without a code."""
    return b"" if code is None else code.to_bytes(2) + reason.encode()


def read_close(payload: bytes) -> tuple[int | None, str]:
    """Return the code and the reason that a close frame's payload holds."""
    if len(payload) < 2:
        return None, ""
    return int.from_bytes(payload[:2]), payload[2:].decode(errors="replace")
