"""What ``drain()`` accepts, and that whatever goes wrong then leaves nobody behind."""

import asyncio
import threading
from collections.abc import Iterator
from itertools import pairwise
from unittest import mock

import pytest

from resilient_channels import drain, draining
from resilient_channels.core.spread import Spread
from resilient_channels.registry import registry
from shells.clients import Listener, WireClient, meet
from shells.visits import Visit, build, now, open_visit, settle
from support.loop import virtual

LIMIT = 10.0  # real seconds


@pytest.fixture(autouse=True)
def in_a_new_process() -> Iterator[None]:
    yield
    draining.forget()


async def meet_many(count, **kwargs):
    consumer = build(Listener)
    return [await meet(WireClient(consumer, **kwargs)) for _ in range(count)]


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["duration", "spread"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (float("nan"), ValueError), (float("inf"), ValueError), (-1, ValueError),
        (-0.001, ValueError), (10**400, ValueError), (1e10, ValueError),
        ("3", TypeError), (True, TypeError), ([], TypeError), (1j, TypeError),
    ],
)  # fmt: skip
@virtual
async def test_what_is_no_time_is_refused_and_begins_nothing(name, value, error):
    (client,) = await meet_many(1)

    with pytest.raises(error, match=name):
        await drain(**{name: value})

    assert draining.get_drain() is None
    assert client.closes == []
    visit = await open_visit(build(Listener))  # is still let in
    for guest in (client, visit):
        await guest.leave()


@virtual
async def test_a_duration_of_0_closes_all_at_once(settings):
    settings.RESILIENT_CHANNELS = {"DRAIN": {"duration": 30.0, "spread": 60.0}}
    clients = await meet_many(20)
    began = now()

    assert await drain(duration=0) == 0

    assert now() - began < 0.2
    assert all(client.closes == [3512] for client in clients)
    # Only the one that was named is another.
    assert max(client.controls[-1]["after_ms"] for client in clients) > 30_000


@virtual
async def test_a_spread_of_0_calls_all_back_at_once(settings):
    settings.RESILIENT_CHANNELS = {"DRAIN": {"duration": 1.0, "spread": 60.0}}
    clients = await meet_many(20)

    await drain(spread=0)

    assert {client.controls[-1]["after_ms"] for client in clients} == {0}


# --- when something in it fails ------------------------------------------------------------------


@virtual
async def test_a_failure_closes_all_the_rest_and_is_raised(monkeypatch):
    clients = await meet_many(20)
    due, calls = Spread.due, []

    def fail(self, elapsed, closed):
        calls.append(closed)
        if len(calls) == 5:
            raise LookupError("a bug")
        return due(self, elapsed, closed)

    monkeypatch.setattr(Spread, "due", fail)
    complaints = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: complaints.append(context["exception"]))

    with pytest.raises(LookupError, match="a bug"):
        await drain(duration=20)

    assert all(client.closes == [3512] for client in clients)
    assert len(registry) == 0
    # Whoever began it may not be waiting: a signal.
    assert [str(complaint) for complaint in complaints] == ["a bug"]
    current = draining.get_drain()
    assert current is not None
    assert current.ended.done()


@virtual
async def test_those_that_cannot_be_closed_keep_no_other_one_open(monkeypatch):
    clients = await meet_many(5)
    close, failed = draining._close, []

    def fail_twice(client, after):
        if len(failed) < 2:
            failed.append(client)
            raise LookupError("a bug")
        close(client, after)

    monkeypatch.setattr(draining, "_close", fail_twice)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)

    with pytest.raises(LookupError):
        await drain(duration=1)

    assert sorted(client.closes for client in clients) == [[]] * 2 + [[3512]] * 3
    for client in clients:
        if not client.closes:
            await client.leave()


@virtual
async def test_a_drain_whose_task_is_cancelled_closes_all_the_rest():
    """As at the end of ``asyncio.run``, which cancels whatever there is."""
    clients = await meet_many(20)
    waiting = asyncio.ensure_future(drain(duration=20))
    await asyncio.sleep(3)
    current = draining.get_drain()
    assert current is not None

    current._task.cancel()

    assert await waiting > 0
    await settle(1)
    assert all(client.closes == [3512] for client in clients)
    assert len(registry) == 0


@virtual
async def test_even_if_it_had_not_begun():
    clients = await meet_many(3)
    current = draining.begin("call", 20)
    current._task.cancel()
    await settle(1)

    assert current.ended.done()
    assert all(client.closes == [3512] for client in clients)


# --- whose event loop ----------------------------------------------------------------------------


class Server(threading.Thread):
    """An event loop in a thread, with so many connections, which goes on until they are closed."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.ready = threading.Event()
        self.closed: list[tuple[float, list[int | None]]] = []
        self.visits: list[Visit] = []

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self.visits = [await open_visit(build(Listener)) for _ in range(self.count)]
        self.ready.set()
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*map(self._see_off, self.visits))
            current = draining.get_drain()
            while current is not None and not current.ended.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _see_off(self, visit: Visit) -> None:
        await visit.ended()
        self.closed.append((now(), visit.closes))


@pytest.fixture
def server():
    server = Server(8)
    server.start()
    assert server.ready.wait(LIMIT)
    yield server
    server.join(2 * LIMIT)
    assert not server.is_alive()


def test_it_goes_on_when_the_loop_of_whoever_called_ends(server, caplog):
    async def lose_patience() -> None:
        async with asyncio.timeout(0.3):
            await drain(duration=1.6)

    with pytest.raises(TimeoutError):
        asyncio.run(lose_patience())

    current = draining.get_drain()
    assert current is not None
    assert current.ended.result(LIMIT) == 0
    assert [codes for _, codes in server.closed] == [[3512]] * 8
    moments = [moment for moment, _ in server.closed]
    # Neither given up nor rushed.
    assert moments[-1] - moments[0] > 1.2
    assert max(after - before for before, after in pairwise(moments)) < 1.0
    assert "Traceback" not in caplog.text


async def test_it_runs_where_most_of_the_clients_are(server):
    visit = await open_visit(build(Listener))

    assert await drain(duration=0.2) == 0

    current = draining.get_drain()
    assert current is not None
    assert current._loop is server.visits[0].task.get_loop()
    assert visit.closes == [3512]
    await visit.ended()


async def test_it_is_skipped_from_wherever(server):
    waiting = asyncio.ensure_future(drain(duration=60))
    await asyncio.sleep(0.2)
    current = draining.get_drain()
    assert current is not None

    current.skip()

    async with asyncio.timeout(LIMIT):
        assert await waiting == 0


@virtual
async def test_a_loop_that_runs_no_more_is_not_trusted_with_it():
    visit = await open_visit(build(Listener))
    (connection,) = registry
    stopped = asyncio.new_event_loop()
    connection.loop = stopped  # type: ignore[attr-defined]

    current = draining.begin("call", 1)

    assert current._loop is asyncio.get_running_loop()
    connection.loop = asyncio.get_running_loop()  # type: ignore[attr-defined]
    stopped.close()
    await visit.leave()
    await asyncio.wrap_future(current.ended)


@virtual
async def test_a_loop_that_ended_without_a_word_keeps_no_drain_from_its_end():
    """Symptom: SIGTERM, and a second one, waited for a drain whose event loop was closed."""
    visit = await open_visit(build(Listener))
    current = draining.begin("call", 60)
    assert not current.ended.done()
    current._loop = asyncio.new_event_loop()
    current._loop.close()

    current.skip()

    assert current.ended.done()
    await visit.ended()
    assert visit.closes == [3512]
    current._task.cancel()


@virtual
async def test_after_a_signal_it_runs_where_the_signal_is_met():
    visit = await open_visit(build(Listener))
    (connection,) = registry
    here, other = connection.loop, mock.Mock(spec=asyncio.BaseEventLoop)
    other.is_closed.return_value = False
    connection.loop = other  # type: ignore[attr-defined]

    current = draining.begin("signal", 0)

    connection.loop = here  # type: ignore[attr-defined]
    assert current._loop is here
    await visit.leave()
    await asyncio.wrap_future(current.ended)
