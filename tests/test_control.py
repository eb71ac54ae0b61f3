"""How a command finds the running processes, and what they tell it."""

import asyncio
import os
import socket
import stat
import subprocess
import sys

import pytest

from resilient_channels import control_directory as directories, control_socket, draining
from resilient_channels.control_directory import DirectoryRefused
from support.control import CONFIGURED, Process, home, in_a_new_process

__all__ = ["home", "in_a_new_process"]


async def ask(path, word):
    """What the process behind *path* says."""
    return (await asyncio.to_thread(control_socket.ask, {path: word}))[path]


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

        answer = await ask(path, "look")

    assert answer == {"pid": os.getpid(), "connections": 0, "state": "serving", "remaining": None}
    assert directories.find_sockets(home) == []


async def test_a_process_that_is_told_to_drain_does(home):
    with Process(home):
        (path,) = directories.find_sockets(home)

        answer = await ask(path, "drain")
        assert answer is not None
        assert answer["state"] in ("draining", "drained")
        drain = draining.get_drain()
        assert drain is not None
        await asyncio.wrap_future(drain.ended)
        answer = await ask(path, "look")

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
