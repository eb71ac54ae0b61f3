"""Whatever sends from synchronous code reaches the sockets, and leaves no connection behind."""

import asyncio
import os
import time
from contextlib import asynccontextmanager

import pytest

from live.fleet.consumers import say
from live.fleet.peers import meet_in
from live.fleet.processes import PUBSUB, hub, plain, run, serving
from live.stage import until
from tour.brokers import Broker, available
from tour.servers import WITH_BROKERS

pytestmark = [
    pytest.mark.live,
    pytest.mark.redis,
    pytest.mark.skipif(
        not available() and "CI" not in os.environ, reason="redis-server is not installed"
    ),
]

GROUP = "everybody"
TIMES = 100
on_each_server = pytest.mark.parametrize("name", WITH_BROKERS)


def hub_on_pubsub(broker):
    return hub(broker, PUBSUB)


LAYERS = {
    "hub": (hub, "resilient/async"),
    "hub on pubsub": (hub_on_pubsub, "resilient/async"),
    "plain": (plain, "plain/async"),
}


def on(*cells):
    """Run a test with a server or a way, a layer, and the colour of a consumer for it."""
    return pytest.mark.parametrize(
        ("name", "layer", "colour"),
        [(name, *LAYERS[layer]) for name, layer in cells],
        ids=[f"{name}-{layer}" for name, layer in cells],
    )


CELLS = [("daphne", "hub"), ("uvicorn", "hub"), ("uvicorn", "hub on pubsub"), ("daphne", "plain")]


@pytest.fixture
async def broker():
    async with Broker() as broker:
        yield broker


@asynccontextmanager
async def a_listener(name, directory, layer, colour, **options):
    """A server, and one who is in the group there."""
    async with serving(name, directory, layer, **options) as stage:
        peer = await meet_in(stage, colour, GROUP)
        try:
            yield stage, peer
        finally:
            await peer.aclose()


async def connections_so_far(broker):
    return (await broker.info("stats"))["total_connections_received"]


@on(*CELLS)
async def test_a_hundred_notifications_take_no_connection_each(
    name, layer, colour, broker, tmp_path
):
    async with a_listener(name, tmp_path, layer(broker), colour) as (stage, peer):
        await stage.look("/tell/", group=GROUP, text="first")
        before = await connections_so_far(broker)

        for who, way in (("thread", {"thread": 1}), ("view", {})):
            told = await stage.look("/tell/", group=GROUP, text=who, times=TIMES, **way)
            assert told["outcomes"] == ["sent"] * TIMES
            # No more of them wait than the layer has room for.
            await until(lambda who=who: peer.heard[f"{who}{TIMES - 1}"])
            assert [n for n in range(TIMES) if peer.heard[f"{who}{n}"] != 1] == []

        # Ours, and perhaps one for a probe that was under way.
        assert await connections_so_far(broker) - before <= 1 + 2


@on(*CELLS)
async def test_an_async_view_hands_over_and_does_not_wait(name, layer, colour, broker, tmp_path):
    async with a_listener(name, tmp_path, layer(broker), colour) as (stage, peer):
        told = await stage.look("/tell-from-a-loop/", group=GROUP, text="handed over")

        assert told["outcomes"] == ["queued"]
        assert await peer.hears("handed over")


@on_each_server
async def test_handlers_notify_sync_ones_wait_and_async_ones_hand_over(name, broker, tmp_path):
    async with a_listener(name, tmp_path, hub(broker), "resilient/async") as (stage, peer):
        other = await meet_in(stage, "resilient/sync", GROUP)

        assert await other.ask("notify", GROUP, say("of a sync one")) == "sent"
        assert await peer.ask("notify", GROUP, say("of an async one")) == "queued"

        for each in (peer, other):
            assert await each.hears("of a sync one")
            assert await each.hears("of an async one")
        await other.aclose()


@on_each_server
async def test_a_view_in_an_outage_is_told_so_and_local_sockets_hear_at_once(
    name, broker, tmp_path
):
    options = {"LAYER": {"deadline": 2.0}}
    async with a_listener(name, tmp_path, hub(broker), "resilient/async", options=options) as (
        stage,
        peer,
    ):
        assert (await stage.look("/tell/", group=GROUP, text="a"))["outcomes"] == ["sent"]
        await broker.kill()
        assert await until(lambda: stage.events()["layer.down"], 8)

        asked = time.monotonic()
        view = asyncio.create_task(stage.look("/tell/", group=GROUP, text="b"))
        assert await peer.hears("b0", deadline=1.5)
        outcome = (await view)["outcomes"]
        took = time.monotonic() - asked
        await broker.restart()
        assert await until(lambda: stage.events()["layer.up"], 8)

        assert outcome == ["timed out"]
        assert took < 2 + 4
        assert (await stage.look("/tell/", group=GROUP, text="c"))["outcomes"] == ["sent"]
        assert await peer.hears("c0")
        assert "Traceback" not in stage.log()


@on(("used", "hub"), ("unused", "hub"), ("used", "hub on pubsub"), ("used", "plain"))
async def test_children_notify_whether_or_not_their_parent_had_before_it_forked(
    name, layer, colour, broker, tmp_path
):
    async with a_listener("uvicorn", tmp_path, layer(broker), colour) as (_, peer):
        was_used = name == "used"
        failures = await run(
            layer(broker), "forked", GROUP, "from", *(["--used"] if was_used else [])
        )

        assert failures == "0\n"
        expected = {"from parent after", "from parent again"}
        expected |= {f"from child {n}" for n in range(3)}
        expected |= {f"from child {n} thread {m}" for n in range(3) for m in range(4)}
        expected |= {"from parent before"} if was_used else set()
        await until(lambda: len(peer.heard) >= len(expected))
        assert dict(peer.heard) == dict.fromkeys(expected, 1)
