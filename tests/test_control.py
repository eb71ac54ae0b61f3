"""How a command finds the running processes, and what they tell it."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from resilient_channels import control_directory as directories, control_socket, draining, standby
from resilient_channels.control_directory import DirectoryRefused
from resilient_channels.control_socket import ControlSocket, ask

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
        self.control._loop.remove_reader(self.control._listener.fileno())
        self.control._listener.close()
        self.control.remove()


# --- the directory -------------------------------------------------------------------------------


def test_each_project_has_a_directory_of_its_own(settings):
    settings.BASE_DIR = "/srv/one"
    one = directories.find_directory(None)
    settings.BASE_DIR = "/srv/two"
    two = directories.find_directory(None)

    assert one != two
    assert one.parent == two.parent
    assert str(os.getuid()) in one.parent.name


def test_a_directory_and_its_parent_are_for_us_alone(tmp_path):
    directory = tmp_path / "user" / "project"

    directories.make_directory(directory, is_configured=False)

    for made in (directory, directory.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_one_that_others_can_get_at_is_refused(tmp_path, mode):
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(mode)

    with pytest.raises(DirectoryRefused, match="0700"):
        directories.make_directory(directory, **CONFIGURED)


def test_a_link_to_a_directory_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(DirectoryRefused):
        directories.make_directory(tmp_path / "link", **CONFIGURED)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_is_refused(tmp_path):
    directory = tmp_path / "theirs"
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, -1)

    with pytest.raises(DirectoryRefused):
        directories.make_directory(directory, **CONFIGURED)


def test_what_a_killed_process_has_left_is_swept_away(home):
    home.mkdir(mode=0o700)
    code = (
        "import sys, socket, os; from pathlib import Path; sys.path[:0] = sys.argv[2:];"
        "from resilient_channels.control_directory import bind_socket;"
        "bind_socket(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(home), *sys.path], check=False, timeout=30)
    listener, alive = directories.bind_socket(home)
    assert len(directories.find_sockets(home)) == 2

    directories.sweep(home)

    assert directories.find_sockets(home) == [alive]
    listener.close()


def test_a_socket_is_found_only_once_somebody_listens(home, monkeypatch):
    """Or another process would take it for one that was left behind, and remove it."""
    home.mkdir(mode=0o700)
    seen = []
    listen = socket.socket.listen
    monkeypatch.setattr(
        socket.socket,
        "listen",
        lambda self, backlog: (seen.append(directories.find_sockets(home)), listen(self, backlog)),
    )

    listener, path = directories.bind_socket(home)

    assert seen == [[]]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listener.close()


# --- the socket ----------------------------------------------------------------------------------


async def test_a_process_tells_how_it_is(home):
    with Process(home):
        (path,) = directories.find_sockets(home)

        answer = await asyncio.to_thread(ask, path, "look")

    assert answer == {"pid": os.getpid(), "connections": 0, "state": "serving", "remaining": None}
    assert directories.find_sockets(home) == []


async def test_a_process_that_is_told_to_drain_does(home):
    with Process(home):
        (path,) = directories.find_sockets(home)

        answer = await asyncio.to_thread(ask, path, "drain")
        assert answer is not None
        assert answer["state"] in ("draining", "drained")
        drain = draining.get_drain()
        assert drain is not None
        await asyncio.wrap_future(drain.ended)
        answer = await asyncio.to_thread(ask, path, "look")

    assert answer is not None
    assert (answer["state"], answer["remaining"]) == ("drained", 0.0)


@pytest.mark.parametrize("words", [b"stop\n", b"\xff\xfe\n", b"drain now please\n", b"x" * 5000])
async def test_any_other_word_does_nothing(home, words):
    with Process(home):
        (path,) = directories.find_sockets(home)

        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(words)
        answer = await reader.readline()
        writer.close()

    assert answer in (b"{}\n", b"")
    assert draining.get_drain() is None


async def test_one_who_asks_nothing_is_not_waited_for(home, monkeypatch):
    monkeypatch.setattr(control_socket, "PATIENCE", 0.05)
    with Process(home):
        (path,) = directories.find_sockets(home)

        reader, writer = await asyncio.open_unix_connection(str(path))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell who asks")
async def test_another_user_is_not_heard(home, monkeypatch):
    with Process(home):
        (path,) = directories.find_sockets(home)
        user = os.geteuid()
        # As if we were somebody else than the one who asks; and that one is not root.
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
        monkeypatch.setattr(control_socket.struct, "unpack", lambda *_: (1, 4242, 4242))

        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"drain\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readuntil(b"\n")
        writer.close()

    assert draining.get_drain() is None


# --- when a process gets ready -------------------------------------------------------------------

SERVED = {"type": "websocket", "server": ("127.0.0.1", 8000)}


async def get_ready(scope):
    opened = []
    original = ControlSocket.__init__

    def note(self, *args, **kwargs):
        original(self, *args, **kwargs)
        opened.append(self)

    ControlSocket.__init__ = note
    try:
        standby.stand_by(scope)
    finally:
        ControlSocket.__init__ = original
    for control in opened:
        control._loop.remove_reader(control._listener.fileno())
        control._listener.close()
        control.remove()
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


async def test_one_that_was_told_before_its_first_websocket_is_drained(home):
    """It had no socket yet; or the command would have missed it."""
    home.mkdir(mode=0o700)
    directories.leave_mark(home)
    os.utime(home / directories.MARK, (time.time() + 1, time.time() + 1))

    await get_ready(SERVED)

    drain = draining.get_drain()
    assert drain is not None
    await asyncio.wrap_future(drain.ended)


async def test_one_that_was_started_since_is_not(home, monkeypatch):
    home.mkdir(mode=0o700)
    directories.leave_mark(home)
    monkeypatch.setattr(control_socket, "_began", time.time() + 1)

    await get_ready(SERVED)

    assert draining.get_drain() is None


# --- the command ---------------------------------------------------------------------------------


def run_command(*arguments):
    """Run it; what it said, what it complained about, and its exit status."""
    out, err, status = StringIO(), StringIO(), 0
    try:
        call_command("resilient_drain", *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return out.getvalue(), err.getvalue(), status


async def test_the_command_waits_until_all_are_empty(home, monkeypatch):
    left = [5, 5, 3, 0]

    def describe():
        count = left.pop(0) if len(left) > 1 else left[0]
        state = "draining" if count else "drained"
        return {"pid": 1, "connections": count, "state": state, "remaining": 1.0}

    monkeypatch.setattr(control_socket, "describe", describe)
    with Process(home):
        out, err, status = await asyncio.to_thread(run_command)

    assert out.splitlines() == [
        "5 connections in 1 processes", "3 connections in 1 processes",
        "0 connections in 1 processes",
    ]  # fmt: skip
    assert (err, status) == ("", 0)


async def test_it_gives_up_after_its_timeout(home, monkeypatch):
    answer = {"pid": 1, "connections": 2, "state": "draining", "remaining": 100.0}
    monkeypatch.setattr(control_socket, "describe", lambda: answer)
    with Process(home):
        _, err, status = await asyncio.to_thread(run_command, "--timeout", "0.3")

    assert status == 1
    assert "2 connections in 1 processes" in err


async def test_it_may_only_begin(home, monkeypatch):
    answer = {"pid": 1, "connections": 2, "state": "draining", "remaining": 100.0}
    monkeypatch.setattr(control_socket, "describe", lambda: answer)
    with Process(home):
        out, err, status = await asyncio.to_thread(run_command, "--no-wait")

    assert (out, err, status) == ("2 connections in 1 processes\n", "", 0)


async def test_a_process_that_ends_meanwhile_is_empty(home, monkeypatch):
    answer = {"pid": 1, "connections": 2, "state": "draining", "remaining": 100.0}
    process = Process(home)

    def describe():
        asyncio.get_running_loop().call_later(0.05, process.__exit__)
        return answer

    monkeypatch.setattr(control_socket, "describe", describe)
    _, err, status = await asyncio.to_thread(run_command)

    assert (err, status) == ("", 0)


async def test_a_process_that_does_not_answer_is_no_success(home, monkeypatch):
    home.mkdir(mode=0o700)
    listener, _ = directories.bind_socket(home)  # listens, and never accepts
    monkeypatch.setattr(control_socket.ask, "__defaults__", (0.1,))

    _, err, status = await asyncio.to_thread(run_command, "--timeout", "0.3")

    assert status == 1
    assert "1 without an answer" in err
    listener.close()


@pytest.mark.parametrize("is_there", [False, True])
def test_without_a_process_it_says_where_it_looked(home, is_there):
    if is_there:
        home.mkdir(mode=0o700)

    out, err, status = run_command()

    assert (out, status) == ("", 0)
    assert f"No process found in {home}" in err


def test_it_does_not_trust_a_directory_of_others(home):
    home.mkdir(mode=0o777)
    home.chmod(0o777)

    with pytest.raises(CommandError, match="0700"):
        run_command()
