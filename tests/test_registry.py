"""What the process knows about its connections, and what it waits for at its end."""

import asyncio
import gc
import weakref
from dataclasses import dataclass, field

import pytest

from resilient_channels.core.disconnects import DisconnectInfo, DisconnectKind
from resilient_channels.core.link import Link
from resilient_channels.registry import RECENT, Ended, Registry
from support.loop import run, virtual


@dataclass(eq=False)
class Connection:
    id: str
    consumer_name: str = "chat.Chat"
    link: Link = field(default_factory=Link)


def ended(identifier: str) -> Connection:
    """A connection that a client opened and closed."""
    connection = Connection(identifier)
    connection.link.accept(now=0.0)
    connection.link.peer_left(DisconnectInfo(1001, "", DisconnectKind.CLIENT))
    return connection


# --- who is here -----------------------------------------------------------------------------


def test_identifiers_are_unique():
    registry = Registry()

    assert len({registry.next_id() for _ in range(1000)}) == 1000


def test_a_connection_is_known_until_it_is_removed():
    registry, connection = Registry(), Connection("c1")

    registry.add(connection)
    assert (len(registry), list(registry)) == (1, [connection])
    registry.remove(connection)

    assert (len(registry), list(registry)) == (0, [])


def test_connections_may_come_and_go_while_somebody_looks():
    registry = Registry()
    for number in range(3):
        registry.add(Connection(f"c{number}"))

    for connection in registry:
        registry.remove(connection)
        registry.add(Connection(f"{connection.id}.next"))

    assert len(registry) == 3


def test_an_ended_connection_is_remembered_without_being_kept():
    registry, connection = Registry(), ended("c1")
    registry.add(connection)
    gone = weakref.ref(connection)

    registry.remove(connection)
    del connection
    gc.collect()

    assert list(registry.recent) == [Ended("c1", "chat.Chat", 1001, "client")]
    assert gone() is None


def test_removing_a_connection_twice_remembers_it_once():
    registry, connection = Registry(), ended("c1")
    registry.add(connection)

    registry.remove(connection)
    registry.remove(connection)

    assert len(registry.recent) == 1


def test_a_connection_that_was_never_accepted_is_not_remembered():
    registry, connection = Registry(), Connection("c1")
    registry.add(connection)
    connection.link.close(None)

    registry.remove(connection)

    assert len(registry) == 0
    assert not registry.recent


def test_the_memory_is_bounded_and_keeps_the_latest():
    registry = Registry()

    for number in range(RECENT + 50):
        connection = ended(f"c{number}")
        registry.add(connection)
        registry.remove(connection)

    assert len(registry.recent) == RECENT
    assert registry.recent[-1].id == f"c{RECENT + 49}"


# --- what is still cleaning up ---------------------------------------------------------------


async def take(seconds: float) -> None:
    await asyncio.sleep(seconds)


@virtual
async def test_a_kept_task_is_not_collected_before_it_is_done():
    """The event loop itself holds tasks only weakly."""
    registry, finished = Registry(), []

    async def clean_up() -> None:
        await asyncio.sleep(5)
        finished.append(True)

    registry.keep(asyncio.ensure_future(clean_up()))
    await asyncio.sleep(1)
    gc.collect()
    await asyncio.sleep(5)

    assert finished == [True]


@virtual
async def test_a_task_that_is_done_is_let_go():
    registry = Registry()
    task = asyncio.ensure_future(take(1))
    registry.keep(task)
    gone = weakref.ref(task)

    await task
    await asyncio.sleep(0)
    del task
    gc.collect()

    assert gone() is None


@virtual
async def test_waiting_ends_with_the_last_cleanup():
    registry = Registry()
    for seconds in (1, 3, 2):
        registry.keep(asyncio.ensure_future(take(seconds)))

    await registry.wait_for_cleanups(100)

    assert asyncio.get_running_loop().time() == 3


@virtual
async def test_a_cleanup_that_begins_meanwhile_is_waited_for_too():
    registry = Registry()

    async def and_another() -> None:
        await asyncio.sleep(1)
        registry.keep(asyncio.ensure_future(take(4)))

    registry.keep(asyncio.ensure_future(and_another()))

    await registry.wait_for_cleanups(100)

    assert asyncio.get_running_loop().time() == 5


@virtual
async def test_waiting_is_bounded():
    registry = Registry()
    task = asyncio.ensure_future(take(1000))
    registry.keep(task)

    await registry.wait_for_cleanups(8)

    assert asyncio.get_running_loop().time() == 8
    assert not task.done()
    task.cancel()


@virtual
async def test_waiting_for_nothing_takes_no_time():
    await Registry().wait_for_cleanups(100)

    assert asyncio.get_running_loop().time() == 0


@virtual
async def test_a_cleanup_that_failed_does_not_end_the_wait_for_others():
    registry = Registry()

    async def fail() -> None:
        raise ValueError("boom")

    failing = asyncio.ensure_future(fail())
    registry.keep(failing)
    registry.keep(asyncio.ensure_future(take(2)))

    await registry.wait_for_cleanups(100)

    assert asyncio.get_running_loop().time() == 2
    with pytest.raises(ValueError, match="boom"):
        failing.result()


def test_cleanups_on_another_loop_are_not_waited_for():
    registry = Registry()

    async def leave_one_behind() -> asyncio.Task[None]:
        task = asyncio.ensure_future(take(1000))
        registry.keep(task)
        await asyncio.sleep(0)
        return task

    async def wait() -> float:
        await registry.wait_for_cleanups(8)
        return asyncio.get_running_loop().time()

    other = asyncio.new_event_loop()
    task = other.run_until_complete(leave_one_behind())

    assert run(wait()) == 0

    task.cancel()
    other.run_until_complete(asyncio.wait({task}))
    other.close()
