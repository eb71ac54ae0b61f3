"""SIGTERM, and the command: every client is told, all are spread, every consumer cleans up."""

import asyncio
import os
import re
import signal
import time

import pytest

from live.draining import (
    RESTART,
    about_to_stop,
    come_back,
    ending,
    exited,
    manage,
    most_in_a_second,
    terminate,
)
from live.stage import do, serve, until
from resilient_channels.sigterm import REPEATED
from tour.client import Close, Refused
from tour.servers import accepts

pytestmark = pytest.mark.live

EVERY = ["daphne", "uvicorn", "hypercorn", "granian"]
# Where SIGTERM is met: Hypercorn only without a process above the one that serves.
MEETS_SIGTERM = {
    "daphne": ("daphne", ()),
    "uvicorn": ("uvicorn", ()),
    "uvicorn, 2 workers": ("uvicorn", ("--workers", "2")),
    "hypercorn, no supervisor": ("hypercorn", ("--workers", "0")),
    "granian": ("granian", ()),
    "granian, 2 workers": ("granian", ("--workers", "2")),
}
COUNT, DURATION = 500, 8.0


async def check_the_crowd(stage, crowd, duration):
    """Every one was closed with our code, in a spread, and every consumer has cleaned up.

    Returns the largest number of closes in a second.
    """
    found = await crowd.look()
    closed = [entry["at"] for entry in stage.entries(event="closing")]

    assert found["endings"] == {f"code {RESTART}": COUNT}
    assert {entry["kind"] for entry in stage.entries(event="ended")} == {"drain"}
    assert len(stage.entries(event="disconnect")) == len(stage.entries(event="connect"))
    most = most_in_a_second(closed)
    assert most <= 2 * COUNT / duration
    # On a machine that is busy with something else it rather takes longer than it rushes.
    assert max(closed) - min(closed) <= duration + 3
    assert "Traceback" not in stage.log()
    return most


@pytest.mark.parametrize("server", MEETS_SIGTERM)
async def test_on_sigterm_500_clients_leave_one_after_the_other(server, tmp_path):
    name, options = MEETS_SIGTERM[server]
    async with (
        about_to_stop(name, tmp_path, server_options=options, duration=DURATION) as stage,
        stage.crowd(COUNT) as crowd,
    ):
        busy = await stage.connect()
        await do(busy, "work", seconds=3600)
        await stage.entry(busy.key, "working")

        began = terminate(stage)
        ended = await exited(stage, DURATION + 15)

        assert ended - began <= DURATION + 5
        most = await check_the_crowd(stage, crowd, DURATION)
        assert (await ending(busy)).code == RESTART
        # With `-s` or `-rP`, the figures of the documentation.
        print(f"{server}: at most {most} closes in a second, exit after {ended - began:.1f} s")
        assert not stage.sockets.exists() or list(stage.sockets.glob("*.sock")) == []


@pytest.mark.parametrize("name", EVERY)
async def test_the_command_empties_a_server_before_it_is_stopped(name, tmp_path):
    async with (
        about_to_stop(name, tmp_path, duration=DURATION) as stage,
        stage.crowd(COUNT) as crowd,
    ):
        status, said = await manage(stage)

        assert status == 0, said
        assert said.splitlines()[-1] == "0 connections in 1 processes"
        ended = re.search(r"drain\.ended closed=(\d+) left=(\d+) seconds=([\d.]+)", stage.log())
        assert ended is not None
        assert (int(ended[1]), int(ended[2])) == (COUNT, 0)
        # The command itself has to start first, which takes its time on a busy machine.
        assert float(ended[3]) <= DURATION + 5
        assert await accepts(stage.server.port)
        terminate(stage)
        await exited(stage, 10)
        await check_the_crowd(stage, crowd, DURATION)


async def test_where_sigterm_is_not_met_consumers_are_cleaned_up_all_the_same(tmp_path):
    """Hypercorn's supervisor keeps the signal; its worker cancels all after three seconds."""
    async with about_to_stop("hypercorn", tmp_path, spread=30.0) as stage:
        clients = [await stage.speaker() for _ in range(40)]

        began = terminate(stage)
        ended = await exited(stage, 15)

        assert ended - began < 10
        assert {(await ending(client)).code for client in clients} == {RESTART}
        assert len(stage.entries(event="disconnect")) == 40
        assert {entry["kind"] for entry in stage.entries(event="ended")} == {"cancelled"}
        # All at once, but not all back at once.
        waits = [client.heart.heard("bye")[0]["after_ms"] / 1000 for client in clients]
        assert max(waits) - min(waits) > 15
        assert most_in_a_second(waits) <= 10
        for client in clients:
            await client.aclose()


WORKERS = {
    "uvicorn": ("--workers", "2"),
    "hypercorn": ("--workers", "2"),
    "granian": ("--workers", "2"),
}


@pytest.mark.parametrize("name", WORKERS)
async def test_the_command_reaches_every_worker(name, tmp_path):
    async with about_to_stop(name, tmp_path, server_options=WORKERS[name], duration=2.0) as stage:
        clients = []

        async def both_are_found():
            clients.extend([await stage.speaker() for _ in range(8)])
            return len(list(stage.sockets.glob("*.sock"))) == 2

        async with asyncio.timeout(60):
            while not await both_are_found():
                pass

        status, said = await manage(stage)

        assert status == 0, said
        assert said.splitlines()[-1] == "0 connections in 2 processes"
        assert {(await ending(client)).code for client in clients} == {RESTART}
        assert len(stage.entries(event="disconnect")) == len(clients)
        for client in clients:
            await client.aclose()


@pytest.mark.parametrize("name", WORKERS)
async def test_a_worker_that_had_no_client_yet_takes_none_after_the_command(name, tmp_path):
    async with about_to_stop(name, tmp_path, server_options=WORKERS[name], duration=1.0) as stage:
        first = await stage.speaker()

        status, _ = await manage(stage)

        assert status == 0
        assert (await ending(first)).code == RESTART
        # More than enough to meet both workers.
        for _ in range(20):
            with pytest.raises(Refused):
                await stage.connect()
        assert len(stage.entries(event="connect")) == 1


async def test_1000_clients_come_back_one_after_the_other(tmp_path):
    count, duration, spread = 1000, 4.0, 12.0
    (tmp_path / "next").mkdir()
    async with (
        about_to_stop("uvicorn", tmp_path, duration=duration, spread=spread) as stage,
        serve("uvicorn", tmp_path / "next") as after,
    ):
        gate = asyncio.Semaphore(40)

        async def join(where):
            async with gate:
                return await where.speaker(deadline=30)

        clients = await asyncio.gather(*(join(stage) for _ in range(count)))

        terminate(stage)
        returned = await asyncio.gather(
            *(come_back(client, lambda: after.speaker(deadline=30)) for client in clients)
        )

        assert len(after.entries(event="connect")) == count
        moments = [moment for moment, _ in returned]
        most = most_in_a_second(moments)
        print(f"at most {most} came back in a second, within {max(moments) - min(moments):.1f} s")
        assert most <= 2 * count / spread
        assert max(moments) - min(moments) > 0.75 * spread
        await asyncio.gather(*(client.aclose() for client in clients))
        await asyncio.gather(*(client.aclose() for _, client in returned))


async def test_new_clients_are_told_to_try_later(tmp_path):
    async with about_to_stop("uvicorn", tmp_path, duration=4.0, spread=6.0) as stage:
        clients = [await stage.speaker() for _ in range(8)]
        terminate(stage)
        await ending(clients[0])

        newcomer = await stage.speaker()
        assert (await ending(newcomer)).code == RESTART
        (bye,) = newcomer.heart.heard("bye")
        assert 2_000 < bye["after_ms"] <= 10_000
        with pytest.raises(Refused) as refused:
            await stage.connect()
        assert refused.value.status == 503
        assert await until(lambda: stage.events()["connection.refused"] == 2)

        await exited(stage, 9)
        assert len(stage.entries(event="connect")) == 8
        for client in (*clients, newcomer):
            await client.aclose()


@pytest.mark.parametrize("server", MEETS_SIGTERM)
async def test_without_any_settings_all_is_over_before_docker_kills_what_is_left(server, tmp_path):
    """Symptom: ``docker stop`` sends SIGKILL after ten seconds; of 60 consumers 35 were not
    cleaned up, and all of them had been before there was a drain."""
    name, options = MEETS_SIGTERM[server]
    async with about_to_stop(name, tmp_path, server_options=options) as stage:
        clients = [await stage.speaker() for _ in range(60)]
        terminate(stage)

        await exited(stage, 10)

        assert {(await ending(client)).code for client in clients} == {RESTART}
        assert len(stage.entries(event="disconnect")) == 60
        for client in clients:
            await client.aclose()


@pytest.mark.parametrize("server", MEETS_SIGTERM)
async def test_a_second_sigterm_ends_the_wait(server, tmp_path):
    name, options = MEETS_SIGTERM[server]
    async with about_to_stop(name, tmp_path, server_options=options, duration=60.0) as stage:
        clients = [await stage.speaker() for _ in range(40)]
        terminate(stage)
        keepers = find_keepers(stage)
        assert await until(lambda: stage.events()["drain.began"] == len(keepers))
        # One that comes sooner may be the first again, by way of the parent.
        await asyncio.sleep(REPEATED + 0.1)
        began = time.monotonic()
        # Not every parent passes on a second one.
        for pid in keepers:
            os.kill(pid, signal.SIGTERM)

        ended = await exited(stage, 15)

        assert ended - began < 4
        assert {(await ending(client)).code for client in clients} == {RESTART}
        assert len(stage.entries(event="disconnect")) == 40
        assert "drain.skipped" in stage.log()
        for client in clients:
            await client.aclose()


def find_keepers(stage):
    """The processes that serve: those that have a socket."""
    return {int(path.name.partition("-")[0]) for path in stage.sockets.glob("*.sock")}


FREEZES = {
    "daphne": (),
    # Without it, Uvicorn waits for the client for as long as that has its connection open.
    "uvicorn": ("--timeout-graceful-shutdown", "2"),
    "granian": (),
}


@pytest.mark.parametrize("name", FREEZES)
async def test_a_frozen_reader_holds_nobody_up(name, tmp_path):
    async with about_to_stop(
        name, tmp_path, server_options=FREEZES[name], duration=DURATION
    ) as stage:
        frozen = await stage.connect(receive_buffer=4096)
        await frozen.stop_reading()
        await do(frozen, "stream")
        await stage.entry(frozen.key, "streaming")
        clients = [await stage.speaker() for _ in range(20)]

        began = terminate(stage)
        ended = await exited(stage, DURATION + 10)

        assert ended - began <= DURATION + 5
        for client in clients:
            last = await ending(client)
            assert isinstance(last, Close)
            assert last.code == RESTART
            await client.aclose()
        assert len(stage.entries(event="disconnect")) == 21
        await frozen.aclose()


async def test_under_reload_nothing_is_done(tmp_path):
    async with about_to_stop(
        "uvicorn", tmp_path, server_options=("--reload",), duration=30.0
    ) as stage:
        client = await stage.speaker()

        began = terminate(stage)
        ended = await exited(stage, 10)

        assert ended - began < 5
        assert (await ending(client)).code == 1012
        assert not stage.sockets.exists()
        assert "drain.began" not in stage.log()
        await client.aclose()
