"""SIGTERM: the drain first, then the server."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from resilient_channels import compat, draining, sigterm
from shells.clients import Listener, WireClient, meet
from shells.visits import build, now, settle
from support.loop import virtual


class Place:
    """In front of a server that counts what it is given."""

    def __init__(self) -> None:
        self.arrive: Callable[[], None] = lambda: None
        self.passed_on: list[float] = []

    def take(self, loop, signum, callback):
        self.arrive = callback
        return self

    def pass_on(self) -> None:
        self.passed_on.append(now())


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place()
    monkeypatch.setattr(compat, "take_place", place.take)
    yield place
    draining.forget()


async def meet_many(count):
    consumer = build(Listener)
    return [await meet(WireClient(consumer)) for _ in range(count)]


@virtual
async def test_the_server_gets_it_when_everybody_is_gone(place, facts):
    clients = await meet_many(10)
    cleaned_up = []
    sigterm.stand_before_server(lambda: cleaned_up.append(now()))
    began = now()

    place.arrive()
    await asyncio.sleep(4)
    assert place.passed_on == []
    await asyncio.sleep(2)

    assert [client.closes for client in clients] == [[3512]] * 10
    assert len(place.passed_on) == 1
    assert 4.5 <= place.passed_on[0] - began < 5
    assert cleaned_up == place.passed_on
    assert facts("drain.began")[0].cause == "signal"


@virtual
async def test_with_nobody_there_at_once(place):
    sigterm.stand_before_server(lambda: None)

    place.arrive()
    await settle()

    assert len(place.passed_on) == 1


@virtual
async def test_a_second_one_skips_the_rest(place, facts):
    clients = await meet_many(40)
    sigterm.stand_before_server(lambda: None)
    began = now()

    place.arrive()
    await asyncio.sleep(sigterm.REPEATED + 0.1)
    place.arrive()
    await settle(0.1)

    assert [client.closes for client in clients] == [[3512]] * 40
    assert len(place.passed_on) == 1
    assert place.passed_on[0] - began < sigterm.REPEATED + 0.2
    assert len(facts("drain.skipped")) == 1
    await settle(1)


@virtual
async def test_the_same_one_by_way_of_the_parent_does_not(place, facts):
    """A service manager reaches each process of a group; so does the parent."""
    await meet_many(10)
    sigterm.stand_before_server(lambda: None)

    place.arrive()
    await asyncio.sleep(0.6)
    place.arrive()
    await asyncio.sleep(0.6)
    assert place.passed_on == []
    await asyncio.sleep(5)

    assert len(place.passed_on) == 1
    assert facts("drain.skipped") == []


@virtual
async def test_every_later_one_is_the_servers(place):
    sigterm.stand_before_server(lambda: None)
    place.arrive()
    await settle()

    place.arrive()

    assert len(place.passed_on) == 2


@virtual
async def test_a_drain_that_a_command_began_is_joined(place, facts):
    await meet_many(10)
    sigterm.stand_before_server(lambda: None)
    draining.begin("command")
    await asyncio.sleep(3)

    place.arrive()
    assert place.passed_on == []
    await asyncio.sleep(3)

    assert len(place.passed_on) == 1
    assert len(facts("drain.began")) == 1


@virtual
async def test_after_such_a_drain_the_server_has_it_at_once(place):
    await meet_many(2)
    sigterm.stand_before_server(lambda: None)
    await draining.drain()

    place.arrive()
    await settle()

    assert len(place.passed_on) == 1


@virtual
async def test_a_failure_of_ours_does_not_keep_the_process_alive(place, monkeypatch):
    def fail(cause):
        raise LookupError("a bug")

    monkeypatch.setattr(draining, "begin", fail)
    sigterm.stand_before_server(lambda: None)

    with pytest.raises(LookupError):
        place.arrive()

    assert len(place.passed_on) == 1


async def test_off_the_main_thread_nothing_is_touched(place):
    def serve() -> object:
        async def stand() -> object:
            return sigterm.stand_before_server(lambda: None)

        return asyncio.run(stand())

    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(serve()))
    thread.start()
    thread.join()

    assert found == [None]
    assert place.passed_on == []
