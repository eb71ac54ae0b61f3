"""Origins: what is one, what is the same one, and what a wildcard means."""

import time
from types import SimpleNamespace

import pytest
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory, override_settings
from hypothesis import given, strategies as st

from resilient_channels.core.origins import Origin, parse_origin, parse_pattern


def allows(pattern: str, origin: str) -> bool:
    meant, given = parse_pattern(pattern), parse_origin(origin)
    assert meant is not None, pattern
    return given is not None and meant.matches(given)


# --- what is an origin ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://example.com", Origin("https", "example.com", 443)),
        ("http://example.com", Origin("http", "example.com", 80)),
        ("HTTPS://Example.COM", Origin("https", "example.com", 443)),
        ("https://example.com:443", Origin("https", "example.com", 443)),
        ("https://example.com:8443", Origin("https", "example.com", 8443)),
        ("http://localhost:3000", Origin("http", "localhost", 3000)),
        ("https://xn--bcher-kva.example", Origin("https", "xn--bcher-kva.example", 443)),
        ("http://my_host", Origin("http", "my_host", 80)),
        ("http://127.0.0.1:8000", Origin("http", "127.0.0.1", 8000)),
        ("http://[::1]:8000", Origin("http", "[::1]", 8000)),
        ("http://[0:0:0:0:0:0:0:1]", Origin("http", "[::1]", 80)),
        ("capacitor://localhost", Origin("capacitor", "localhost", None)),
        ("chrome-extension://abcdef", Origin("chrome-extension", "abcdef", None)),
    ],
)
def test_an_origin_is_a_scheme_a_host_and_a_port(text: str, origin: Origin):
    assert parse_origin(text) == origin


MALFORMED = [
    "", "null", "*", "example.com", "//example.com", "https:", "https://", "https:/example.com",
    "://example.com", "https//example.com", "1http://example.com",
    "https://example.com/", "https://example.com/path", "https://example.com?q", "https://example.com#x",
    "https://user@example.com", "https://user:secret@example.com", "https://evil.com\\example.com",
    "https://example.com:", "https://example.com:x", "https://example.com:99999", "https://example.com:65536",
    "https://example.com:-1", "https://example.com:0443", "https://example.com:443:443",
    "http://[", "http://[]", "http://[::1", "http://::1", "http://[1.2.3.4]", "http://[:::]", "http://[::1%25lo]",
    "https://.example.com", "https://example..com", "https://exa mple.com", "https://exa%6dple.com",
    " https://example.com", "https://example.com ", "https://example.com\r", "https://example.com\n",
    "https://exam\x00ple.com", "https://example.com\t", "\x0chttps://example.com", "https://example.com\x7f",
    "https://b\xfccher.example", "https://example.com\xa0", "http\u017f://example.com",
    "https://example.com, https://example.com", "https://example.com https://evil.com",
    "https://" + "a" * 300, "https://" + "a." * 5000, "a" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: ascii(text)[:60])
def test_nothing_may_be_missing_and_nothing_too_much(text: str):
    assert parse_origin(text) is None


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z.:@/\[\]%0-9-]{0,40}"))
def test_no_text_is_a_trouble_and_only_plain_hosts_are_origins(text: str):
    origin = parse_origin(text)

    if origin is not None:
        assert text.isascii()
        assert not set(text) & set(" @/?#\\%\r\n\t") - {"/"}
        assert text.count("/") == 2


def test_it_takes_no_time_to_see_that_something_is_no_origin():
    began = time.perf_counter()

    for tail in ("!", ".", "..", ":", "-", "_/"):
        for length in (250, 299, 100_000):
            parse_origin("https://" + ("a." * length)[:length] + tail)

    assert time.perf_counter() - began < 0.5


# --- which one is meant --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "is_meant"),
    [
        ("https://example.com", True),
        ("https://example.com:443", True),
        ("https://EXAMPLE.com", True),
        ("http://example.com", False),
        ("https://example.com:8443", False),
        ("https://www.example.com", False),
        ("https://example.com.", False),
        ("https://example.com.evil.com", False),
        ("https://notexample.com", False),
        ("https://example.co", False),
        ("wss://example.com", False),
        ("ftp://example.com", False),
        ("null", False),
    ],
)
def test_one_origin_means_that_one(origin: str, is_meant: bool):
    assert allows("https://example.com", origin) is is_meant


@pytest.mark.parametrize(
    ("origin", "is_meant"),
    [
        ("https://www.example.com", True),
        ("https://a.b.example.com", True),
        ("https://example.com", True),  # as Django has it
        ("http://www.example.com", False),
        ("https://www.example.com:8443", False),
        ("https://evilexample.com", False),
        ("https://example.com.evil.com", False),
        ("https://www.example.com.", False),
    ],
)
def test_a_wildcard_means_a_domain_and_its_subdomains(origin: str, is_meant: bool):
    assert allows("https://*.example.com", origin) is is_meant


def test_a_wildcard_may_have_a_port():
    assert allows("https://*.example.com:8443", "https://a.example.com:8443")
    assert not allows("https://*.example.com:8443", "https://a.example.com")


@pytest.mark.parametrize(
    "text",
    ["", "*", "https://*", "https://*.", "*.example.com", ".example.com", "https://*example.com",
     "https://*.*.example.com", "https://www.*.com", "http://*.[::1]", "https://example.com/"],
)  # fmt: skip
def test_what_means_no_origin_is_no_pattern(text: str):
    assert parse_pattern(text) is None


# --- the same as Django --------------------------------------------------------------------------

HOSTS = ["example.com", "www.example.com", "a.b.example.com", "evil.com", "notexample.com", "com"]
SCHEMES = ["http", "https"]
PORTS = ["", ":8443", ":8000"]
origins = st.builds("{}://{}{}".format, *map(st.sampled_from, (SCHEMES, HOSTS, PORTS)))
wild = st.builds("{}://*.{}{}".format, *map(st.sampled_from, (SCHEMES, HOSTS, PORTS)))


@given(st.lists(origins | wild, max_size=4), origins)
def test_trusted_origins_are_those_that_django_trusts_with_forms(trusted: list[str], origin: str):
    patterns = [parse_pattern(text) for text in trusted]
    given = parse_origin(origin)
    ours = any(pattern is not None and given and pattern.matches(given) for pattern in patterns)

    with override_settings(CSRF_TRUSTED_ORIGINS=trusted, ALLOWED_HOSTS=["other.test"]):
        request = RequestFactory().post("/", headers={"origin": origin, "host": "other.test"})
        django = CsrfViewMiddleware(lambda _: SimpleNamespace())._origin_verified(request)

    assert ours is django
