"""Being installed: wrong settings stop the start, unless the check is about to say it better."""

import sys

import pytest
from django.apps import apps
from django.core.checks.registry import registry as check_registry
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from resilient_channels import checks
from resilient_channels.apps import ResilientChannelsConfig

WRONG = {"SENT": {}, "SEND": {"deadline": -1}}


@pytest.fixture
def app() -> ResilientChannelsConfig:
    return apps.get_app_config("resilient_channels")


@pytest.fixture
def run_by(monkeypatch: pytest.MonkeyPatch):
    return lambda *argv: monkeypatch.setattr(sys, "argv", list(argv))


def test_the_app_is_found_by_its_package_name(app: ResilientChannelsConfig):
    assert type(app) is ResilientChannelsConfig
    assert app.verbose_name == "Resilient Channels"


def test_it_brings_no_models(app: ResilientChannelsConfig):
    assert list(app.get_models()) == []


@pytest.mark.parametrize(
    "argv", [("daphne", "project.asgi"), ("manage.py", "runserver"), ("manage.py",), ()]
)
def test_wrong_settings_stop_the_start_with_every_problem(app, run_by, argv: tuple[str, ...]):
    run_by(*argv)

    with (
        override_settings(RESILIENT_CHANNELS=WRONG),
        pytest.raises(ImproperlyConfigured) as caught,
    ):
        app.ready()

    sentence = str(caught.value)
    assert "RESILIENT_CHANNELS has no section 'SENT'; did you mean 'SEND'?" in sentence
    assert "SEND.deadline must be a positive number of seconds or None (off), not -1" in sentence


def test_wrong_settings_do_not_stop_the_check_that_tells_of_them(app, run_by):
    run_by("manage.py", "check", "--deploy")

    with override_settings(RESILIENT_CHANNELS=WRONG):
        app.ready()


@pytest.mark.parametrize("setting", [{}, {"SEND": {"deadline": 10}}])
def test_right_settings_start(app, run_by, setting: dict):
    run_by("daphne", "project.asgi")

    with override_settings(RESILIENT_CHANNELS=setting):
        app.ready()


@override_settings()
def test_no_settings_at_all_are_right(app, run_by, settings):
    run_by("daphne", "project.asgi")
    if hasattr(settings, "RESILIENT_CHANNELS"):
        del settings.RESILIENT_CHANNELS

    app.ready()


def test_getting_ready_twice_registers_the_checks_once(app):
    def ours() -> list:
        every = check_registry.get_checks(include_deployment_checks=True)
        return [check for check in every if check.__module__ == checks.__name__]

    before = ours()

    app.ready()

    assert len(ours()) == len(before) == 7
