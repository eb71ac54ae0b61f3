"""Origins, as browsers write them, and which of them are meant by a setting."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

MAX_LENGTH = 300
"""Characters of the longest origin: a host name has at most 253."""

DEFAULT_PORTS = {"http": 80, "https": 443}
WILDCARD = "*."

# One way only to match any text: it takes no time to see that something is no origin.
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)"
    r"(?::(?P<port>0|[1-9][0-9]{0,4}))?"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a page; the port is ``None`` only where the scheme has none."""

    scheme: str
    host: str
    port: int | None


def parse_origin(text: str) -> Origin | None:
    """The origin that *text* is; ``None`` if it is anything else.

    Nothing may be missing, nothing too much: no user, no path, no space, no other letters than
    ASCII's.
    """
    if len(text) > MAX_LENGTH or not text.isascii():
        return None
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    scheme, host, port = match["scheme"], match["host"], match["port"]
    if host[0] == "[":
        try:
            host = f"[{IPv6Address(host[1:-1])}]"
        except ValueError:
            return None
    number = DEFAULT_PORTS.get(scheme) if port is None else int(port)
    if number is not None and number > 65535:
        return None
    return Origin(scheme, host, number)


@dataclass(frozen=True, slots=True)
class OriginPattern:
    """One origin, or with *is_wild* that of a domain and all of its subdomains."""

    origin: Origin
    is_wild: bool

    def matches(self, other: Origin) -> bool:
        """Whether *other* is meant."""
        own = self.origin
        if (own.scheme, own.port) != (other.scheme, other.port):
            return False
        return own.host == other.host or (self.is_wild and other.host.endswith(f".{own.host}"))


def parse_pattern(text: str) -> OriginPattern | None:
    """What *text* means, as in Django's ``CSRF_TRUSTED_ORIGINS``; ``None`` if it means nothing.

    ``https://*.example.com`` means that domain and its subdomains.
    """
    scheme, separator, rest = text.partition("://")
    is_wild = rest.startswith(WILDCARD)
    origin = parse_origin(f"{scheme}{separator}{rest.removeprefix(WILDCARD)}")
    if origin is None or (is_wild and origin.host[0] == "["):
        return None
    return OriginPattern(origin, is_wild)
