"""What the tests of the shells share."""

import logging
from collections.abc import Iterator

import pytest

from resilient_channels import isolation
from resilient_channels.layers import ResilientChannelLayer
from shells.crowd import nobody_is_left
from support.hubs import BARE, CORE, GENERIC, SETUPS, AnyLayer, around, make_layer
from support.layers import installed
from support.leaks import leaves

__all__ = ["nobody_is_left"]


class Facts:
    """The records that the library logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __call__(self, name: str) -> list[logging.LogRecord]:
        """All records of one event."""
        return [record for record in self._records() if record.getMessage() == name]

    @property
    def names(self) -> list[str]:
        """The events in the order they were logged, DEBUG left out."""
        return [record.getMessage() for record in self._records() if record.levelno > logging.DEBUG]

    @property
    def alarms(self) -> list[str]:
        """The events that are warnings or worse."""
        return [
            record.getMessage() for record in self._records() if record.levelno >= logging.WARNING
        ]

    def _records(self) -> list[logging.LogRecord]:
        return [
            record
            for record in self._caplog.records
            if record.name.startswith("resilient_channels")
        ]


@pytest.fixture
def facts(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Facts:
    """What was logged, in a process that has not warned of anything yet."""
    caplog.set_level(logging.DEBUG, logger="resilient_channels")
    monkeypatch.setattr(isolation, "_seen_types", {})
    return Facts(caplog)


@pytest.fixture(params=SETUPS)
def layer(request: pytest.FixtureRequest) -> Iterator[AnyLayer]:
    """A channel layer with a script, in which nobody may be left.

    A test that takes it runs three times: on the bare layer, on a hub around it, and on a hub
    around one that is built like ``channels_redis.core``. What it asks of the layer, it asks of
    the wrapped one, as another process would.
    """
    layer = make_layer(request.param)
    with installed(layer if request.param == BARE else around(layer)):
        yield layer
    if "groups" not in leaves(request):
        # Those of the library's own probes, too, which `layer.groups` leaves out.
        left = {name: members for name, members in layer.all_groups.items() if members}
        assert not left, f"members were left behind: {left}"


def make_hub(kind: str) -> ResilientChannelLayer:
    return ResilientChannelLayer() if kind == "alone" else around(make_layer(kind))


@pytest.fixture(params=["alone", GENERIC, CORE])
def hub(request: pytest.FixtureRequest) -> Iterator[ResilientChannelLayer]:
    """A hub of each kind, installed; to be used, not to be troubled."""
    with installed(make_hub(request.param)) as hub:
        yield hub


@pytest.fixture(params=["in-memory", "alone", GENERIC, CORE])
def anywhere(request: pytest.FixtureRequest) -> Iterator[None]:
    """The configured layer, and a hub of each kind in its place: all are to be one to a test."""
    if request.param == "in-memory":
        yield
        return
    with installed(make_hub(request.param)):
        yield
