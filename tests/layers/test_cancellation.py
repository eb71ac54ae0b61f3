"""Cancellation: who stops waiting loses nothing that comes later, and takes nothing from others."""

import asyncio
import contextlib
import random

import pytest

from layers.conftest import on_hubs
from support.layers_contract import cancelled, in_world


@in_world
async def test_a_cancelled_reader_of_a_specific_channel_loses_nothing_that_comes_later(world):
    layer = world.layer()
    channel = await layer.new_channel()
    for n in range(3):
        reader = asyncio.create_task(layer.receive(channel))
        await asyncio.sleep(0.02)
        await cancelled(reader)

        await layer.send(channel, {"type": f"letter.{n}"})
        assert await world.hears_types(layer, channel, 1) == [f"letter.{n}"]


@in_world
async def test_a_cancelled_reader_of_a_normal_channel_loses_nothing_that_comes_later(world):
    layer = world.layer()
    for n in range(3):
        reader = asyncio.create_task(layer.receive("inbox"))
        await asyncio.sleep(0.02)
        await cancelled(reader)

        await layer.send("inbox", {"type": f"letter.{n}"})
        assert await world.hears_types(layer, "inbox", 1) == [f"letter.{n}"]


@in_world
async def test_a_member_whose_reader_was_cancelled_is_still_a_member(world):
    layer = world.layer()
    channel, other = await layer.new_channel(), await layer.new_channel()
    for member in (channel, other):
        await layer.group_add("room", member)
    reader = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(0.02)
    await cancelled(reader)

    await layer.group_send("room", {"type": "letter"})
    assert await world.hears_types(layer, other, 1) == ["letter"]  # so it has come

    assert await world.hears_types(layer, channel, 1) == ["letter"]


@in_world
async def test_a_reader_cancelled_before_it_ran_takes_no_message(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.send(channel, {"type": "letter"})

    reader = asyncio.create_task(layer.receive(channel))
    await cancelled(reader)

    assert await world.hears_types(layer, channel, 1) == ["letter"]


@in_world
async def test_of_two_readers_the_one_that_stays_gets_the_message(world):
    layer = world.layer()
    channel = await layer.new_channel()
    leaver = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(0.02)
    stayer = asyncio.create_task(world.hears(layer, channel))
    await asyncio.sleep(0.02)
    await cancelled(leaver)

    await layer.send(channel, {"type": "letter"})

    assert (await stayer)["type"] == "letter"


@in_world
async def test_readers_of_other_channels_do_not_notice_a_cancellation(world):
    layer = world.layer()
    mine, yours = await layer.new_channel(), await layer.new_channel()
    leaver = asyncio.create_task(layer.receive(mine))
    await asyncio.sleep(0.02)
    stayer = asyncio.create_task(world.hears_types(layer, yours, 3))
    await asyncio.sleep(0.02)

    await layer.send(yours, {"type": "letter.0"})
    await cancelled(leaver)
    await layer.send(yours, {"type": "letter.1"})
    await layer.send(yours, {"type": "letter.2"})

    assert await stayer == ["letter.0", "letter.1", "letter.2"]


@on_hubs
@pytest.mark.parametrize("seed", range(3))
@in_world
async def test_a_reader_that_gives_up_again_and_again_gets_everything_in_order(world, seed):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    chance = random.Random(seed)
    heard = []

    async def send_all():
        for n in range(60):
            await layer.group_send("room", {"type": f"letter.{n}"})
            await asyncio.sleep(chance.choice((0, 0.001)))

    sender = asyncio.create_task(send_all())
    async with asyncio.timeout(world.patience):
        while len(heard) < 60:
            # Cancelled from outside: wait_for may swallow what it was given in the last moment.
            reader = asyncio.create_task(layer.receive(channel))
            await asyncio.sleep(chance.choice((0, 0, 0.001)))
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                heard.append((await reader)["type"])
    await sender

    assert heard == [f"letter.{n}" for n in range(60)]


@in_world
async def test_calls_cancelled_at_any_moment_leave_a_layer_that_works(world):
    layer = world.layer()
    channel = await layer.new_channel()
    calls = (
        lambda: layer.group_send("hall", {"type": "cancelled"}),
        lambda: layer.send("nobody", {"type": "cancelled"}),
        lambda: layer.group_add("hall", channel),
        lambda: layer.group_discard("hall", channel),
        lambda: layer.new_channel(),
    )
    for call in calls:
        for steps in range(8):
            task = asyncio.create_task(call())
            for _ in range(steps):
                await asyncio.sleep(0)
            await cancelled(task)

    await layer.group_add("room", channel)
    await layer.group_send("room", {"type": "letter"})

    while (kind := (await world.hears_types(layer, channel, 1))[0]) == "cancelled":
        pass  # it was sent before it was cancelled
    assert kind == "letter"
