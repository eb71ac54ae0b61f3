"""Handshakes with origins, and what to guard."""

from typing import Any

from resilient_channels import OriginValidator

SITE = {"ALLOWED_HOSTS": ["example.com", ".example.org", "[::1]"]}


async def inside(scope, receive, send):
    """What is guarded: it lets everybody in."""
    await receive()
    await send({"type": "websocket.accept"})


def headers(*values: str | bytes, host: bytes | None = b"example.com") -> list[tuple[bytes, bytes]]:
    """Those of a handshake with these origins."""
    as_bytes = [value.encode("latin-1") if isinstance(value, str) else value for value in values]
    hosts = [] if host is None else [(b"host", host)]
    return [*hosts, *((b"origin", value) for value in as_bytes)]


def objection(
    *values: str | bytes,
    scheme: str | None = "wss",
    host: bytes | None = b"example.com",
    more: Any = (),
    allowed: Any = None,
    **options: Any,
) -> str | None:
    """What a validator has against them."""
    scope = {"type": "websocket", "headers": [*headers(*values, host=host), *more]}
    if scheme is not None:
        scope["scheme"] = scheme
    return OriginValidator(inside, allowed, **options).find_objection(scope)
