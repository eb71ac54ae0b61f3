"""What ``safe_send`` and its kin accept. A bad argument is told at once, with what is allowed."""

from __future__ import annotations

from typing import Any

from .core.codes import check_portable_close


def check_frame(text_data: object, bytes_data: object) -> None:
    """Refuse anything but one ``str`` or one ``bytes``."""
    if text_data is not None and bytes_data is not None:
        raise ValueError("safe_send() takes text_data or bytes_data, not both")
    if text_data is None and bytes_data is None:
        raise ValueError("safe_send() needs text_data or bytes_data; both are None")
    if text_data is not None and not isinstance(text_data, str):
        raise TypeError(f"text_data must be a str, not {text_data!r}")
    if bytes_data is not None and not isinstance(bytes_data, bytes | bytearray | memoryview):
        raise TypeError(f"bytes_data must be bytes, not {bytes_data!r}")


def check_close_argument(close: object) -> None:
    """Refuse anything but a ``bool`` or a close code that every server can send."""
    if close is not False and close is not True:
        check_portable_close(close, None)


def check_key(key: object, *, wait: bool) -> None:
    """Refuse a key that is no text, or that would be of no use."""
    if key is None:
        return
    if not isinstance(key, str):
        raise TypeError(f"key must be a str or None, not {key!r}")
    if wait:
        raise ValueError("a key is for frames that wait in the outbox: with wait=False")


def build_frame(text_data: str | None, bytes_data: bytes | None) -> dict[str, Any]:
    """The ASGI message for a frame."""
    if text_data is not None:
        return {"type": "websocket.send", "text": text_data}
    return {"type": "websocket.send", "bytes": bytes_data}
