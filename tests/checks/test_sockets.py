"""Who may open a socket: W010 and W011 on routes, I003 on limits."""

import ast
import io
import sys
from typing import Any

import pytest
from channels.auth import AuthMiddlewareStack
from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from channels.routing import ChannelNameRouter, ProtocolTypeRouter, URLRouter
from channels.security.websocket import (
    AllowedHostsOriginValidator,
    OriginValidator as ChannelsOriginValidator,
)
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.test import override_settings
from django.urls import path

from checks.configurations import ids
from resilient_channels import AsyncResilientMixin, OriginValidator, ResilientMiddleware
from resilient_channels.checks import APP, check_exposure, check_origins


class Chat(AsyncResilientMixin, AsyncWebsocketConsumer):
    pass


class Plain(WebsocketConsumer):
    pass


class Page(AsyncHttpConsumer):
    pass


class Guard(ChannelsOriginValidator):
    """A project's own."""


def routed(*applications: Any) -> URLRouter:
    return URLRouter([path(f"{n}/", app) for n, app in enumerate(applications)])


def site(websocket: Any, **more: Any) -> ProtocolTypeRouter:
    return ProtocolTypeRouter({"websocket": websocket, **more})


class Own:
    """A middleware of the project's own."""

    def __init__(self, name: str, inside: Any) -> None:
        setattr(self, name, inside)


def own(inside: Any) -> Any:
    """One made of a function, as in some documentation."""

    async def middleware(scope, receive, send):
        return await inside(scope, receive, send)

    return middleware


# --- W010 ----------------------------------------------------------------------------------------

CHAT, PLAIN, PAGE = Chat.as_asgi(), Plain.as_asgi(), Page.as_asgi()


@pytest.mark.parametrize(
    "application",
    [
        site(CHAT),
        site(routed(CHAT)),
        site(routed(PAGE, routed(CHAT))),
        site(AuthMiddlewareStack(routed(CHAT))),
        site(ResilientMiddleware(AuthMiddlewareStack(routed(CHAT)))),
        site(routed(OriginValidator(PLAIN), CHAT)),
        site(Own("app", Own("inner", Own("application", CHAT)))),
        Own("app", site(routed(CHAT))),
        routed(CHAT),
        CHAT,
        site(routed(CHAT), http=OriginValidator(routed(PAGE))),
    ],
)
def test_a_route_that_nobody_guards_is_warned_of(application: Any, set_application: Any):
    set_application(application)

    [message] = check_origins()

    assert message.id == f"{APP}.W010"
    assert not message.is_serious()
    assert message.msg.startswith("project_asgi.application: no origin validator guards ")
    assert "Chat. " in message.msg
    assert "OriginValidator(...)" in message.hint


@pytest.mark.parametrize(
    "application",
    [
        site(OriginValidator(AuthMiddlewareStack(routed(CHAT, PLAIN)))),
        site(AuthMiddlewareStack(OriginValidator(routed(CHAT)))),
        site(routed(OriginValidator(CHAT), OriginValidator(PLAIN, ["https://example.com"]))),
        OriginValidator(site(routed(CHAT))),
        site(AllowedHostsOriginValidator(AuthMiddlewareStack(routed(CHAT)))),
        site(ChannelsOriginValidator(routed(CHAT), ["https://example.com"])),
        site(Guard(routed(CHAT), [])),
        ResilientMiddleware(site(OriginValidator(CHAT))),
        # Nothing to guard.
        site(routed(PAGE)),
        ProtocolTypeRouter({"http": routed(CHAT)}),
        ProtocolTypeRouter({"channel": ChannelNameRouter({"x": CHAT})}),
        get_asgi_application(),
        None,
        # Nothing that could be looked into.
        site(own(CHAT)),
        own(site(CHAT)),
        site(Own("anything", CHAT)),
    ],
)
def test_what_is_guarded_and_what_cannot_be_told_is_fine(application: Any, set_application: Any):
    set_application(application)

    assert check_origins() == []


def test_many_routes_are_one_warning(set_application: Any):
    kinds = [type(f"Consumer{n}", (AsyncWebsocketConsumer,), {}) for n in range(5)]
    set_application(site(routed(*(kind.as_asgi() for kind in kinds), kinds[0].as_asgi())))

    [message] = check_origins()

    assert "Consumer0, " in message.msg
    assert "Consumer2 and 2 more. " in message.msg


def test_applications_around_each_other_without_end_are_left_alone(set_application: Any):
    one, other = Own("app", None), Own("app", None)
    one.app, other.app = other, one  # type: ignore[attr-defined]
    set_application(one)

    assert check_origins() == []


@pytest.mark.parametrize(
    "setting", [None, "", "x", "no.such.module", "project_asgi.nothing", 7, "project_asgi."]
)
def test_an_application_that_cannot_be_had_is_left_to_whoever_serves_it(
    setting: Any, set_application: Any, settings: Any
):
    set_application(CHAT)
    settings.ASGI_APPLICATION = setting

    assert check_origins() == []


@pytest.fixture
def module_on_disk(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> str:
    """An application that nobody has imported."""
    (tmp_path / "asgi_on_disk.py").write_text(
        "from checks.test_sockets import CHAT, site\napplication = site(CHAT)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "asgi_on_disk", raising=False)
    settings.ASGI_APPLICATION = "asgi_on_disk.application"
    return "asgi_on_disk"


def test_only_the_check_command_imports_an_application(
    module_on_disk: str, monkeypatch: pytest.MonkeyPatch
):
    """To import one sets Django up again, which silences loggers of other commands."""
    monkeypatch.setattr(sys, "argv", ["manage.py", "migrate"])
    assert check_origins() == []
    assert module_on_disk not in sys.modules

    monkeypatch.setattr(sys, "argv", ["manage.py", "check"])
    err = io.StringIO()
    call_command("check", stdout=err, stderr=err)
    assert f"({APP}.W010)" in err.getvalue()


def test_an_application_that_raises_is_left_alone(
    module_on_disk: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "asgi_on_disk.py").write_text("raise LookupError\n")
    monkeypatch.setattr(sys, "argv", ["manage.py", "check"])

    assert check_origins() == []


# --- W011 ----------------------------------------------------------------------------------------

BOUNDED = {"LIMITS": {"connections_per_user": 1}}


@pytest.mark.parametrize(
    ("guard", "says"),
    [
        (OriginValidator, "counts as the site itself, for resilient_channels.OriginValidator"),
        (AllowedHostsOriginValidator, "AllowedHostsOriginValidator lets the pages of every"),
    ],
)
@override_settings(ALLOWED_HOSTS=["example.com", "*"], RESILIENT_CHANNELS=BOUNDED)
def test_a_guard_that_goes_by_hosts_is_none_where_every_host_is_allowed(
    guard: Any, says: str, set_application: Any
):
    set_application(site(AuthMiddlewareStack(guard(routed(CHAT)))))

    [message] = check_exposure()

    assert message.id == f"{APP}.W011"
    assert message.msg.startswith("ALLOWED_HOSTS has '*': ")
    assert says in message.msg


@override_settings(ALLOWED_HOSTS=["*"], RESILIENT_CHANNELS=BOUNDED)
def test_a_guard_with_origins_of_its_own_does_not_go_by_hosts(set_application: Any):
    origins = ["https://example.com"]
    for guard in (OriginValidator, ChannelsOriginValidator):
        set_application(site(guard(routed(CHAT), origins)))

        assert check_exposure() == []


@override_settings(ALLOWED_HOSTS=["*"], RESILIENT_CHANNELS=BOUNDED)
def test_both_kinds_of_guards_are_two_warnings(set_application: Any):
    set_application(site(routed(OriginValidator(CHAT), AllowedHostsOriginValidator(PLAIN))))

    assert ids(check_exposure()) == ["W011", "W011"]


@override_settings(ALLOWED_HOSTS=[".example.com"], RESILIENT_CHANNELS=BOUNDED)
def test_hosts_that_are_listed_are_fine(set_application: Any):
    set_application(site(routed(OriginValidator(CHAT), AllowedHostsOriginValidator(PLAIN))))

    assert check_exposure() == []


# --- I003 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [{}, {"SEND": {}}, {"LIMITS": {}}, {"LIMITS": {"rate": 5, "connections_per_user": None}}],
    ids=repr,
)
def test_without_a_limit_for_connections_there_is_a_remark(setting: Any):
    with override_settings(RESILIENT_CHANNELS=setting):
        [message] = check_exposure()

    assert message.id == f"{APP}.I003"
    assert not message.is_serious()
    assert '"connections_per_user": 20' in message.hint


@pytest.mark.parametrize(
    "limits",
    [{"connections_per_user": 20}, {"connections_per_address": 20}, {"new_per_second": 0.5}],
    ids=repr,
)
def test_with_one_there_is_none(limits: Any):
    with override_settings(RESILIENT_CHANNELS={"LIMITS": limits}):
        assert check_exposure() == []


def test_settings_that_mean_nothing_are_left_to_their_own_check():
    with override_settings(RESILIENT_CHANNELS={"LIMITS": {"connections": 3}}):
        assert check_exposure() == []


def test_the_limits_that_are_recommended_are_limits():
    [message] = check_exposure()
    recommended = ast.literal_eval(message.hint[message.hint.index("{") :].partition("}")[0] + "}")

    with override_settings(RESILIENT_CHANNELS={"LIMITS": recommended}):
        assert check_exposure() == []
