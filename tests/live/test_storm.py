"""After a thousand abrupt ends nothing is left behind."""

import asyncio
import os

import pytest

from live.stage import SERVERS, do, echoes, serve, until
from tour.brokers import Broker, available
from tour.servers import WITH_BROKERS

pytestmark = pytest.mark.live

HUB = "resilient_channels.layers.ResilientChannelLayer"
# Everything within one process.
ALONE = {"in-memory": None, "hub": {"BACKEND": HUB}}
ROUNDS, CROWD = 10, 100


async def storm(stage):
    """Connect a crowd, leave in the middle of a broadcast, again and again."""
    for _ in range(ROUNDS):
        clients = await asyncio.gather(*(stage.connect() for _ in range(CROWD)))
        for client in clients[::10]:
            await do(client, "tick")
        await do(clients[0], "say", text="to everybody")
        await asyncio.gather(*(client.rst() for client in clients))
        await asyncio.gather(*(client.aclose() for client in clients))


async def check_nothing_is_left(stage, before):
    def is_back(state):
        return (
            not state["connections"]
            and not state["members"]
            and len(state["tasks"]) <= len(before["tasks"])
            and state["descriptors"] <= before["descriptors"] + 2
        )

    after = await stage.looks(is_back, deadline=20)

    assert after["connections"] == 0
    assert after["members"] == 0
    assert len(after["tasks"]) <= len(before["tasks"]), after["tasks"]
    assert after["descriptors"] <= before["descriptors"] + 2
    assert len(stage.entries(event="connect")) == ROUNDS * CROWD + 1
    assert len(stage.entries(event="disconnect")) == ROUNDS * CROWD + 1
    # A client that leaves while it is being written to is nobody's error.
    events = stage.events()
    assert (events["handler.error"], events["task.error"]) == (0, 0)
    assert "Traceback" not in stage.log()


@pytest.mark.parametrize("layer", ALONE.values(), ids=ALONE)
@pytest.mark.parametrize("name", SERVERS)
async def test_a_thousand_resets_leave_no_task_member_or_descriptor(name, layer, tmp_path):
    async with serve(name, tmp_path, layer=layer) as stage:
        first = await stage.connect()
        assert await echoes(first)
        await first.rst()
        await stage.entry(first.key, "disconnect")
        before = await stage.looks(lambda state: not state["connections"])

        await storm(stage)

        await check_nothing_is_left(stage, before)
        await first.aclose()


@pytest.mark.redis
@pytest.mark.skipif(
    not available() and "CI" not in os.environ, reason="redis-server is not installed"
)
@pytest.mark.parametrize("way", ["bare", "hub"])
@pytest.mark.parametrize("name", WITH_BROKERS)
async def test_a_thousand_resets_leave_no_member_in_redis(name, way, tmp_path):
    async with Broker() as broker:
        # No limit on the time a read may take: see the system check W001.
        host = {**broker.host, "socket_timeout": None}
        layer = {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [host]},
        }
        if way == "hub":
            layer = {"BACKEND": HUB, "CONFIG": layer}
        async with serve(name, tmp_path, layer=layer) as stage:
            first = await stage.connect()
            assert await echoes(first)

            await storm(stage)
            await first.rst()

            assert await until(
                lambda: len(stage.entries(event="disconnect")) == ROUNDS * CROWD + 1, 20
            )
            state = await stage.looks(
                lambda state: not any("resilient" in task for task in state["tasks"]), deadline=20
            )
            assert [task for task in state["tasks"] if "resilient" in task] == []
            assert state["connections"] == 0
            assert await broker.group_size("everybody") == 0
            await first.aclose()
