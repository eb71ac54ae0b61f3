"""Groups: what is sent to a group reaches each member once, and nobody else."""

import asyncio
import random

from support.layers_contract import in_world

CROWD = 40
ROOMS = 25


async def members_of(layer, group, count):
    channels = [await layer.new_channel() for _ in range(count)]
    for channel in channels:
        await layer.group_add(group, channel)
    return channels


@in_world
async def test_every_member_gets_the_message(world):
    layer = world.layer()
    members = await members_of(layer, "room", 3)

    await layer.group_send("room", {"type": "letter", "text": "hello"})

    for member in members:
        assert await world.hears(layer, member) == {"type": "letter", "text": "hello"}


@in_world
async def test_who_is_in_no_group_or_in_another_gets_nothing(world):
    layer = world.layer()
    (member,) = await members_of(layer, "room", 1)
    (other,) = await members_of(layer, "other", 1)
    nobody = await layer.new_channel()

    await layer.group_send("room", {"type": "letter"})

    assert await world.hears_types(layer, member, 1) == ["letter"]
    await world.silent(layer, other, nobody)


@in_world
async def test_members_that_wait_already_get_the_message(world):
    layer = world.layer()
    members = await members_of(layer, "room", 5)
    readers = [asyncio.create_task(world.hears(layer, member)) for member in members]
    await asyncio.sleep(0.02)

    await layer.group_send("room", {"type": "letter"})

    assert await asyncio.gather(*readers) == [{"type": "letter"}] * 5


@in_world
async def test_messages_to_a_group_keep_their_order(world):
    layer = world.layer()
    members = await members_of(layer, "room", 3)

    for n in range(30):
        await layer.group_send("room", {"type": f"letter.{n}"})

    for member in members:
        assert await world.hears_types(layer, member, 30) == [f"letter.{n}" for n in range(30)]


@in_world
async def test_one_writers_messages_keep_their_order_over_groups_and_the_channel_itself(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    await layer.group_add("hall", channel)

    for n in range(0, 30, 3):
        await layer.group_send("room", {"type": f"letter.{n}"})
        await layer.send(channel, {"type": f"letter.{n + 1}"})
        await layer.group_send("hall", {"type": f"letter.{n + 2}"})

    assert await world.hears_types(layer, channel, 30) == [f"letter.{n}" for n in range(30)]


@in_world
async def test_joining_twice_is_joining_once(world):
    layer = world.layer()
    (member,) = await members_of(layer, "room", 1)
    await layer.group_add("room", member)

    await layer.group_send("room", {"type": "letter"})

    assert await world.hears_types(layer, member, 1) == ["letter"]
    await world.silent(layer, member)


@in_world
async def test_who_joined_twice_leaves_with_one_discard(world):
    layer = world.layer()
    leaver, stayer = await members_of(layer, "room", 2)
    await layer.group_add("room", leaver)

    await layer.group_discard("room", leaver)
    await layer.group_send("room", {"type": "letter"})

    assert await world.hears_types(layer, stayer, 1) == ["letter"]
    await world.silent(layer, leaver)


@in_world
async def test_who_left_gets_nothing_any_more_and_the_others_do(world):
    layer = world.layer()
    leaver, stayer = await members_of(layer, "room", 2)
    await layer.group_send("room", {"type": "before"})
    assert await world.hears_types(layer, leaver, 1) == ["before"]

    await layer.group_discard("room", leaver)
    await layer.group_send("room", {"type": "after"})

    assert await world.hears_types(layer, stayer, 2) == ["before", "after"]
    await world.silent(layer, leaver)


@in_world
async def test_the_last_to_leave_gets_nothing_any_more(world):
    layer = world.layer()
    (member,) = await members_of(layer, "room", 1)
    await layer.group_discard("room", member)

    await layer.group_send("room", {"type": "letter"})

    await world.silent(layer, member)


@in_world
async def test_who_left_and_came_back_gets_messages_again(world):
    layer = world.layer()
    (member,) = await members_of(layer, "room", 1)
    for n in range(5):
        await layer.group_discard("room", member)
        await layer.group_send("room", {"type": "missed"})
        await layer.group_add("room", member)
        await layer.group_send("room", {"type": f"heard.{n}"})

        assert await world.hears_types(layer, member, 1) == [f"heard.{n}"]


@in_world
async def test_leaving_one_group_is_leaving_no_other(world):
    layer = world.layer()
    channel = await layer.new_channel()
    for group in ("room", "hall"):
        await layer.group_add(group, channel)

    await layer.group_discard("room", channel)
    await layer.group_send("room", {"type": "to.room"})
    await layer.group_send("hall", {"type": "to.hall"})

    assert await world.hears_types(layer, channel, 1) == ["to.hall"]
    await world.silent(layer, channel)


@in_world
async def test_discarding_who_never_joined_does_nothing(world):
    layer = world.layer()
    (member,) = await members_of(layer, "room", 1)
    stranger = await layer.new_channel()

    await layer.group_discard("room", stranger)
    await layer.group_discard("never.heard.of", member)
    await layer.group_discard("room", "never.heard.of")
    await layer.group_send("room", {"type": "letter"})

    assert await world.hears_types(layer, member, 1) == ["letter"]


@in_world
async def test_what_waited_when_a_member_left_is_still_delivered(world):
    layer = world.layer()
    leaver, stayer = await members_of(layer, "room", 2)
    await layer.group_send("room", {"type": "before"})
    assert await world.hears_types(layer, stayer, 1) == ["before"]  # and the other has it too

    await layer.group_discard("room", leaver)
    await layer.group_send("room", {"type": "after"})

    assert await world.hears_types(layer, leaver, 1) == ["before"]
    await world.silent(layer, leaver)


@in_world
async def test_sending_to_nobody_is_no_error(world):
    layer = world.layer()

    await layer.group_send("never.heard.of", {"type": "letter"})
    (member,) = await members_of(layer, "room", 1)
    await layer.group_discard("room", member)
    await layer.group_send("room", {"type": "letter"})

    await world.silent(layer, member)


@in_world
async def test_normal_channels_can_be_members(world):
    layer = world.layer()
    channel = await layer.new_channel()
    for member in ("worker", "other.worker", channel):
        await layer.group_add("room", member)
    await layer.group_discard("room", "other.worker")

    await layer.group_send("room", {"type": "letter"})

    assert await world.hears_types(layer, "worker", 1) == ["letter"]
    assert await world.hears_types(layer, channel, 1) == ["letter"]
    await world.silent(layer, "other.worker")


@in_world
async def test_a_member_that_is_read_by_two_gets_the_message_once(world):
    layer = world.layer()
    (member,) = await members_of(layer, "room", 1)
    readers = [asyncio.create_task(layer.receive(member)) for _ in range(2)]
    await asyncio.sleep(0.02)

    await layer.group_send("room", {"type": "letter"})
    done, waiting = await asyncio.wait(
        readers, timeout=world.patience, return_when=asyncio.FIRST_COMPLETED
    )
    assert [reader.result()["type"] for reader in done] == ["letter"]
    await asyncio.sleep(world.quiet)

    assert not any(reader.done() for reader in waiting)
    for reader in waiting:
        reader.cancel()
    await asyncio.wait(waiting)


@in_world
async def test_many_groups_with_many_members(world):
    layer = world.layer()
    channels = [await layer.new_channel() for _ in range(CROWD)]
    rooms = {
        f"room.{n}": [c for i, c in enumerate(channels) if i % ROOMS in (n, (n + 1) % ROOMS)]
        for n in range(ROOMS)
    }
    for room, members in rooms.items():
        for member in members:
            await layer.group_add(room, member)
    expected = {
        channel: {room for room, members in rooms.items() if channel in members}
        for channel in channels
    }

    await asyncio.gather(*(layer.group_send(room, {"type": room}) for room in rooms))

    for channel, its_rooms in expected.items():
        assert set(await world.hears_types(layer, channel, len(its_rooms))) == its_rooms
    await world.silent(layer, *channels)


@in_world
async def test_joins_and_leaves_at_once_end_as_each_member_ended(world):
    layer = world.layer()
    chance = random.Random(7)
    channels = [await layer.new_channel() for _ in range(20)]
    stays = {channel: n % 2 == 0 for n, channel in enumerate(channels)}

    async def come_and_go(channel, rounds):
        for _ in range(rounds):
            await layer.group_add("room", channel)
            await layer.group_discard("room", channel)
        if stays[channel]:
            await layer.group_add("room", channel)

    await asyncio.gather(*(come_and_go(channel, chance.randrange(1, 5)) for channel in channels))
    await layer.group_send("room", {"type": "letter"})

    for channel in channels:
        if stays[channel]:
            assert await world.hears_types(layer, channel, 1) == ["letter"]
    await world.silent(layer, *channels)


@in_world
async def test_the_first_to_join_and_the_last_to_leave_may_be_many_at_once(world):
    layer = world.layer()
    channels = [await layer.new_channel() for _ in range(20)]

    for n in range(3):
        await asyncio.gather(*(layer.group_add("room", channel) for channel in channels))
        await layer.group_send("room", {"type": f"letter.{n}"})
        for channel in channels:
            assert await world.hears_types(layer, channel, 1) == [f"letter.{n}"]
        await asyncio.gather(*(layer.group_discard("room", channel) for channel in channels))
        await layer.group_send("room", {"type": "missed"})

    await world.silent(layer, *channels)


# Flush


@in_world
async def test_a_flush_forgets_groups_and_messages(world):
    layer = world.layer()
    (member,) = await members_of(layer, "room", 1)
    await layer.send(member, {"type": "waiting"})
    await layer.send("inbox", {"type": "waiting"})
    await layer.group_send("room", {"type": "waiting"})

    await layer.flush()
    await layer.group_send("room", {"type": "to.nobody"})

    await world.silent(layer, member, "inbox")


@in_world
async def test_after_a_flush_the_layer_works_as_if_new(world):
    layer = world.layer()
    await members_of(layer, "room", 1)

    for _ in range(2):
        await layer.flush()
        (member,) = await members_of(layer, "room", 1)
        await layer.group_send("room", {"type": "grouped"})
        assert await world.hears_types(layer, member, 1) == ["grouped"]
        await layer.send(member, {"type": "direct"})
        assert await world.hears_types(layer, member, 1) == ["direct"]


@in_world
async def test_who_joins_again_after_a_flush_gets_messages(world):
    layer = world.layer()
    (member,) = await members_of(layer, "room", 1)
    await layer.flush()

    await layer.group_add("room", member)
    await layer.group_send("room", {"type": "letter"})

    assert await world.hears_types(layer, member, 1) == ["letter"]
