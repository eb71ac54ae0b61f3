"""What every test of a check needs: a redis-py of its choice, and no consumers but its own."""

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from types import ModuleType
from typing import Any

import pytest
from django.test import override_settings

from resilient_channels.mixins import find_consumers


@pytest.fixture(autouse=True)
def only_own_consumers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests have consumers whose layer is missing on purpose."""
    others = set(find_consumers())
    for module in ("aliases", "options"):
        monkeypatch.setattr(
            f"resilient_channels.checks.{module}.find_consumers",
            lambda: (cls for cls in find_consumers() if cls not in others),
        )


@pytest.fixture(autouse=True)
def redis_8(set_redis: Callable[[str | None], None]) -> None:
    set_redis("8.0.1")


@pytest.fixture
def set_redis(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Pretend that a version of redis-py is installed; ``None``: that it is not."""
    real = metadata.version

    def set_version(version: str | None) -> None:
        def pretend(name: str) -> str:
            if name != "redis":
                return real(name)
            if version is None:
                raise metadata.PackageNotFoundError(name)
            return version

        monkeypatch.setattr(metadata, "version", pretend)

    return set_version


@pytest.fixture
def set_application(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Let ``ASGI_APPLICATION`` be an application that has been imported."""
    module: Any = ModuleType("project_asgi")

    def set_to(application: Any) -> None:
        module.application = application

    monkeypatch.setitem(sys.modules, module.__name__, module)
    # Not with the fixture "settings": a test's own override_settings comes and goes inside.
    with override_settings(ASGI_APPLICATION="project_asgi.application"):
        yield set_to
