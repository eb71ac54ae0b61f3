"""Real connections to a real database, and real threads that are busy, beside plain Channels."""

import asyncio
import json
import os
import time
from contextlib import asynccontextmanager
from itertools import count

import pytest

from live.postgres import Cluster, available
from live.stage import TESTS, Stage
from tour.servers import Server

pytestmark = pytest.mark.live

BOTH = ["plain", "resilient"]
both = pytest.mark.parametrize("kind", BOTH)
needs_postgres = pytest.mark.skipif(
    not available() and "CI" not in os.environ, reason="PostgreSQL is not installed"
)
numbers = count(1)


@pytest.fixture(scope="module")
def only_cluster():
    cluster = Cluster()
    asyncio.run(cluster.__aenter__())
    yield cluster
    asyncio.run(cluster.__aexit__())


@pytest.fixture
async def cluster(only_cluster):
    """A PostgreSQL that answers, whatever the test before has done to it."""
    await only_cluster.restart()
    return only_cluster


@asynccontextmanager
async def serve(tmp_path, database, **options):
    server = Server(
        "uvicorn",
        "live.database_application:application",
        environment={
            "DJANGO_SETTINGS_MODULE": "live.database_settings",
            "DATABASE": json.dumps({**database, **options}),
        },
        directory=TESTS,
        log=tmp_path / "server.log",
    )
    async with server:
        yield Stage(server, tmp_path / "journal")


def sqlite(tmp_path):
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db")}


async def ask(client, what, deadline=5.0, **content):
    """Have the consumer do something; its answer, or None if it has none in time."""
    number = next(numbers)
    await client.send_json({"do": what, "n": number, **content})
    try:
        received = await client.recv(deadline)
    except TimeoutError:
        return None
    answer = json.loads(received.data)
    assert answer.pop("n") == number
    return answer


async def connection_of(client, what):
    return (await ask(client, what))["connection"]


# --- how long connections live ---------------------------------------------------------------


@needs_postgres
@both
async def test_without_an_age_a_connection_ends_with_the_next_message(kind, cluster, tmp_path):
    async with serve(tmp_path, cluster.settings, CONN_MAX_AGE=0) as stage:
        client = await stage.connect(f"{kind}/async")

        seen = [await connection_of(client, what) for what in ("query", "look", "query", "query")]

        first, closed, second, third = seen
        assert closed is None
        assert len({first, second, third} - {None}) == 3
        await client.aclose()


@needs_postgres
@both
async def test_a_connection_ends_with_the_first_message_after_its_age(kind, cluster, tmp_path):
    async with serve(tmp_path, cluster.settings, CONN_MAX_AGE=1) as stage:
        client = await stage.connect(f"{kind}/async")
        started = time.monotonic()
        first = await connection_of(client, "query")
        opened = time.monotonic()

        while await connection_of(client, "look") == first:
            assert time.monotonic() < opened + 1.5
            await asyncio.sleep(0.02)

        assert time.monotonic() >= started + 1
        assert await connection_of(client, "look") is None
        assert await connection_of(client, "query") not in (None, first)
        await client.aclose()


@needs_postgres
@both
async def test_a_connection_without_end_is_shared_and_kept(kind, cluster, tmp_path):
    async with serve(tmp_path, cluster.settings, CONN_MAX_AGE=None) as stage:
        clients = [await stage.connect(f"{kind}/async") for _ in range(3)]
        first = await connection_of(clients[0], "query")
        end = time.monotonic() + 2.5

        while time.monotonic() < end:
            for client in clients:
                assert await connection_of(client, "query") == first
                assert await connection_of(client, "look") == first

        for client in clients:
            await client.aclose()


# --- a database that restarts ----------------------------------------------------------------


@needs_postgres
@both
async def test_after_a_restart_one_query_fails_and_the_next_ones_work(kind, cluster, tmp_path):
    async with serve(tmp_path, cluster.settings, CONN_MAX_AGE=None) as stage:
        clients = [await stage.connect(f"{kind}/async") for _ in range(2)]
        first = await connection_of(clients[0], "careful query")
        await connection_of(clients[1], "careful query")
        await cluster.restart()

        answers = [await ask(client, "careful query") for client in clients * 2]

        assert answers[0] == {"error": "OperationalError"}
        (second,) = {answer["connection"] for answer in answers[1:]}
        assert second not in (None, first)
        for client in clients:
            await client.aclose()


@needs_postgres
async def test_also_where_the_handler_fails_with_it(cluster, tmp_path):
    """Plain Channels loses the client over it."""
    async with serve(tmp_path, cluster.settings, CONN_MAX_AGE=None) as stage:
        client = await stage.connect("resilient/async")
        other = await stage.connect("resilient/async")
        first = await connection_of(client, "query")
        await cluster.restart()

        assert await ask(client, "query", deadline=1) is None
        second = await connection_of(client, "query")

        assert second not in (None, first)
        assert await connection_of(other, "query") == second
        assert stage.events()["handler.error"] == 1
        for each in (client, other):
            await each.aclose()


@needs_postgres
@both
async def test_where_health_is_checked_nobody_notices_a_restart(kind, cluster, tmp_path):
    options = {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
    async with serve(tmp_path, cluster.settings, **options) as stage:
        client = await stage.connect(f"{kind}/async")
        for _ in range(5):
            first = await connection_of(client, "query")
        await cluster.restart()

        second = await connection_of(client, "query")

        assert second not in (None, first)
        assert "Traceback" not in stage.log()
        await client.aclose()


@needs_postgres
@both
async def test_while_the_database_is_down_a_consumer_can_be_talked_to(kind, cluster, tmp_path):
    async with serve(tmp_path, cluster.settings, CONN_MAX_AGE=None) as stage:
        client = await stage.connect(f"{kind}/async")
        first = await connection_of(client, "query")
        await cluster.stop()

        for _ in range(3):
            assert "error" in await ask(client, "careful query")
            assert await ask(client, "echo") == {"connection": None}
        await cluster.start()

        assert await connection_of(client, "query") not in (None, first)
        await client.aclose()


# --- Django's own requests in the same process -----------------------------------------------


@needs_postgres
@pytest.mark.parametrize("age", [0, None])
async def test_views_and_consumers_do_not_disturb_each_other(age, cluster, tmp_path):
    async with serve(tmp_path, cluster.settings, CONN_MAX_AGE=age) as stage:
        client = await stage.connect("resilient/async")
        first = await connection_of(client, "query")

        for _ in range(20):
            view = await stage.look("/view/")
            assert view["rows"] == 0
            assert view["connection"] not in (None, first)  # a thread of its own
            assert await connection_of(client, "look") == (None if age == 0 else first)

        await client.aclose()


# --- a thread that is busy -------------------------------------------------------------------


async def worst_echo(stage, kind, seconds):
    """The longest that an async echo takes while sync handlers sleep in a row."""
    echo = await stage.connect(f"{kind}/async")
    sleepers = [await stage.connect(f"{kind}/sync") for _ in range(3)]
    assert await ask(echo, "query") is not None  # from now on a connection is open
    assert await ask(echo, "echo") is not None
    for sleeper in sleepers:
        await sleeper.send_json({"sleep": seconds / 3, "n": 0})
    awake = asyncio.gather(*(sleeper.recv(seconds + 10) for sleeper in sleepers))
    took = []
    while not awake.done():
        started = time.perf_counter()
        assert await ask(echo, "echo", deadline=seconds + 10) is not None
        took.append(time.perf_counter() - started)
        await asyncio.sleep(0.01)
    for client in (echo, *sleepers):
        await client.aclose()
    return max(took), len(took)


@pytest.mark.parametrize("age", [0, None])
async def test_synchronous_handlers_that_sleep_do_not_delay_an_echo(age, tmp_path):
    async with serve(tmp_path, sqlite(tmp_path), CONN_MAX_AGE=age) as stage:
        worst, echoes = await worst_echo(stage, "resilient", 6)

    assert worst < 0.5
    assert echoes > 60


async def test_in_plain_channels_they_do(tmp_path):
    """Else the test above would prove nothing."""
    async with serve(tmp_path, sqlite(tmp_path), CONN_MAX_AGE=0) as stage:
        worst, _ = await worst_echo(stage, "plain", 3)

    assert worst > 0.9
