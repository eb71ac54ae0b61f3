"""Two hundred clients fall silent at the same moment, and the others notice nothing."""

import asyncio
import time

import pytest

from live.silence import BOUND, HEARTBEAT, vanish
from live.stage import echoes, serve
from tour.servers import NAMES

pytestmark = pytest.mark.live

FROZEN = 200
# Never so long as a stall that would count: see the wheel's own limits.
PATIENCE = 2.0


async def speak(stage, count):
    gate = asyncio.Semaphore(20)

    async def one():
        async with gate:
            return await stage.speaker()

    return await asyncio.gather(*(one() for _ in range(count)))


@pytest.mark.parametrize("name", NAMES)
async def test_all_of_many_frozen_clients_are_found_in_time_and_nobody_else(name, tmp_path):
    async with serve(name, tmp_path, options={"HEARTBEAT": HEARTBEAT}) as stage:
        frozen = await speak(stage, FROZEN)
        others = await speak(stage, 5)

        since = max(await asyncio.gather(*map(vanish, frozen)))
        slowest = 0.0
        while time.monotonic() < since + BOUND + 1:
            asked = time.monotonic()
            assert all(await asyncio.gather(*map(echoes, others)))
            slowest = max(slowest, time.monotonic() - asked)
            await asyncio.sleep(0.05)

        keys = {client.key for client in frozen}
        closings = [entry for entry in stage.entries(event="closing") if entry["id"] in keys]
        assert {entry["id"] for entry in closings} == keys
        assert {entry["code"] for entry in closings} == {3408}
        assert max(entry["at"] for entry in closings) - since <= BOUND
        assert slowest < PATIENCE
        state = await stage.looks(lambda state: state["connections"] == len(others), 12)
        assert (state["connections"], state["members"]) == (5, 5)
        ended = [entry["id"] for entry in stage.entries(event="disconnect")]
        assert sorted(ended) == sorted(keys)
        assert "Traceback" not in stage.log()
        for client in (*frozen, *others):
            await client.aclose()
