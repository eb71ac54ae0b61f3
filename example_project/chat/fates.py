"""How the latest connections ended: a browser that has left cannot see it for itself.

Each connection brings a key of its own in its query string. A server that takes the place of
another one knows what became of that one's connections, too: they are written down in a file.
"""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEPT = 500
# Set by scripts/demo.py, for one server after the other.
FILE = os.environ.get("DEMO_FATES")


class Disconnect(TypedDict):
    """One call of ``disconnect()``: its code, and the wall clock in milliseconds."""

    code: int | None
    at: float


class Stream(TypedDict):
    """How long a stream's longest ``send()`` took, and how much was sent while nobody read."""

    seconds: float
    unread_mb: float


class Fate(TypedDict):
    """The calls of ``disconnect()``, and whether the consumer has ended: no more will come."""

    disconnects: list[Disconnect]
    is_over: bool
    stream: Stream | None


_fates: OrderedDict[str, Fate] = OrderedDict()


def of(key: str) -> Fate:
    """Return what became of that connection; what nobody knows of has not ended."""
    return _fates.get(key) or _new()


def note_disconnect(scope: Any, code: int | None) -> None:
    """Remember one call of ``disconnect()``."""
    call: Disconnect = {"code": code, "at": time.time() * 1000}
    _note(scope, disconnects=[*_of(scope)["disconnects"], call])


def note_stream(scope: Any, seconds: float, unread_mb: float) -> None:
    """Remember how a stream went."""
    stream: Stream = {"seconds": seconds, "unread_mb": unread_mb}
    _note(scope, stream=stream)


def noting_the_end(application: Any) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """Wrap an ASGI application; remember when it is done with a connection."""

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        _note(scope)
        try:
            await application(scope, receive, send)
        finally:
            _note(scope, is_over=True)

    return noted


def _new() -> Fate:
    return {"disconnects": [], "is_over": False, "stream": None}


def _key(scope: Any) -> str:
    key: str = parse_qs(scope["query_string"].decode()).get("key", [""])[0]
    return key


def _of(scope: Any) -> Fate:
    return of(_key(scope))


def _note(scope: Any, **changes: Any) -> None:
    key = _key(scope)
    _keep(key, {**of(key), **changes})  # type: ignore[typeddict-item]
    if FILE is not None:
        with Path(FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, _fates[key]]) + "\n")


def _keep(key: str, fate: Fate) -> None:
    _fates[key] = fate
    while len(_fates) > KEPT:
        _fates.popitem(last=False)


def _read(lines: str) -> None:
    """Take over from a server that has ended, and all its consumers with it."""
    for line in lines.splitlines():
        key, fate = json.loads(line)
        fate["is_over"] = True
        _keep(key, fate)


if FILE is not None and Path(FILE).exists():
    _read(Path(FILE).read_text(encoding="utf-8"))
