"""A process may put another one's consumer into a group, or take it out; and change its layer."""

import asyncio
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from live.fleet.peers import comes_to_hear, hears_of, meet
from live.fleet.processes import hub, plain, serving
from live.stage import until
from tour.brokers import Broker, available

pytestmark = [
    pytest.mark.live,
    pytest.mark.redis,
    pytest.mark.skipif(
        not available() and "CI" not in os.environ, reason="redis-server is not installed"
    ),
]

GROUP = "everybody"


@pytest.fixture
async def broker():
    async with Broker() as broker:
        yield broker


@asynccontextmanager
async def two(home, here, there):
    """Two servers with these layers."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        yield await asyncio.gather(
            enter(serving("uvicorn", home / "here", here)),
            enter(serving("daphne", home / "there", there)),
        )


@asynccontextmanager
async def met(*people):
    """Peers, each given with its stage and colour."""
    async with AsyncExitStack() as stack:
        peers = [await meet(stage, colour) for stage, colour in people]
        for peer in peers:
            stack.push_async_callback(peer.aclose)
        yield peers


async def check_moves(mover, moved):
    """*mover* puts another process's consumers into a group and takes them out again."""
    for peer in moved:
        group = f"of-{peer.name[-12:]}"
        await peer.ask("group_add", "own", peer.name)
        assert not await hears_of(peer, mover, group)

        await mover.ask("group_add", group, peer.name)
        assert await comes_to_hear(peer, mover, group, True)
        assert await comes_to_hear(peer, peer, group, True)
        await mover.ask("group_discard", group, peer.name)
        assert await comes_to_hear(peer, mover, group, False)

        # The one it has joined itself.
        assert await comes_to_hear(peer, mover, "own", True)
        await mover.ask("group_discard", "own", peer.name)
        assert await comes_to_hear(peer, mover, "own", False)
        await peer.ask("group_add", "own", peer.name)
        assert await comes_to_hear(peer, mover, "own", True)
        await peer.ask("group_discard", "own", peer.name)


async def test_a_hub_moves_the_consumers_of_another_before_and_after_a_restart(broker, tmp_path):
    async with (
        two(tmp_path, hub(broker), hub(broker)) as (here, there),
        met(
            (here, "resilient/async"),
            (there, "resilient/async"),
            (there, "resilient/sync"),
            (there, "plain/async"),
        ) as (mover, *moved),
    ):
        await check_moves(mover, moved)
        for peer in moved:
            await mover.ask("group_add", GROUP, peer.name)

        await broker.kill()
        for stage in (here, there):
            assert await until(lambda stage=stage: stage.events()["layer.down"], 8)
        await broker.restart()
        for stage in (here, there):
            assert await until(lambda stage=stage: stage.events()["layer.up"], 8)

        # What they were put into by somebody else is theirs, and restored like all the rest.
        for peer in moved:
            assert await comes_to_hear(peer, mover, GROUP, True)
        await check_moves(mover, moved)
        assert [peer.ending for peer in (mover, *moved)] == [None] * 4


async def test_a_hub_moves_the_consumers_of_a_plain_process(broker, tmp_path):
    async with (
        two(tmp_path, hub(broker), plain(broker)) as (here, there),
        met((here, "resilient/async"), (there, "plain/async"), (there, "plain/sync")) as (
            mover,
            *moved,
        ),
    ):
        await check_moves(mover, moved)


async def test_a_plain_process_moves_the_consumers_of_a_hub(broker, tmp_path):
    """All but one thing: it knows nothing of what a consumer there has joined by itself."""
    async with (
        two(tmp_path, hub(broker), plain(broker)) as (here, there),
        met((there, "plain/async"), (here, "resilient/async"), (here, "resilient/sync")) as (
            mover,
            *moved,
        ),
    ):
        for peer in moved:
            group = f"of-{peer.name[-12:]}"

            await mover.ask("group_add", group, peer.name)
            assert await hears_of(peer, mover, group)
            await mover.ask("group_discard", group, peer.name)
            assert not await hears_of(peer, mover, group)

            await peer.ask("group_add", group, peer.name)
            await mover.ask("group_add", group, peer.name)
            assert await hears_of(peer, mover, group)


@pytest.mark.parametrize("side", [hub, plain])
async def test_a_consumer_leaves_by_itself_what_another_process_has_put_it_into(
    side, broker, tmp_path
):
    async with (
        two(tmp_path, side(broker), hub(broker)) as (here, there),
        met(
            (here, "plain/async"),
            (there, "resilient/async"),
            (there, "resilient/sync"),
            (there, "plain/async"),
        ) as (mover, *moved),
    ):
        if side is hub:
            # A process listens to other hubs from a moment after its first consumer on.
            assert await come_to_be_in(broker, "rc.control", lambda channels: len(channels) == 2)
        for peer in moved:
            group = f"of-{peer.name[-12:]}"
            await mover.ask("group_add", group, peer.name)
            assert await comes_to_hear(peer, mover, group, True)
            if side is hub:
                assert await come_to_be_in(broker, group, is_taken_over)

            await peer.ask("group_discard", group, peer.name)

            assert await comes_to_hear(peer, mover, group, False)


def is_taken_over(channels):
    """Whether a hub is in the group, and its consumer no longer by itself."""
    return [b"!g." in channel for channel in channels] == [True]


async def come_to_be_in(broker, group, wanted, deadline=5.0):
    """Whether the channels in *group*, as Redis has them, are *wanted*, or in time will be."""
    give_up = time.monotonic() + deadline
    while not wanted(await broker.command("ZRANGE", f"asgi:group:{group}", 0, -1)):
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(0.02)
    return True
