"""How the latest connections ended: a browser that has left cannot see it for itself.

Each connection brings a key of its own in its query string.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEPT = 500


class Disconnect(TypedDict):
    """One call of ``disconnect()``: its code, and the wall clock in milliseconds."""

    code: int | None
    at: float


class Fate(TypedDict):
    """The calls of ``disconnect()``, and whether the consumer has ended: no more will come."""

    disconnects: list[Disconnect]
    is_over: bool


_fates: OrderedDict[str, Fate] = OrderedDict()


def of(key: str) -> Fate:
    """Return what became of that connection; what nobody knows of has not ended."""
    return _fates.get(key) or {"disconnects": [], "is_over": False}


def note_disconnect(scope: Any, code: int | None) -> None:
    """Remember one call of ``disconnect()``."""
    _noted(scope)["disconnects"].append({"code": code, "at": time.time() * 1000})


def noting_the_end(application: Any) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """Wrap an ASGI application; remember when it is done with a connection."""

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        try:
            await application(scope, receive, send)
        finally:
            _noted(scope)["is_over"] = True

    return noted


def _noted(scope: Any) -> Fate:
    key = parse_qs(scope["query_string"].decode()).get("key", [""])[0]
    fate = _fates.setdefault(key, {"disconnects": [], "is_over": False})
    while len(_fates) > KEPT:
        _fates.popitem(last=False)
    return fate
