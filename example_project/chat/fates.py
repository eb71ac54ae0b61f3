"""How the latest connections ended: a browser that has left cannot see it for itself."""

from __future__ import annotations

from collections import OrderedDict

KEPT = 500
_fates: OrderedDict[str, list[int | None]] = OrderedDict()


def of(key: str) -> list[int | None]:
    """Return the codes that ``disconnect()`` of that connection was called with."""
    return _fates.get(key, [])


def note(key: str, code: int | None) -> None:
    """Remember one call of ``disconnect()``."""
    _fates.setdefault(key, []).append(code)
    while len(_fates) > KEPT:
        _fates.popitem(last=False)
