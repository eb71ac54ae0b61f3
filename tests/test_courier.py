"""The thread that sends for synchronous code: one, bounded, and new in a forked child."""

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from resilient_channels import SendOutcome
from resilient_channels.courier import AT_ONCE, GRACE
from support.couriers import LIMIT, courier_threads, own_courier, until

TESTS = Path(__file__).parent


@pytest.fixture
def courier():
    with own_courier() as courier:
        yield courier


@pytest.fixture
def failures(caplog):
    """What ``notify.failed`` records said."""
    return lambda: [
        (record.alias, record.error)
        for record in caplog.records
        if record.getMessage() == "notify.failed"
    ]


def run(courier, work, home=None, *, patience=1.0, pending=100):
    return courier.run(work, home, alias="default", patience=patience, pending=pending)


async def sent():
    return SendOutcome.SENT


async def timed_out():
    return SendOutcome.TIMED_OUT


async def fails():
    raise LookupError("no such thing")


async def hangs(begun=None):
    if begun is not None:
        begun.append(1)
    await asyncio.get_running_loop().create_future()


# --- where it may wait -----------------------------------------------------------------------


def test_what_comes_of_the_work_is_returned(courier):
    assert run(courier, sent()) is SendOutcome.SENT
    assert run(courier, timed_out()) is SendOutcome.TIMED_OUT


def test_what_the_work_raises_is_raised(courier, failures):
    with pytest.raises(LookupError, match="no such thing"):
        run(courier, fails())

    assert failures() == []


def test_work_that_hangs_is_given_up_a_moment_after_the_deadline(courier):
    started = time.monotonic()

    assert run(courier, hangs(), patience=0.1) is SendOutcome.TIMED_OUT

    assert 0.1 + GRACE <= time.monotonic() - started < 0.1 + GRACE + 5
    assert run(courier, sent()) is SendOutcome.SENT


def test_its_thread_starts_at_the_first_use_and_serves_for_all(courier):
    before = courier_threads()
    loops = set()

    async def look():
        loops.add(asyncio.get_running_loop())
        return SendOutcome.SENT

    assert courier._loop is None
    for _ in range(20):
        run(courier, look())

    assert len(loops) == 1
    assert len(courier_threads()) - len(before) == 1
    assert all(thread.daemon for thread in courier_threads())


def test_only_so_many_are_under_way_at_once(courier):
    under_way, most, gate = 0, 0, threading.Event()

    async def work():
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.to_thread(gate.wait, LIMIT)
        under_way -= 1
        return SendOutcome.SENT

    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(run(courier, work(), patience=LIMIT)))
        for _ in range(AT_ONCE + 10)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + LIMIT
    while courier._under_way < len(threads) and time.monotonic() < deadline:
        time.sleep(0.001)
    gate.set()
    for thread in threads:
        thread.join(LIMIT)

    assert outcomes == [SendOutcome.SENT] * len(threads)
    assert most <= AT_ONCE


def test_a_courier_whose_loop_was_closed_gets_another(courier):
    run(courier, sent())
    first = courier._loop
    first.call_soon_threadsafe(first.stop)
    deadline = time.monotonic() + LIMIT
    while first.is_running() and time.monotonic() < deadline:
        time.sleep(0.001)
    first.close()

    assert run(courier, sent()) is SendOutcome.SENT
    assert courier._loop is not first


# --- where it may not ------------------------------------------------------------------------


async def test_on_a_running_loop_it_returns_at_once(courier):
    done = threading.Event()

    async def work():
        done.set()
        return SendOutcome.SENT

    assert run(courier, work()) is SendOutcome.QUEUED

    await until(done.is_set)


@pytest.mark.parametrize(
    ("work", "error"),
    [(fails, "LookupError"), (timed_out, "timed out")],
)
async def test_what_came_to_nothing_is_logged_where_nobody_waits(courier, work, error, failures):
    assert run(courier, work()) is SendOutcome.QUEUED

    await until(failures)

    assert failures() == [("default", error)]


async def test_what_was_sent_is_not_logged(courier, failures):
    for _ in range(10):
        run(courier, sent())
    await until(lambda: courier._under_way == 0)

    assert failures() == []


async def test_more_than_may_wait_are_dropped_at_once_and_told(courier, failures):
    begun = []
    for _ in range(3):
        assert run(courier, hangs(begun), pending=3) is SendOutcome.QUEUED
    await until(lambda: len(begun) == 3)

    assert run(courier, sent(), pending=3) is SendOutcome.DROPPED

    assert failures() == [("default", "too many wait")]
    courier._loop.call_soon_threadsafe(
        lambda: [task.cancel() for task in asyncio.all_tasks(courier._loop)]
    )
    await until(lambda: courier._under_way == 0)
    assert run(courier, sent(), pending=3) is SendOutcome.QUEUED
    await until(lambda: courier._under_way == 0)


async def test_work_for_another_loop_is_done_there(courier):
    loops = []

    async def work():
        loops.append(asyncio.get_running_loop())
        return SendOutcome.SENT

    here = asyncio.get_running_loop()

    assert await asyncio.to_thread(run, courier, work(), here) is SendOutcome.SENT
    assert loops == [here]
    assert courier._loop is None


# --- forks -----------------------------------------------------------------------------------

FORK = """
import os, sys
import django
django.setup()
from channels.layers import InMemoryChannelLayer, channel_layers
from resilient_channels import notify

channel_layers.set("default", InMemoryChannelLayer())
event = {"type": "news"}
outcomes = [notify("room", event).name] if sys.argv[1] == "used" else []
child = os.fork()
outcomes.append(notify("room", event).name)  # in both
if child == 0:
    print(outcomes, flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
print(outcomes, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("was", ["used", "unused"])
def test_a_forked_child_sends_by_a_thread_of_its_own(was):
    """Symptom: a worker that forks waited for ever for a thread that only its parent has."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, was],
        cwd=TESTS,
        env={"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(TESTS.parent / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    expected = ["SENT"] * (2 if was == "used" else 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == [repr(expected)] * 2


def test_a_command_ends_though_its_courier_lives():
    script = FORK.split("child = os.fork()")[0]

    done = subprocess.run(
        [sys.executable, "-c", script, "used"],
        cwd=TESTS,
        env={"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(TESTS.parent / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
