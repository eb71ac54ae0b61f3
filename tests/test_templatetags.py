"""The tags that bring the browser client into a page."""

import re
from importlib.resources import files
from types import SimpleNamespace

import pytest
from django.contrib.staticfiles import finders
from django.core.files.storage import storages
from django.core.management import call_command
from django.template import Context, Engine
from django.test import RequestFactory, override_settings
from django.utils.functional import SimpleLazyObject

PATH = "resilient_channels/resilient-socket.js"
TAG = "{% load resilient_client %}{% resilient_client %}"
URL = "{% load resilient_client %}{% resilient_client_url %}"


def render(source: str, **context: object) -> str:
    engine = Engine(
        libraries={"resilient_client": "resilient_channels.templatetags.resilient_client"}
    )
    return engine.from_string(source).render(Context(context))


@pytest.fixture(autouse=True)
def _static_url():
    with override_settings(STATIC_URL="/assets/"):
        yield


def test_the_tag_loads_the_module():
    assert render(TAG) == (
        f'<script type="module" src="/assets/{PATH}" data-resilient-client></script>'
    )


def test_the_module_looks_for_the_mark_that_the_tag_sets():
    module = files("resilient_channels") / "static" / PATH

    (mark,) = re.findall(r"script\[([\w-]+)\]", module.read_text(encoding="utf-8"))

    assert f" {mark}>" in render(TAG)


def test_the_url_is_plain_text_for_an_import_or_an_attribute():
    assert render(URL) == f"/assets/{PATH}"


def test_the_url_can_be_kept_in_a_variable():
    source = "{% load resilient_client %}{% resilient_client_url as url %}[{{ url }}]"

    assert render(source) == f"[/assets/{PATH}]"


def test_a_nonce_that_is_given_is_used():
    source = "{% load resilient_client %}{% resilient_client nonce=mine %}"

    assert ' nonce="abc" ' in render(source, mine="abc", csp_nonce="other")


def test_the_nonce_of_the_context_is_used():
    assert ' nonce="abc" ' in render(TAG, csp_nonce="abc")


def test_the_nonce_of_the_request_is_used():
    assert ' nonce="abc" ' in render(TAG, request=SimpleNamespace(csp_nonce="abc"))


def test_a_lazy_nonce_that_nobody_used_yet_is_used():
    class LazyNonce(SimpleLazyObject):
        """As Django 6.0 has it: false until it is generated."""

        def __bool__(self) -> bool:
            return False

    assert ' nonce="abc" ' in render(TAG, csp_nonce=LazyNonce(lambda: "abc"))


def test_a_request_without_a_nonce_has_none_in_the_page():
    assert "nonce" not in render(TAG, request=RequestFactory().get("/"))


def test_a_nonce_cannot_leave_its_attribute():
    assert 'nonce="&quot;&gt;&lt;b"' in render(TAG, csp_nonce='"><b')


def test_djangos_own_nonce_is_found_where_there_is_one():
    csp = pytest.importorskip("django.middleware.csp", reason="Django 6.0 brought it")
    from django.template.context_processors import csp as context_processor

    request = RequestFactory().get("/")
    csp.ContentSecurityPolicyMiddleware(lambda request: None).process_request(request)
    rendered = render(TAG, **context_processor(request))

    assert f' nonce="{csp.get_nonce(request)}" ' in rendered


def test_hashed_names_are_followed(tmp_path):
    storage = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    with override_settings(
        STATIC_ROOT=tmp_path,
        STORAGES={"staticfiles": {"BACKEND": storage}},
        INSTALLED_APPS=["django.contrib.staticfiles", "resilient_channels"],
    ):
        finders.get_finder.cache_clear()
        call_command("collectstatic", interactive=False, verbosity=0)

        url = render(URL)

        assert re.fullmatch(r"/assets/resilient_channels/resilient-socket\.[0-9a-f]{12}\.js", url)
        assert storages["staticfiles"].exists(url.removeprefix("/assets/"))
    finders.get_finder.cache_clear()
