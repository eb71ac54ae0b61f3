"""The ``hosts`` of a channels_redis layer, read as channels_redis and redis-py will read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit


def _to_bool(text: str) -> bool:
    return text.upper() not in ("0", "F", "FALSE", "N", "NO")


_FROM_URL: dict[str, Callable[[str], Any]] = {
    "socket_timeout": float,
    "health_check_interval": int,
    "retry_on_timeout": _to_bool,
}


@dataclass(frozen=True, kw_only=True)
class Host:
    """One Redis server, or a master that sentinels know.

    Attributes:
        options: What its connections are made with, options in a URL's query included.
        is_tls: Whether they are encrypted.
    """

    options: Mapping[str, Any]
    is_tls: bool = False

    @property
    def is_named(self) -> bool:
        """Whether it is reached by a host name of its own: no Unix socket, no sentinels."""
        return bool(self.options.get("host"))

    @property
    def has_sync_retry(self) -> bool:
        """Whether it has a ``Retry`` that does nothing here."""
        bases = {base.__module__ for base in type(self.options.get("retry")).__mro__}
        return "redis.retry" in bases and "redis.asyncio.retry" not in bases

    @property
    def is_retried(self) -> bool:
        """Whether redis-py tries again when a connection turns out to be closed."""
        if self.options.get("retry") is not None:
            return not self.has_sync_retry
        # Either of these makes redis-py try once more, whatever the error.
        return bool(self.options.get("retry_on_error") or self.options.get("retry_on_timeout"))


def read_hosts(hosts: Any) -> list[Host]:
    """The servers that a layer with these *hosts* talks to; none if it will refuse them."""
    if isinstance(hosts, str | bytes):
        return []
    try:
        return [_read(host) for host in hosts or ["redis://localhost:6379"]]
    except TypeError:
        return []


def _read(host: Any) -> Host:
    if isinstance(host, tuple | list):
        return Host(options=dict(zip(("host", "port"), host, strict=False)))
    if not isinstance(host, Mapping):
        host = {"address": host}
    if "address" in host:
        return _read_url(host)
    if host.get("master_name") is not None:
        return Host(options=host, is_tls=bool(host.get("ssl")) or _is_tls_class(host))
    return Host(options=host, is_tls=_is_tls_class(host))


def _read_url(host: Mapping[str, Any]) -> Host:
    options = {key: value for key, value in host.items() if key != "address"}
    try:
        url = urlsplit(str(host["address"]))
    except ValueError:
        return Host(options=options)  # redis-py refuses it
    # The URL has the last word; of an option that it names twice, the first one counts.
    for key, values in parse_qs(url.query).items():
        options[key] = _convert(key, values[0])
    if url.scheme != "unix" and url.hostname:
        options["host"] = url.hostname
    return Host(options=options, is_tls=url.scheme == "rediss" or _is_tls_class(options))


def _convert(key: str, text: str) -> Any:
    try:
        return _FROM_URL.get(key, str)(text)
    except ValueError:
        return text  # redis-py refuses it


def _is_tls_class(options: Mapping[str, Any]) -> bool:
    # By name: no client is imported here to find out.
    bases = getattr(options.get("connection_class"), "__mro__", ())
    return any(base.__name__ == "SSLConnection" for base in bases)
