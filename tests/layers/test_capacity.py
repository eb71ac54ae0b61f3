"""Capacity and expiry: a channel holds so many messages, for so long."""

import asyncio
import contextlib

import pytest
from channels.exceptions import ChannelFull

from layers.conftest import on_virtual_time, without_a_relay
from support.layers_contract import in_world


async def send_as_many_as_go(layer, channel, count):
    """Send *count* messages; those that do not fit are refused or dropped."""
    for n in range(count):
        with contextlib.suppress(ChannelFull):
            await layer.send(channel, {"type": f"letter.{n}"})


async def messages_until_full(layer, channel):
    for count in range(10):
        try:
            await layer.send(channel, {"type": "letter"})
        except ChannelFull:
            return count
    return None


@in_world
async def test_sending_to_a_full_normal_channel_raises_channel_full(world):
    layer = world.layer(capacity=3)
    for n in range(3):
        await layer.send("inbox", {"type": f"letter.{n}"})

    with pytest.raises(ChannelFull):
        await layer.send("inbox", {"type": "letter.3"})

    await layer.send("other", {"type": "letter"})  # has room of its own
    assert await world.hears_types(layer, "inbox", 3) == ["letter.0", "letter.1", "letter.2"]


@in_world
async def test_a_full_specific_channel_keeps_what_it_has_and_takes_no_more(world):
    layer = world.layer(capacity=3)
    channel = await layer.new_channel()

    await send_as_many_as_go(layer, channel, 10)
    await asyncio.sleep(world.quiet)  # nothing is on its way any more

    assert await world.hears_types(layer, channel, 3) == ["letter.0", "letter.1", "letter.2"]
    await world.silent(layer, channel)


@in_world
async def test_reading_makes_room_in_a_normal_channel(world):
    layer = world.layer(capacity=2)
    await send_as_many_as_go(layer, "inbox", 2)
    assert await world.hears_types(layer, "inbox", 1) == ["letter.0"]

    await layer.send("inbox", {"type": "fits.again"})

    assert await world.hears_types(layer, "inbox", 2) == ["letter.1", "fits.again"]


@in_world
async def test_reading_makes_room_in_a_specific_channel(world):
    layer = world.layer(capacity=2)
    channel = await layer.new_channel()
    await send_as_many_as_go(layer, channel, 5)
    await asyncio.sleep(world.quiet)
    assert await world.hears_types(layer, channel, 2) == ["letter.0", "letter.1"]

    await layer.send(channel, {"type": "fits.again"})

    assert await world.hears_types(layer, channel, 1) == ["fits.again"]


@in_world
async def test_sending_to_a_group_drops_what_does_not_fit_and_never_raises(world):
    layer = world.layer(capacity=3)
    channel = await layer.new_channel()
    await layer.group_add("room", channel)

    for n in range(10):
        await layer.group_send("room", {"type": f"letter.{n}"})
    await asyncio.sleep(world.quiet)

    assert await world.hears_types(layer, channel, 3) == ["letter.0", "letter.1", "letter.2"]
    await world.silent(layer, channel)


@in_world
async def test_a_member_that_does_not_read_costs_nobody_else_a_message(world):
    layer = world.layer(capacity=3)
    idle, busy = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("room", idle)
    await layer.group_add("room", busy)

    for n in range(12):
        await layer.group_send("room", {"type": f"letter.{n}"})
        assert await world.hears_types(layer, busy, 1) == [f"letter.{n}"]

    assert await world.hears_types(layer, idle, 3) == ["letter.0", "letter.1", "letter.2"]
    await world.silent(layer, idle, busy)


@without_a_relay
@in_world
async def test_the_channels_of_one_process_share_its_capacity(world):
    layer = world.layer(capacity=3)
    channels = [await layer.new_channel() for _ in range(4)]

    for channel in channels:
        await send_as_many_as_go(layer, channel, 1)

    for channel in channels[:3]:
        assert await world.hears_types(layer, channel, 1) == ["letter.0"]
    await world.silent(layer, channels[3])


@in_world
async def test_the_first_pattern_that_matches_says_how_much_a_channel_holds(world):
    layer = world.layer(capacity=3, channel_capacity={"tiny*": 1, "t*": 2})

    full_after = {
        name: await messages_until_full(layer, name)
        for name in ("tiny.inbox", "tall.inbox", "other.tiny")
    }

    assert full_after == {"tiny.inbox": 1, "tall.inbox": 2, "other.tiny": 3}


@in_world
async def test_the_patterns_hold_for_specific_channels_and_groups(world):
    layer = world.layer(capacity=50, channel_capacity={"*tiny*": 1})
    tiny = await layer.new_channel("tiny")
    await layer.group_add("room", tiny)

    for n in range(5):
        await layer.group_send("room", {"type": f"letter.{n}"})
    await asyncio.sleep(world.quiet)

    assert await world.hears_types(layer, tiny, 1) == ["letter.0"]
    await world.silent(layer, tiny)


@in_world
async def test_a_hundred_messages_fit_by_default(world):
    layer = world.layer()
    channel = await layer.new_channel()

    for n in range(100):
        await layer.send(channel, {"type": f"letter.{n}"})

    assert await world.hears_types(layer, channel, 100) == [f"letter.{n}" for n in range(100)]


# Expiry


@in_world
async def test_what_nobody_read_in_time_is_gone(world):
    layer = world.layer(expiry=1)
    channel, member, silent = [await layer.new_channel() for _ in range(3)]
    await layer.group_add("room", member)
    for each in (channel, silent):
        await layer.send(each, {"type": "stale"})
    await layer.group_send("room", {"type": "stale"})
    await asyncio.sleep(1.3)

    await world.silent(layer, silent)
    await layer.send(channel, {"type": "fresh"})
    await layer.group_add("room", member)  # a member that did not read may be one no more
    await layer.group_send("room", {"type": "fresh"})

    assert await world.hears_types(layer, channel, 1) == ["fresh"]
    assert await world.hears_types(layer, member, 1) == ["fresh"]


@on_virtual_time
@in_world
async def test_each_message_has_its_own_time(world):
    layer = world.layer(expiry=60)
    channel, member = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("room", member)
    for kind in ("first", "second", "third"):
        await layer.send(channel, {"type": kind})
        await layer.group_send("room", {"type": kind})
        await asyncio.sleep(25)

    assert await world.hears_types(layer, channel, 2) == ["second", "third"]
    assert await world.hears_types(layer, member, 2) == ["second", "third"]


@on_virtual_time
@in_world
async def test_what_is_read_just_in_time_arrives(world):
    layer = world.layer(expiry=60)
    channel = await layer.new_channel()
    await layer.send(channel, {"type": "letter"})
    await asyncio.sleep(59)

    assert await world.hears_types(layer, channel, 1) == ["letter"]


@on_virtual_time
@in_world
async def test_stale_messages_make_room_for_fresh_ones(world):
    layer = world.layer(expiry=60, capacity=2)
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    await layer.send(channel, {"type": "stale"})
    await layer.send(channel, {"type": "stale"})
    await asyncio.sleep(61)

    await layer.send(channel, {"type": "fresh.1"})
    await layer.group_send("room", {"type": "fresh.2"})

    assert set(await world.hears_types(layer, channel, 2)) == {"fresh.1", "fresh.2"}


@on_virtual_time
@in_world
async def test_an_hour_without_a_message_ends_no_wait(world):
    layer = world.layer()
    channel = await layer.new_channel()
    reader = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(3600)

    await layer.send(channel, {"type": "letter"})

    assert await reader == {"type": "letter"}
