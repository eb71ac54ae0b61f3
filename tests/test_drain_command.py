"""``manage.py resilient_drain``: who is asked, how long it waits, and what its exit status says."""

import asyncio
import json
import os
import socket
import threading
import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from resilient_channels import control_directory as directories, control_socket
from resilient_channels.management.commands import resilient_drain as command
from support.control import Process, home, in_a_new_process

__all__ = ["home", "in_a_new_process"]


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


async def test_a_process_that_does_not_answer_is_no_success(home):
    home.mkdir(mode=0o700)
    listener, _ = directories.bind_socket(home)  # listens, and never accepts

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


# --- what is no answer ---------------------------------------------------------------------------


class Impostor:
    """A process that answers every question with the next of *answers*; the last one for good.

    ``None`` means that it accepts and says nothing.
    """

    def __init__(self, home, *answers):
        home.mkdir(mode=0o700, exist_ok=True)
        self._answers = list(answers)
        self._silenced = []
        self.words = []
        self._listener, self.path = directories.bind_socket(home)
        self._listener.setblocking(True)
        self._is_over = False
        self._address, self._hidden = self.path, self.path.with_suffix(".hidden")
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._is_over = True
        with socket.socket(socket.AF_UNIX) as waker:
            waker.connect(str(self._address))
            self._thread.join(10)
        self._listener.close()
        for client in self._silenced:
            client.close()
        self._hidden.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def hide(self):
        """As if it had ended: nobody finds it any more."""
        self._address = self._hidden
        self.path.rename(self._hidden)

    def _serve(self):
        while True:
            client, _ = self._listener.accept()
            if self._is_over:
                client.close()
                return
            self.words.append(client.recv(100))
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if answer is None:
                self._silenced.append(client)
                continue
            client.sendall(answer)
            client.close()


EMPTY = {"pid": 1, "connections": 0, "state": "drained", "remaining": 0.0}
DONE = json.dumps(EMPTY).encode() + b"\n"
BUSY = json.dumps(EMPTY | {"connections": 3, "state": "draining"}).encode() + b"\n"


def test_one_silent_process_does_not_use_up_the_timeout_several_times(home):
    with Impostor(home, None), Impostor(home, None), Impostor(home, DONE):
        began = time.monotonic()

        out, err, status = run_command("--timeout", "1")

        took = time.monotonic() - began

    assert took < 1.8
    assert (status, out.splitlines()[0]) == (1, "0 connections in 1 processes, 2 without an answer")
    assert "2 without an answer" in err


def test_all_are_asked_at_once(home):
    """Each of them waits until the other has been asked, too."""
    met = threading.Barrier(2)

    class Patient(Impostor):
        def _serve(self):
            client, _ = self._listener.accept()
            client.recv(100)
            met.wait(10)
            client.sendall(DONE)
            client.close()
            super()._serve()

    with Patient(home, DONE), Patient(home, DONE):
        out, err, status = run_command("--timeout", "8")

    assert (out, err, status) == ("0 connections in 2 processes\n", "", 0)


def test_a_process_that_hangs_up_without_a_word_is_not_taken_for_gone(home):
    with Impostor(home, b""):
        _, err, status = run_command("--timeout", "0.5")

    assert status == 1
    assert "1 without an answer" in err


def test_one_that_ends_while_it_is_asked_is_gone_at_the_next_look(home):
    with Impostor(home, b"") as impostor:

        def end():
            while not impostor.words:
                time.sleep(0.005)
            impostor.hide()

        ender = threading.Thread(target=end)
        ender.start()
        _, err, status = run_command("--timeout", "8")
        ender.join(10)

    assert (err, status) == ("", 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"{}\n", b"[]\n", b"null\n", b"garbage\n", b"\xff\n", b'{"pid": 1}\n', b"[" * 5000,
        b'{"connections": "3", "state": "drained"}\n',
        b'{"connections": -1, "state": "drained"}\n', b'{"connections": 0, "state": "drained"}\n',
        b'{"connections": 0, "state": "drained", "remaining": Infinity}\n',
        b'{"connections": 0, "state": "drained", "remaining": NaN}\n',
    ],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_said_in_one_line_and_is_no_success(home, answer):
    with Impostor(home, answer):
        _, err, status = run_command("--timeout", "0.5")

    assert status == 1
    assert err == ("Given up: 0 connections in 0 processes, 1 with an answer that makes no sense\n")


def test_one_that_was_too_busy_to_hear_is_told_again(home):
    with Impostor(home, b"", BUSY, DONE) as impostor:
        _, err, status = run_command("--timeout", "8")

    assert (err, status) == ("", 0)
    assert impostor.words == [b"drain\n", b"drain\n", b"look\n"]


def test_one_that_is_told_later_has_as_long_as_the_others(home, monkeypatch):
    """Symptom: given up 15 seconds after the first question, though its drain takes longer."""
    monkeypatch.setattr(command, "MARGIN", 0.5)
    busy = BUSY.replace(b'"remaining": 0.0', b'"remaining": 20.0')
    assert busy != BUSY

    with Impostor(home, b"", *[busy] * 6, DONE):
        _, err, status = run_command()

    assert (err, status) == ("", 0)


def test_what_could_be_told_to_nobody_is_no_success(home, monkeypatch):
    def refuse(directory):
        raise OSError("disk full")

    home.mkdir(mode=0o700)
    monkeypatch.setattr(command, "leave_mark", refuse)

    _, err, status = run_command()

    assert status == 1
    assert "disk full" in err


@pytest.mark.parametrize("timeout", ["-1", "nan", "inf"])
def test_a_timeout_that_is_no_time_is_refused_before_anybody_is_told(home, timeout):
    with Impostor(home, DONE) as impostor, pytest.raises(CommandError, match="--timeout"):
        run_command(f"--timeout={timeout}")

    assert impostor.words == []
    assert not (home / directories.MARK).exists()


def test_without_room_for_a_mark_those_that_can_be_reached_are_drained_all_the_same(
    home, monkeypatch
):
    def refuse(*args):
        raise OSError(28, "No space left on device")

    with Impostor(home, DONE) as impostor:
        monkeypatch.setattr(os, "open", refuse)
        out, err, status = run_command()
        monkeypatch.undo()

    assert impostor.words == [b"drain\n"]
    assert (out, status) == ("0 connections in 1 processes\n", 1)
    assert "No space left on device" in err
