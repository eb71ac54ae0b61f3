"""Which pages may open a socket: the site's own, those that are trusted with forms, no others."""

from typing import Any

import pytest
from django.core.exceptions import DisallowedHost
from django.test import RequestFactory, override_settings
from hypothesis import given, settings as hypothesis_settings, strategies as st

from resilient_channels import OriginValidator, origins as module
from resilient_channels.core.origins import parse_origin
from support.origins import SITE, headers, inside, objection

# --- the site itself -----------------------------------------------------------------------------


@override_settings(**SITE)
@pytest.mark.parametrize(
    ("origin", "scheme", "host"),
    [
        ("https://example.com", "wss", b"example.com"),
        ("https://example.com", "https", b"example.com"),
        ("https://example.com", "wss", b"example.com:443"),
        ("https://example.com", "wss", b"EXAMPLE.com"),
        ("http://example.com", "ws", b"example.com"),
        ("http://example.com", None, b"example.com"),
        ("http://example.com:8000", "ws", b"example.com:8000"),
        ("https://a.example.org", "wss", b"a.example.org"),
        ("http://[::1]:8000", "ws", b"[::1]:8000"),
    ],
)
def test_a_page_of_the_site_may(origin: str, scheme: str | None, host: bytes):
    assert objection(origin, scheme=scheme, host=host) is None


@override_settings(**SITE)
@pytest.mark.parametrize(
    ("origin", "scheme", "host"),
    [
        ("http://example.com", "wss", b"example.com"),
        ("https://example.com", "ws", b"example.com"),
        ("https://example.com", None, b"example.com"),
        ("https://example.com:8443", "wss", b"example.com"),
        ("https://example.com", "wss", b"example.com:8443"),
        ("https://www.example.com", "wss", b"example.com"),
        ("https://b.example.org", "wss", b"a.example.org"),
        ("https://evil.com", "wss", b"example.com"),
        # Not a host of ours: a name of somebody's that leads here.
        ("https://evil.com", "wss", b"evil.com"),
        ("https://example.com", "wss", b"example.com, evil.com"),
        ("https://example.com", "wss", b""),
        ("https://example.com", "wss", None),
        ("https://example.com", "wss", b"example.com/"),
        ("https://example.com", "wss", b"user@example.com"),
    ],
)
def test_a_page_with_another_scheme_port_or_host_may_not(
    origin: str, scheme: str | None, host: bytes | None
):
    assert objection(origin, scheme=scheme, host=host) == "not allowed"


@override_settings(**SITE)
def test_of_two_hosts_none_is_the_site():
    assert objection("https://example.com", more=[(b"host", b"example.com")]) == "not allowed"


@override_settings(DEBUG=True, ALLOWED_HOSTS=[])
@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "a.localhost"])
def test_on_the_developers_machine_its_own_hosts_are_the_site(host: str):
    assert objection(f"http://{host}", scheme="ws", host=host.encode()) is None
    assert objection("http://evil.com", scheme="ws", host=b"evil.com") == "not allowed"


@override_settings(DEBUG=False, ALLOWED_HOSTS=[])
def test_without_any_host_nothing_is_the_site():
    assert objection("http://localhost", scheme="ws", host=b"localhost") == "not allowed"


@override_settings(**SITE, SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"))
@pytest.mark.parametrize(
    ("more", "scheme"),
    [
        ([(b"x-forwarded-proto", b"https")], "https"),
        ([(b"x-forwarded-proto", b"https, http")], "https"),
        ([(b"x-forwarded-proto", b"http")], "http"),
        ([(b"x_forwarded_proto", b"https")], "http"),
        ([], "http"),
    ],
)
def test_a_proxy_that_ends_tls_says_so_as_django_is_told(more: Any, scheme: str):
    other = {"http": "https", "https": "http"}[scheme]

    assert objection(f"{scheme}://example.com", scheme="ws", more=more) is None
    assert objection(f"{other}://example.com", scheme="ws", more=more) == "not allowed"


@override_settings(**SITE)
def test_without_that_setting_no_header_is_believed():
    more = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"example.com")]

    assert objection("https://example.com", scheme="ws", more=more) == "not allowed"
    assert objection("https://example.com", host=b"x.com", more=more) == "not allowed"


@override_settings(**SITE, USE_X_FORWARDED_HOST=True)
def test_the_host_may_be_a_proxys_word_if_django_is_told_so():
    more = [(b"x-forwarded-host", b"example.com")]

    assert objection("https://example.com", host=b"internal:8000", more=more) is None
    assert objection("https://example.com", host=b"example.com") is None
    assert objection("https://example.com", more=[*more, *more]) == "not allowed"
    spoofed = [(b"x_forwarded_host", b"example.com")]
    assert objection("https://example.com", host=b"internal", more=spoofed) == "not allowed"


texts = st.sampled_from(["example.com", "a.example.org", "EXAMPLE.com", "evil.com", "[::1]", ""])
ports = st.sampled_from(["", ":443", ":80", ":8000", ":", ":x", ":99999"])


@hypothesis_settings(deadline=None, max_examples=200)
@given(texts, ports, st.sampled_from(["ws", "wss"]), st.sampled_from([None, "http", "https", "x"]))
def test_the_site_is_what_django_takes_for_it(
    host: str, port: str, scheme: str, forwarded: str | None
):
    own = SITE | {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}
    more = {} if forwarded is None else {"x-forwarded-proto": forwarded}
    with override_settings(**own):
        request = RequestFactory().get("/", headers={"host": host + port, **more})
        if scheme == "wss":
            request.environ["wsgi.url_scheme"] = "https"
        try:
            django = f"{request.scheme}://{request.get_host()}"
        except DisallowedHost:
            django = ""
        scope = {
            "scheme": scheme,
            "headers": [
                (b"host", (host + port).encode()),
                *((name.encode(), value.encode()) for name, value in more.items()),
            ],
        }

        assert module._find_site(scope) == parse_origin(django)


# --- others --------------------------------------------------------------------------------------


@override_settings(
    **SITE, CSRF_TRUSTED_ORIGINS=["https://app.test", "https://*.partner.test:8443", "nonsense"]
)
def test_whoever_is_trusted_with_forms_may():
    for origin in ("https://app.test", "https://a.partner.test:8443", "https://example.com"):
        assert objection(origin) is None
    for origin in ("http://app.test", "https://app.test:8443", "https://a.app.test",
                   "https://a.partner.test", "https://nonsense", "nonsense"):  # fmt: skip
        assert objection(origin) is not None


@override_settings(**SITE, CSRF_TRUSTED_ORIGINS=["https://app.test"])
def test_with_a_list_of_its_own_only_those_may():
    allowed = ["https://one.test", "https://*.two.test", "capacitor://localhost"]

    for origin in ("https://one.test", "https://a.two.test", "capacitor://localhost"):
        assert objection(origin, allowed=allowed) is None
    for origin in ("https://example.com", "https://app.test", "https://a.one.test"):
        assert objection(origin, allowed=allowed) == "not allowed"
    assert objection("https://example.com", allowed=[]) == "not allowed"


@pytest.mark.parametrize("text", ["example.com", "*", ".example.com", "https://a/", "null", ""])
def test_a_list_with_something_that_is_no_origin_is_an_error(text: str):
    with pytest.raises(ValueError, match=r"is no origin; write it as 'https://"):
        OriginValidator(inside, ["https://example.com", text])


def test_one_text_is_no_list():
    with pytest.raises(TypeError, match="must be a list of origins"):
        OriginValidator(inside, "https://example.com")


@override_settings(**SITE)
def test_settings_that_change_are_followed():
    guard = OriginValidator(inside)
    scope = {"headers": headers("https://app.test"), "scheme": "wss"}

    assert guard.find_objection(scope) == "not allowed"
    with override_settings(CSRF_TRUSTED_ORIGINS=["https://app.test"]):
        assert guard.find_objection(scope) is None
    assert guard.find_objection(scope) == "not allowed"


# --- none, two, nonsense -------------------------------------------------------------------------


@override_settings(**SITE)
@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ([], "missing"),
        (["https://example.com", "https://example.com"], "duplicate"),
        (["https://evil.com", "https://example.com"], "duplicate"),
        (["https://example.com", "https://evil.com"], "duplicate"),
        (["https://example.com, https://evil.com"], "malformed"),
        ([""], "malformed"),
        (["null"], "malformed"),
        (["http://["], "malformed"),
        (["https://example.com:99999"], "malformed"),
        (["https://example.com/"], "malformed"),
        (["https://user@example.com"], "malformed"),
        (["https://exam\x00ple.com"], "malformed"),
        ([b"https://\xff\xfe.com"], "malformed"),
        (["https://example.com\r\nx: y"], "malformed"),
        (["x" * 100_000], "malformed"),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_what_is_not_one_origin_is_refused(values: Any, cause: str):
    assert objection(*values) == cause


@override_settings(**SITE)
def test_clients_that_are_no_browsers_may_be_let_in_without_one():
    assert objection(allow_missing=True) is None
    assert objection("null", allow_missing=True) == "malformed"
    assert objection("https://evil.com", allow_missing=True) == "not allowed"
    assert (
        objection("https://example.com", "https://example.com", allow_missing=True) == "duplicate"
    )


@override_settings(**SITE)
def test_a_header_of_another_name_is_no_origin():
    more = [(b"sec-websocket-origin", b"https://example.com"), (b"ORIGIN", b"https://example.com")]

    assert objection(more=more) == "missing"


@override_settings(**SITE)
@given(st.lists(st.binary(max_size=80), max_size=3), st.binary(max_size=40))
def test_no_header_is_a_trouble(values: list[bytes], host: bytes):
    allowed = objection(*values, host=host) is None

    assert not allowed or len(values) == 1
