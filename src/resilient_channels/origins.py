"""Which web sites may open a socket here; their visitors' browsers send our cookies along."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from . import compat
from .core.admission_events import OriginRefused
from .core.origins import Origin, parse_origin, parse_pattern
from .observers import counts, notify

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .core.origins import OriginPattern

HOSTS_IN_DEBUG = (".localhost", "127.0.0.1", "[::1]")
"""What Django takes for ``ALLOWED_HOSTS`` if that is empty and ``DEBUG`` is on."""

SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}

SECONDS_BETWEEN_RECORDS = 60.0


class OriginValidator:
    """Refuses WebSockets that a page of another web site opens (HTTP 403).

    ::

        application = ProtocolTypeRouter({
            "http": django_application,
            "websocket": OriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
        })

    The ``Origin`` of the handshake has to be exactly one, well formed, and the same as an allowed
    one in scheme, host and port. Scopes other than ``websocket`` are passed on untouched.

    Args:
        app: What is guarded.
        allowed: Origins (``"https://example.com"``, ``"https://*.example.com"``), and no others.
            ``None``: the site itself, which is the ``Host`` of the handshake if ``ALLOWED_HOSTS``
            has it, and ``settings.CSRF_TRUSTED_ORIGINS``.
        allow_missing: Let clients in that send no ``Origin``, as every browser does. For clients
            that are no browsers.

    Raises:
        ValueError: *allowed* has something that is no origin.
        TypeError: *allowed* is one text instead of several.
    """

    def __init__(
        self, app: Any, allowed: Iterable[str] | None = None, *, allow_missing: bool = False
    ) -> None:
        self.app = app
        self.allow_missing = allow_missing
        self.allowed = None if allowed is None else _parse_allowed(allowed)

    async def __call__(
        self, scope: Mapping[str, Any], receive: compat.Receive, send: compat.Send
    ) -> None:
        """The ASGI application."""
        cause = self.find_objection(scope) if scope["type"] == "websocket" else None
        if cause is None:
            await self.app(scope, receive, send)
            return
        _tell(cause)
        await _deny(receive, send)

    def find_objection(self, scope: Mapping[str, Any]) -> str | None:
        """What is wrong with the origin of the handshake in *scope*; ``None`` if nothing is."""
        values = _read_header(scope, "origin")
        if not values:
            return None if self.allow_missing else "missing"
        if len(values) > 1:
            return "duplicate"
        origin = parse_origin(values[0])
        if origin is None:
            return "malformed"
        if self.allowed is not None:
            patterns = self.allowed
        elif origin == _find_site(scope):
            return None
        else:
            patterns = _parse_trusted(tuple(settings.CSRF_TRUSTED_ORIGINS))
        return None if any(pattern.matches(origin) for pattern in patterns) else "not allowed"


def _parse_allowed(allowed: Iterable[str]) -> tuple[OriginPattern, ...]:
    if isinstance(allowed, str):
        raise TypeError(f"allowed must be a list of origins, not {allowed!r}")
    patterns = []
    for text in allowed:
        pattern = parse_pattern(text)
        if pattern is None:
            raise ValueError(
                f"{text!r} is no origin; write it as 'https://example.com', "
                "'https://example.com:8443' or 'https://*.example.com'"
            )
        patterns.append(pattern)
    return tuple(patterns)


@lru_cache(maxsize=8)
def _parse_trusted(texts: tuple[str, ...]) -> tuple[OriginPattern, ...]:
    """What the setting means; what it has besides, Django's own check reports."""
    patterns = (parse_pattern(text) for text in texts)
    return tuple(pattern for pattern in patterns if pattern is not None)


def _read_header(scope: Mapping[str, Any], name: str) -> list[str]:
    """The values of one header. Only of exactly that name: none with underscores instead."""
    wanted = name.encode("latin-1")
    return [value.decode("latin-1") for key, value in scope.get("headers") or () if key == wanted]


# --- the site itself, as Django sees it ----------------------------------------------------------


def _find_site(scope: Mapping[str, Any]) -> Origin | None:
    """The origin of the site's own pages; ``None`` if the host is none of ours."""
    hosts = _read_header(scope, "host")
    if settings.USE_X_FORWARDED_HOST:
        hosts = _read_header(scope, "x-forwarded-host") or hosts
    if len(hosts) != 1:
        return None
    allowed: Sequence[str] = settings.ALLOWED_HOSTS
    if settings.DEBUG and not allowed:
        allowed = HOSTS_IN_DEBUG
    domain, _ = split_domain_port(hosts[0])
    if not domain or not validate_host(domain, allowed):
        return None
    return parse_origin(f"{_find_scheme(scope)}://{hosts[0]}")


def _find_scheme(scope: Mapping[str, Any]) -> str:
    """Whether the site's pages come over ``http`` or ``https``."""
    if settings.SECURE_PROXY_SSL_HEADER:
        variable, secure = settings.SECURE_PROXY_SSL_HEADER
        values = _read_header(scope, variable.removeprefix("HTTP_").replace("_", "-").lower())
        if values:
            return "https" if values[0].split(",")[0].strip() == secure else "http"
    return SCHEMES.get(scope.get("scheme") or "ws", "http")


# --- refusing ------------------------------------------------------------------------------------


async def _deny(receive: compat.Receive, send: compat.Send) -> None:
    """Answer the handshake with HTTP 403."""
    message = await receive()
    if message["type"] != "websocket.connect":
        return  # the client is gone
    try:
        await send({"type": "websocket.close"})
    except Exception as error:
        if not compat.says_gone(error):
            raise


class _Tally:
    """Refusals for one cause: the first is told at once, those that follow once a minute.

    A record for each would let anybody fill the log.
    """

    def __init__(self) -> None:
        self._untold = 0
        self._loop: asyncio.AbstractEventLoop | None = None  # whose timer will tell of the rest

    def add(self, cause: str) -> None:
        """Count one refusal."""
        if self._loop is not None and not self._loop.is_closed():
            self._untold += 1
            counts[OriginRefused.name, cause] += 1
        else:
            self._tell(asyncio.get_running_loop(), cause, self._untold + 1)

    def _tell(self, loop: asyncio.AbstractEventLoop, cause: str, refused: int) -> None:
        self._untold, self._loop = 0, loop
        loop.call_later(SECONDS_BETWEEN_RECORDS, self._tell_the_rest, loop, cause)
        notify(OriginRefused(cause=cause, refused=refused))

    def _tell_the_rest(self, loop: asyncio.AbstractEventLoop, cause: str) -> None:
        self._loop = None
        if self._untold:
            counts[OriginRefused.name, cause] -= 1  # all of them were counted when they came
            self._tell(loop, cause, self._untold)


_tallies = {cause: _Tally() for cause in ("missing", "duplicate", "malformed", "not allowed")}


def _tell(cause: str) -> None:
    _tallies[cause].add(cause)
