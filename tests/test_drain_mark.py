"""What a command leaves behind for processes that it could not reach yet, and for nobody else."""

import asyncio
import os
import signal
import time

import pytest

from resilient_channels import control_directory as directories, control_socket, draining, standby
from resilient_channels.control_directory import MARK, is_marked_since, leave_mark, read_clock
from resilient_channels.control_socket import was_told_before
from support.control import home, in_a_new_process

__all__ = ["home", "in_a_new_process"]

SERVED = {"type": "websocket", "server": ("127.0.0.1", 8000)}


@pytest.fixture
def marks(home):
    """The directory, made by whoever was there first."""
    home.mkdir(mode=0o700)
    return home


@pytest.fixture
def without_a_socket(monkeypatch):
    monkeypatch.setattr(standby._Control, "open", lambda self: None)


async def test_one_that_was_told_before_its_first_websocket_is_drained(marks, without_a_socket):
    """It had no socket yet; or the command would have missed it."""
    leave_mark(marks)

    standby.stand_by(SERVED)

    drain = draining.get_drain()
    assert drain is not None
    await asyncio.wrap_future(drain.ended)


async def test_one_that_was_started_since_is_not(marks, without_a_socket, monkeypatch):
    leave_mark(marks)
    monkeypatch.setattr(control_socket, "_began", read_clock())

    standby.stand_by(SERVED)

    assert draining.get_drain() is None


def test_a_mark_is_for_our_user_alone(marks):
    leave_mark(marks)
    leave_mark(marks)

    assert [(path.name, path.stat().st_mode & 0o777) for path in marks.iterdir()] == [(MARK, 0o600)]


@pytest.mark.parametrize("ahead", [300.0, -300.0])
def test_a_clock_that_was_set_since_sends_nobody_away(marks, monkeypatch, ahead):
    """Neither while that clock says that the mark is to come, nor when it has."""
    wall_clock = time.time
    began = read_clock()
    monkeypatch.setattr(time, "time", lambda: wall_clock() + ahead)
    leave_mark(marks)
    os.utime(marks / MARK, (wall_clock() + ahead, wall_clock() + ahead))
    monkeypatch.undo()

    assert is_marked_since(marks, began)
    assert not is_marked_since(marks, read_clock())


def test_a_mark_of_a_time_to_come_is_none(marks):
    began = read_clock()
    leave_mark(marks)
    boot = (marks / MARK).read_text().split()[1]
    (marks / MARK).write_text(f"{read_clock() + 300} {boot}")

    assert not is_marked_since(marks, began)


def test_a_mark_from_before_the_system_was_started_is_none(marks, monkeypatch):
    monkeypatch.setattr(directories, "_read_boot", lambda: "another")
    leave_mark(marks)
    monkeypatch.undo()

    assert not is_marked_since(marks, 0.0)


@pytest.mark.parametrize("text", ["", "now", "1", "nan x", "1 2 3", "\0", "9" * 5000])
def test_what_is_no_mark_says_nothing(marks, text):
    (marks / MARK).write_text(text)

    assert not is_marked_since(marks, 0.0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_worker_that_is_forked_after_a_drain_was_not_told(marks):
    """By a parent that had imported all of this before: Gunicorn's ``--preload``."""
    leave_mark(marks)
    assert was_told_before()

    child = os.fork()
    if child == 0:
        try:
            signal.alarm(10)  # whatever happens, nothing of the tests goes on twice
            was_told = was_told_before()
            leave_mark(marks)
            os._exit(0 if not was_told and was_told_before() else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


# --- what somebody else could have put there -----------------------------------------------------


def test_a_mark_is_not_written_where_a_link_leads(marks, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (marks / MARK).symlink_to(victim)

    leave_mark(marks)

    assert victim.read_text() == "precious"
    assert not (marks / MARK).is_symlink()


def test_a_mark_is_not_read_where_a_link_leads(marks, tmp_path):
    leave_mark(tmp_path)
    (marks / MARK).symlink_to(tmp_path / MARK)

    assert is_marked_since(tmp_path, 0.0)
    assert not is_marked_since(marks, 0.0)


def test_a_pipe_is_not_waited_for(marks):
    os.mkfifo(marks / MARK)

    assert not is_marked_since(marks, 0.0)


def test_a_directory_in_the_way_leaves_nothing_behind(marks):
    (marks / MARK).mkdir()

    assert not is_marked_since(marks, 0.0)
    with pytest.raises(OSError, match=MARK):
        leave_mark(marks)
    assert [path.name for path in marks.iterdir()] == [MARK]


def test_the_mark_of_another_user_is_none(marks, monkeypatch):
    leave_mark(marks)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)

    assert not is_marked_since(marks, 0.0)
