"""Where a connection comes from, also behind proxies; believed is only who was named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .core.networks import parse_address, read_networks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .core.networks import Address, Networks

FORWARDED = b"x-forwarded-for"
MAX_HOPS = 32
"""Proxies in a row that are believed."""


def find_address(scope: Mapping[str, Any], trusted_proxies: Sequence[str] = ()) -> Address | None:
    """The address of the client behind *scope*; ``None`` if it has none, as on a Unix socket.

    That is the other end of the TCP connection. Only if that is a trusted proxy, its
    ``X-Forwarded-For`` is read: from the right, as each proxy adds the one who spoke to it, up to
    the first address that is no trusted proxy. What stands left of it anybody may have written.
    """
    address = _read_peer(scope)
    networks = read_networks(tuple(trusted_proxies))
    if not networks or not _is_trusted(address, networks):
        return address
    for hop, text in enumerate(_read_forwarded(scope)):
        further = parse_address(text)
        if further is None or hop == MAX_HOPS:
            break  # the last one that can be read is the last one that counts
        address = further
        if address not in networks:
            break
    return address


def _read_peer(scope: Mapping[str, Any]) -> Address | None:
    client = scope.get("client")
    host = client[0] if isinstance(client, list | tuple) and client else None
    return parse_address(host) if isinstance(host, str) else None


def _is_trusted(address: Address | None, networks: Networks) -> bool:
    return networks.has_unix_sockets if address is None else address in networks


def _read_forwarded(scope: Mapping[str, Any]) -> Iterator[str]:
    """What stands in the headers of that name, from the right; of several the last one first."""
    for name, value in reversed(list(scope.get("headers") or ())):
        # Exactly that name. Some servers pass X_Forwarded_For on, too, which a client may write.
        if name == FORWARDED:
            rest = value.decode("latin-1")
            while rest:
                rest, _, text = rest.rpartition(",")
                yield text
