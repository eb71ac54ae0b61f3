"""Addresses as headers, scopes and settings write them."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.networks import (
    Networks,
    check_networks,
    crowd_of,
    parse_address,
    read_networks,
)
from resilient_channels.core.options import PolicyError
from resilient_channels.core.traffic_policies import LimitsPolicy


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\t", "192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%eth0]:443", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:80", "192.0.2.1"),
    ],
)
def test_an_address_may_have_a_port_brackets_and_a_zone(text: str, address: str):
    assert parse_address(text) == ip_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "unknown", "_hidden", "unix:", "unix:/run/x.sock", "localhost", "example.com:80",
        "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", "1.2.3.4:", "1.2.3.4:http",
        "1.2.3.4:8\u0660",
        "1.2.3.4/8", "1.2.3.4%eth0", "0x7f000001", "2130706433", "\u0661.2.3.4",
        "[1.2.3.4]", "[::1", "::1]", "[]", "[]:80", "[::1]80", "[::1]:x", ":::", "1::2::3",
        '"1.2.3.4"', "for=1.2.3.4", "1.2.3.4 5.6.7.8", "1.2.3.4\r\nx: y", "1.2.3.4\x00",
        "1" * 81, "[" * 5000, ":" * 70,
    ],
    ids=ascii,
)  # fmt: skip
def test_anything_else_is_no_address(text: str):
    assert parse_address(text) is None


@given(st.text(max_size=100) | st.binary(max_size=100).map(lambda data: data.decode("latin-1")))
def test_no_text_at_all_is_more_than_that(text: str):
    parse_address(text)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_is_read_whatever_is_around_it(address, port: int):
    plain = parse_address(str(address))

    in_brackets = f"[{address}]" if address.version == 6 else str(address)
    assert plain is not None
    assert parse_address(f"{in_brackets}:{port}") == plain


# --- counting ------------------------------------------------------------------------------------


def same_crowd(one: str, other: str) -> bool:
    first, second = parse_address(one), parse_address(other)
    assert first is not None
    assert second is not None
    return crowd_of(first) == crowd_of(second)


def test_an_ipv4_address_counts_by_itself():
    assert same_crowd("192.0.2.1", "::ffff:192.0.2.1")
    assert not same_crowd("192.0.2.1", "192.0.2.2")


def test_an_ipv6_address_counts_with_its_network_of_64_bits():
    assert same_crowd("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff")
    assert not same_crowd("2001:db8:1:2::1", "2001:db8:1:3::1")


@given(st.ip_addresses(v=4), st.ip_addresses(v=6))
def test_addresses_of_the_two_kinds_never_count_together(four, six):
    assert crowd_of(four) != crowd_of(six)


# --- networks ------------------------------------------------------------------------------------


def test_a_network_has_its_addresses_and_no_others():
    networks = Networks(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"])

    for address in ("10.255.0.1", "192.0.2.1", "2001:db8::1"):
        assert ip_address(address) in networks
    for address in ("11.0.0.1", "192.0.2.2", "2001:db9::1"):
        assert ip_address(address) not in networks
    assert not networks.has_unix_sockets


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("::FFFF:c000:200/120", "192.0.2.255", "192.0.3.0"),
        ("::ffff:0:0/96", "203.0.113.1", "2001:db8::1"),
    ],
)
def test_a_network_of_ipv4_in_ipv6_form_has_the_peers_that_come_from_it(text, inside, outside):
    networks = read_networks((text,))

    assert parse_address(inside) in networks
    assert parse_address(f"::ffff:{inside}") in networks
    assert parse_address(outside) not in networks


@pytest.mark.parametrize("text", ["::/0", "::/80", "::fffe:0:0/95"])
def test_a_network_that_is_wider_than_all_of_ipv4_is_of_ipv6_alone(text: str):
    """``::/0`` is no word for everybody, whichever kind of socket the server listens on."""
    for address in ("192.0.2.1", "::ffff:192.0.2.1"):
        assert parse_address(address) not in read_networks((text,))
    assert parse_address("::2") in read_networks(("::/80",))


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_network_of_ipv4_is_the_same_in_both_forms(address, bits: int, other):
    network = ip_network((address, bits), strict=False)
    both = Networks([str(network)]), Networks([f"::ffff:{network.network_address}/{bits + 96}"])

    for one in both:
        assert address in one
        assert (other in one) == (other in network)


def test_nobody_is_in_no_networks():
    assert not Networks([])
    assert ip_address("127.0.0.1") not in Networks([])
    assert Networks(["unix:"])
    assert Networks(["unix:"]).has_unix_sockets


def test_networks_are_read_once():
    assert read_networks(("10.0.0.0/8",)) is read_networks(("10.0.0.0/8",))


@pytest.mark.parametrize(
    "text",
    [
        "", "*", "all", "10.0.0.0/33", "10.0.0.1/8", "10.0.0", "localhost", "proxy.local", "unix",
        "::ffff:10.0.0.0/8", "::ffff:10.0.0.0/95", "::ffff:10.0.0.1/104", "::ffff:10.0.0.0/129",
    ],
)  # fmt: skip
def test_what_is_no_network_is_refused_when_the_options_are_made(text: str):
    with pytest.raises(PolicyError, match=r"LIMITS\.trusted_proxies must be a list of addresses"):
        LimitsPolicy(trusted_proxies=["10.0.0.0/8", text])


def test_what_is_a_network_is_taken():
    check_networks("LIMITS", "trusted_proxies", ["10.0.0.0/8", "::1", "192.0.2.1", "unix:"])
