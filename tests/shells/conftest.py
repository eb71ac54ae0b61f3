"""What the tests of the shells share."""

import logging
from collections.abc import Iterator

import pytest

from resilient_channels import isolation
from support.layers import ScriptedLayer, installed
from support.leaks import leaves


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


@pytest.fixture
def layer(request: pytest.FixtureRequest) -> Iterator[ScriptedLayer]:
    """A channel layer with a script, in which nobody may be left."""
    layer = ScriptedLayer()
    with installed(layer):
        yield layer
    if "groups" not in leaves(request):
        # Those of the library's own probes, too, which `layer.groups` leaves out.
        left = {name: members for name, members in layer._broker.groups.items() if members}
        assert not left, f"members were left behind: {left}"
