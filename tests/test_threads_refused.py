"""A system that is out of threads for a moment: nothing is lost, and nothing stays lost."""

import asyncio
import threading

import pytest

from resilient_channels import ResilientMiddleware, SendOutcome, drain, draining
from resilient_channels.registry import registry
from resilient_channels.watchdog import watchdog
from shells.clients import Listener
from shells.conftest import facts
from shells.visits import Visit, build
from support.couriers import own_courier

__all__ = ["facts"]


@pytest.fixture
def refuse(monkeypatch):
    """Have the next thread of that name fail to start, as with a limit on processes."""
    start = threading.Thread.start
    names = []

    def start_unless_refused(thread):
        if thread.name in names:
            names.remove(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_unless_refused)
    return names.append


@pytest.fixture(autouse=True)
async def without_a_thread():
    """No watchdog is left from a test before."""
    async with asyncio.timeout(10):
        while watchdog._thread is not None:  # noqa: ASYNC110  # another thread sets no event here
            await asyncio.sleep(0.005)


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


APPLICATIONS = {"consumer": build(Listener), "middleware": lambda: ResilientMiddleware(echo)}


@pytest.fixture(params=APPLICATIONS)
def application(request):
    return APPLICATIONS[request.param]


async def test_the_client_that_would_have_started_the_watchdog_is_served(application, refuse):
    refuse("resilient_channels.watchdog")

    visit = Visit(application)

    assert (await visit.next_sent())["type"] == "websocket.accept"
    assert watchdog._thread is None
    await visit.leave()
    assert len(registry) == 0


async def test_the_watchdog_starts_with_the_next_client(application, refuse):
    refuse("resilient_channels.watchdog")
    visits = [Visit(application) for _ in range(2)]

    for visit in visits:
        assert (await visit.next_sent())["type"] == "websocket.accept"

    assert watchdog._thread is not None
    assert watchdog._thread.is_alive()
    for visit in visits:
        await visit.leave()


async def test_a_connection_that_cannot_begin_is_in_nobodys_way(application, monkeypatch, facts):
    def fail(loop):
        raise LookupError("a bug")

    monkeypatch.setattr(watchdog, "attend", fail)

    assert isinstance(await Visit(application).ended(), LookupError)

    assert len(registry) == 0
    (refused,) = facts("connection.refused")
    assert refused.cause == "error"
    try:
        assert await drain() == 0
    finally:
        draining.forget()


async def sent():
    return SendOutcome.SENT


def test_what_synchronous_code_sends_is_dropped_and_told(refuse, caplog):
    refuse("resilient_channels.courier")
    with own_courier() as courier:
        outcomes = [
            courier.run(sent(), None, alias="default", patience=5.0, pending=10) for _ in range(2)
        ]

    assert outcomes == [SendOutcome.DROPPED, SendOutcome.SENT]
    assert [
        (record.alias, record.error)
        for record in caplog.records
        if record.getMessage() == "notify.failed"
    ] == [("default", "can't start new thread")]
