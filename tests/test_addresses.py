"""Where a client comes from: the other end of the connection, or what a trusted proxy says."""

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given, strategies as st

from resilient_channels.addresses import MAX_HOPS, find_address

TRUSTED = ["10.0.0.0/8", "2001:db8::/32"]
PEER = "10.0.0.1"


def find(
    *forwarded: str | bytes,
    peer: Any = PEER,
    trusted: Any = TRUSTED,
    name: bytes = b"x-forwarded-for",
) -> str | None:
    """The address of a client whose handshake has these headers."""
    values = [value.encode("latin-1") if isinstance(value, str) else value for value in forwarded]
    scope = {"client": (peer, 12345), "headers": [(b"host", b"x"), *((name, v) for v in values)]}
    address = find_address(scope, trusted)
    return None if address is None else str(address)


# --- nobody is trusted ---------------------------------------------------------------------------


@pytest.mark.parametrize("client", [("192.0.2.1", 80), ["192.0.2.1", 80], ["::ffff:192.0.2.1", 80]])
def test_the_other_end_of_the_connection_is_the_client(client: Any):
    assert find_address({"client": client, "headers": []}) == ip_address("192.0.2.1")


def test_without_a_trusted_proxy_no_header_is_believed():
    assert find("192.0.2.1", trusted=()) == PEER


def test_a_proxy_that_is_not_trusted_is_not_believed():
    assert find("192.0.2.1", peer="192.0.2.9") == "192.0.2.9"


@pytest.mark.parametrize(
    "client",
    [None, (), [], ("", 0), (None, None), ("unix:/run/x.sock", 0), (b"1.2.3.4", 0), "1.2.3.4", 7],
    ids=repr,
)
@pytest.mark.parametrize("trusted", [(), TRUSTED])
def test_whoever_has_no_address_gets_none_from_a_header_either(client: Any, trusted: Any):
    headers = [(b"x-forwarded-for", b"192.0.2.1")]

    assert find_address({"client": client, "headers": headers}, trusted) is None
    assert find_address({"headers": headers}, trusted) is None


def test_a_proxy_on_a_unix_socket_is_believed_if_it_is_named():
    scope = {"client": None, "headers": [(b"x-forwarded-for", b"192.0.2.1")]}

    assert find_address(scope, ["unix:"]) == ip_address("192.0.2.1")
    assert find_address({**scope, "headers": []}, ["unix:"]) is None
    assert find_address({**scope, "client": ("192.0.2.9", 1)}, ["unix:"]) == ip_address("192.0.2.9")


def test_a_proxy_that_is_named_in_ipv6_form_is_believed_in_both():
    for peer in ("10.0.0.1", "::ffff:10.0.0.1"):
        assert find("192.0.2.1", peer=peer, trusted=["::ffff:10.0.0.0/104"]) == "192.0.2.1"
    assert find("192.0.2.1", peer="11.0.0.1", trusted=["::ffff:10.0.0.0/104"]) == "11.0.0.1"


# --- a trusted proxy -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:1234", "192.0.2.1"),
        ("[2001:db9::1]:1234", "2001:db9::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.2.2.2", "192.0.2.1"),
        ("192.0.2.1,10.2.2.2,2001:db8::5", "192.0.2.1"),
        ("192.0.2.1, ::ffff:10.2.2.2", "192.0.2.1"),
        # What the client has written itself stands on the left.
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("10.9.9.9, 6.6.6.6, 192.0.2.1, 10.2.2.2", "192.0.2.1"),
        ("unknown, <script>, 192.0.2.1", "192.0.2.1"),
        # A client inside the trusted networks.
        ("10.3.3.3", "10.3.3.3"),
        ("10.4.4.4, 10.3.3.3", "10.4.4.4"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(forwarded: str, client: str):
    assert find(forwarded) == client


def test_several_headers_are_one_list():
    assert find("6.6.6.6", "192.0.2.1", "10.2.2.2") == "192.0.2.1"
    assert find("6.6.6.6, 192.0.2.1", "10.2.2.2") == "192.0.2.1"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("", PEER),
        (",", PEER),
        ("unknown", PEER),
        ("192.0.2.1, unknown", PEER),
        ("192.0.2.1,", PEER),
        ("192.0.2.1, \xff\xfe, 10.2.2.2", "10.2.2.2"),
        ("192.0.2.1\r\nx: y, 10.2.2.2", "10.2.2.2"),
    ],
    ids=ascii,
)
def test_what_cannot_be_read_ends_the_search_at_the_last_proxy(forwarded: str, client: str):
    assert find(forwarded) == client


@pytest.mark.parametrize(
    "name",
    [b"x_forwarded_for", b"x-forwarded_for", b"forwarded", b"x-real-ip", b"x-forwarded-for "],
)
def test_no_other_header_is_believed(name: bytes):
    """Symptom: WSGI-like variables make one of ``X_Forwarded_For`` and ``X-Forwarded-For``."""
    assert find("192.0.2.1", name=name) == PEER


def test_a_very_long_header_is_not_followed_for_ever():
    everybody = ", ".join(["192.0.2.1", *(["10.2.2.2"] * 20_000)])

    assert find(everybody) == "10.2.2.2"
    assert find(", ".join(["192.0.2.1", *(["10.2.2.2"] * (MAX_HOPS - 1))])) == "192.0.2.1"


@given(st.lists(st.binary(max_size=60), max_size=4), st.sampled_from([PEER, "", "x", None]))
def test_no_header_is_a_trouble(values: list[bytes], peer: str | None):
    find(*values, peer=peer)


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=5), st.ip_addresses(v=4))
def test_whatever_a_client_writes_it_counts_as_itself(lies: list[str], own):
    """The proxy adds, on the right, who has spoken to it."""
    if own.is_private:
        return

    assert find(", ".join([*lies, str(own)])) == str(own)
