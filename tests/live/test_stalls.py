"""Live peers outlive whatever keeps our own process from listening; frozen ones do not.

By default the stalls are short, the crowds small and the heartbeat quick. ``STALLS=full`` lets them
last as long as the promise says: a thousand peers, 30 s without the loop, 60 s without the process.
"""

import asyncio
import os
import resource
import signal
import time

import pytest

from live.stage import SERVERS, do, serve

pytestmark = pytest.mark.live

FULL = os.environ.get("STALLS") == "full"
PEERS, BLOCK, STOP = (1000, 30.0, 60.0) if FULL else (300, 5.0, 6.0)
# Sync consumers, and peers whose answers take most of the time that they may take.
FEWER = PEERS // 5
INTERVAL, TIMEOUT = (2.0, 2.0) if FULL else (1.0, 1.0)
BOUND = INTERVAL + TIMEOUT + 1.0
OPTIONS = {"HEARTBEAT": {"interval": INTERVAL, "timeout": TIMEOUT}}


@pytest.fixture
def enough_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * PEERS)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(params=SERVERS)
async def stage(request, tmp_path, enough_descriptors):
    async with serve(request.param, tmp_path, options=OPTIONS) as stage:
        yield stage


async def block_the_loop(stage):
    blocker = await stage.connect()
    await do(blocker, "block", seconds=BLOCK)
    await asyncio.sleep(BLOCK)
    over = await stage.entry(blocker.key, "blocked")
    assert over["at"] - stage.entries(blocker.key, "blocking")[0]["at"] >= BLOCK
    await blocker.aclose()


async def block_the_loop_again_and_again(stage):
    """Longer than the timeout each, with a moment between them in which much falls due at once."""
    seconds = 1.3 * TIMEOUT
    times = round(1.3 * BLOCK / seconds)
    blocker = await stage.connect()
    await do(blocker, "block", seconds=seconds, times=times)
    await stage.entry(blocker.key, "blocked", deadline=4 * BLOCK)
    await blocker.aclose()


async def stop_the_process(stage):
    stage.server.signal_all(signal.SIGSTOP)
    try:
        await asyncio.sleep(STOP)
    finally:
        stage.server.signal_all(signal.SIGCONT)


STALLS = [block_the_loop, block_the_loop_again_and_again, stop_the_process]


@pytest.mark.parametrize("stall", STALLS)
async def test_who_is_there_outlives_a_stall_and_who_is_not_does_not(stage, stall):
    frozen = await stage.speaker()
    async with (
        stage.crowd(PEERS) as crowd,
        stage.crowd(FEWER, delay=0.7 * TIMEOUT) as far_crowd,
        stage.crowd(FEWER, "sync") as sync_crowd,
    ):
        before = await crowd.echo()
        assert (before["open"], before["alive"]) == (PEERS, PEERS)

        stalling = asyncio.create_task(stall(stage))
        await frozen.stop_reading()
        await stalling
        over = time.monotonic()

        closing = await stage.entry(frozen.key, "closing", deadline=BOUND + 1)
        assert closing["code"] == 3408
        assert closing["at"] - over <= BOUND
        # Whoever else is given up for the stall's sake is so by then.
        await asyncio.sleep(max(0, over + BOUND + 1 - time.monotonic()))

        after = await crowd.echo()
        assert (after["alive"], after["endings"]) == (PEERS, {})
        # Heartbeats went on, to everybody.
        assert after["pings"] - before["pings"] >= PEERS
        for others in (far_crowd, sync_crowd):
            after = await others.echo()
            assert (after["alive"], after["endings"]) == (FEWER, {})
    events = stage.events()
    assert events["heartbeat.timeout"] == 1
    assert events["loop.stalled"] >= 1
    assert "Traceback" not in stage.log()
    await frozen.aclose()
