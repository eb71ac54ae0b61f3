"""When a process gets ready for its end, and that no client ever pays for it."""

import sys
import tempfile
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command

from resilient_channels import control_directory, draining, standby
from resilient_channels.control_socket import ControlSocket, was_told_before
from shells.clients import Listener
from shells.conftest import facts
from shells.visits import Visit, build
from support.control import close, home, in_a_new_process

__all__ = ["facts", "home", "in_a_new_process"]

SERVED = {"type": "websocket", "server": ("127.0.0.1", 8000)}


@contextmanager
def sockets_noted():
    """The sockets that are opened meanwhile; they are closed at the end."""
    opened = []
    original = ControlSocket.__init__

    def note(self, *args, **kwargs):
        original(self, *args, **kwargs)
        opened.append(self)

    ControlSocket.__init__ = note
    try:
        yield opened
    finally:
        ControlSocket.__init__ = original
        for control in opened:
            close(control)


async def get_ready(scope):
    """Have a connection begin; how many sockets were opened for that."""
    with sockets_noted() as opened:
        standby.stand_by(scope)
    return len(opened)


async def test_with_the_first_websocket_a_process_can_be_found(home):
    assert await get_ready(SERVED) == 1
    assert await get_ready(SERVED) == 0


@pytest.mark.parametrize(
    ("mode", "debug", "expected"),
    [("auto", False, 1), ("auto", True, 0), ("on", True, 1), ("off", False, 0)],
)
async def test_unless_it_is_debugged_or_not_to_be(home, settings, mode, debug, expected):
    settings.DEBUG = debug
    settings.RESILIENT_CHANNELS = {"DRAIN": {"directory": str(home), "mode": mode}}

    assert await get_ready(SERVED) == expected
    assert home.exists() is bool(expected)


async def test_or_reloads(home, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["uvicorn", "--reload", "app:app"])

    assert await get_ready(SERVED) == 0


async def test_a_tests_communicator_makes_no_file(home):
    assert await get_ready({"type": "websocket"}) == 0
    assert not home.exists()


async def test_without_a_place_for_a_socket_the_process_serves_all_the_same(home, caplog):
    home.write_text("in the way")

    assert await get_ready(SERVED) == 0

    assert "drain.unreachable" in caplog.text


# --- what goes wrong meanwhile -------------------------------------------------------------------


@pytest.fixture
def no_temporary_directory(settings, monkeypatch):
    """As with a root that cannot be written, or a full ``/tmp``."""

    def refuse():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    settings.RESILIENT_CHANNELS = {"DRAIN": {"mode": "on"}}
    monkeypatch.setattr(tempfile, "gettempdir", refuse)


@pytest.fixture
def stood(monkeypatch):
    """What was to be done when SIGTERM is met."""
    found = []
    monkeypatch.setattr(standby, "stand_before_server", found.append)
    return found


async def test_without_a_temporary_directory_the_first_client_is_served(
    no_temporary_directory, stood, facts
):
    visits = [Visit(build(Listener), server=("127.0.0.1", 8000)) for _ in range(2)]

    for visit in visits:
        assert (await visit.next_sent())["type"] == "websocket.accept"

    (unreachable,) = facts("drain.unreachable")
    assert (unreachable.directory, unreachable.error) == ("", "FileNotFoundError")
    for visit in visits:
        await visit.leave()


async def test_without_a_temporary_directory_sigterm_is_met_all_the_same(
    no_temporary_directory, stood
):
    standby.stand_by(SERVED)

    (before_end,) = stood
    before_end()  # there is no socket to remove


def test_without_a_temporary_directory_nobody_was_told(no_temporary_directory):
    assert was_told_before() is False


def test_without_a_temporary_directory_the_command_says_what_to_set(no_temporary_directory):
    with pytest.raises(CommandError, match=r"No usable temporary directory.*'directory'"):
        call_command("resilient_drain")


async def test_a_failure_in_any_step_costs_neither_the_client_nor_the_other_steps(
    home, monkeypatch, facts
):
    def fail(*args):
        raise LookupError("a bug")

    monkeypatch.setattr(standby, "stand_before_server", fail)
    monkeypatch.setattr(standby, "was_told_before", fail)

    assert await get_ready(SERVED) == 1

    assert [fact.error for fact in facts("drain.unreachable")] == ["LookupError"] * 2
    assert draining.get_drain() is None


async def test_sigterm_is_met_before_anything_can_fail(home, monkeypatch):
    order = []
    monkeypatch.setattr(standby, "stand_before_server", lambda before_end: order.append("signal"))
    monkeypatch.setattr(
        ControlSocket, "__init__", lambda self, *args, **kwargs: order.append("socket")
    )

    standby.stand_by(SERVED)

    assert order == ["signal", "socket"]


async def test_the_socket_goes_before_the_server_has_its_signal(home, stood):
    with sockets_noted():
        standby.stand_by(SERVED)
        assert len(control_directory.find_sockets(home)) == 1

        (before_end,) = stood
        before_end()

        assert control_directory.find_sockets(home) == []
