"""Addresses and networks, as they stand in settings, scopes and headers."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from .options import PolicyError

if TYPE_CHECKING:
    from collections.abc import Sequence

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNIX = "unix:"
"""Stands for whoever connects through a Unix socket, among networks."""

MAX_LENGTH = 80
"""Characters of the longest text that can be an address, with brackets, zone and port."""

MAPPED = IPv6Network("::ffff:0:0/96")
"""All of IPv4, in IPv6 form."""

V6_PREFIX_BYTES = 8
"""A /64: the least that one customer gets, who has the choice of 2**64 addresses in it."""


def parse_address(text: str) -> Address | None:
    """The address in *text*, which may have a port, brackets and a zone; ``None`` if it has none.

    An IPv4 address in IPv6 form (``::ffff:192.0.2.1``) is that IPv4 address.
    """
    text = text.strip(" \t")
    if not text or len(text) > MAX_LENGTH:
        return None
    if text[0] == "[":
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or not _is_port(rest):
            return None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        if not _is_port(f":{port}"):
            return None
    else:
        host = text
    try:
        address = ip_address(host.partition("%")[0] if ":" in host else host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_port(text: str) -> bool:
    """Whether *text* is nothing, or a colon and a port."""
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdecimal())


def crowd_of(address: Address) -> bytes:
    """What *address* is counted by: itself, or its /64 network if it is of IPv6."""
    return address.packed if address.version == 4 else address.packed[:V6_PREFIX_BYTES]


def _parse_network(text: str) -> Network:
    """The network in *text*; one of IPv4 in IPv6 form is that of IPv4, as its addresses are.

    A wider one, such as ``::/0``, has no address of IPv4.
    """
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        bits = network.prefixlen - MAPPED.prefixlen
        return IPv4Network((network.network_address.packed[-4:], bits))
    return network


class Networks:
    """Addresses that are believed, for one reason or another."""

    __slots__ = ("_networks", "has_unix_sockets")

    def __init__(self, texts: Sequence[str]) -> None:
        self.has_unix_sockets = UNIX in texts
        self._networks = tuple(_parse_network(text) for text in texts if text != UNIX)

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def __bool__(self) -> bool:
        return self.has_unix_sockets or bool(self._networks)


@lru_cache(maxsize=64)
def read_networks(texts: tuple[str, ...]) -> Networks:
    """The networks that *texts* name.

    Raises:
        ValueError: One of them names none.
    """
    return Networks(texts)


def check_networks(section: str, name: str, value: Sequence[str]) -> None:
    """Refuse a text that is no address, no network and not ``unix:``."""
    for text in value:
        try:
            read_networks((text,))
        except ValueError as error:
            raise PolicyError(
                f"{section}.{name} must be a list of addresses, networks such as '10.0.0.0/8', or "
                f"{UNIX!r}: {error}"
            ) from None
