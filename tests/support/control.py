"""A control socket in the process of the tests, in a directory of its own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilient_channels import draining, standby
from resilient_channels.control_socket import ControlSocket

CONFIGURED = {"is_configured": True}


@pytest.fixture
def home(settings) -> Iterator[Path]:
    """A directory for sockets, with a path that is short enough for one."""
    with tempfile.TemporaryDirectory(prefix="rc") as name:
        path = Path(name) / "sockets"
        settings.RESILIENT_CHANNELS = {"DRAIN": {"directory": str(path)}}
        yield path


@pytest.fixture(autouse=True)
def in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One that has not served a WebSocket yet, and has not been drained."""
    monkeypatch.setattr(standby, "_is_ready", False)
    yield
    draining.forget()


class Process:
    """A control socket in this process, closed at the end."""

    def __init__(self, home: Path) -> None:
        self.control = ControlSocket(home, **CONFIGURED)

    def __enter__(self) -> ControlSocket:
        return self.control

    def __exit__(self, *error: object) -> None:
        close(self.control)


def close(control: ControlSocket) -> None:
    control._loop.remove_reader(control._listener.fileno())
    control._listener.close()
    control.remove()
