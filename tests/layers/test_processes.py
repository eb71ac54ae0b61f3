"""Two processes on one broker, plain or on the hub: groups and channels are theirs in common."""

import asyncio

import pytest

from layers.conftest import in_two_processes
from support.layers_contract import cancelled, in_world

pytestmark = in_two_processes


async def joined(layer, group, count=1):
    channels = [await layer.new_channel() for _ in range(count)]
    for channel in channels:
        await layer.group_add(group, channel)
    return channels


@in_world
async def test_a_group_reaches_members_in_both_processes_from_either(world):
    here, there = world.processes()
    mine, yours = await joined(here, "room", 3), await joined(there, "room", 3)

    await here.group_send("room", {"type": "from.here", "text": "caf\u00e9"})
    await there.group_send("room", {"type": "from.there", "bytes": b"\x00"})

    for layer, channels in ((here, mine), (there, yours)):
        for channel in channels:
            heard = [await world.hears(layer, channel) for _ in range(2)]
            assert sorted(event["type"] for event in heard) == ["from.here", "from.there"]
            assert {len(event) for event in heard} == {2}  # nothing of ours is left in them
    await asyncio.gather(world.silent(here, *mine), world.silent(there, *yours))


@in_world
async def test_a_process_without_members_reaches_the_group(world):
    here, there = world.processes()
    (yours,) = await joined(there, "room")

    for n in range(20):
        await here.group_send("room", {"type": f"letter.{n}"})

    assert await world.hears_types(there, yours, 20) == [f"letter.{n}" for n in range(20)]


@in_world
async def test_a_direct_message_crosses_processes_both_ways(world):
    here, there = world.processes()
    mine, yours = await here.new_channel(), await there.new_channel()

    for n in range(10):
        await here.send(yours, {"type": f"to.there.{n}"})
        await there.send(mine, {"type": f"to.here.{n}"})

    assert await world.hears_types(there, yours, 10) == [f"to.there.{n}" for n in range(10)]
    assert await world.hears_types(here, mine, 10) == [f"to.here.{n}" for n in range(10)]


@in_world
async def test_a_direct_message_reaches_the_one_channel_it_is_for(world):
    here, there = world.processes()
    yours, others = await there.new_channel(), await there.new_channel()

    await here.send(yours, {"type": "letter"})

    assert await world.hears(there, yours) == {"type": "letter"}
    await world.silent(there, others)


@in_world
async def test_a_direct_answer_to_a_member_of_a_group_arrives(world):
    here, there = world.processes()
    (mine,), (yours,) = await joined(here, "room"), await joined(there, "room")

    await here.group_send("room", {"type": "question", "answer_to": mine})
    assert await world.hears_types(here, mine, 1) == ["question"]
    question = await world.hears(there, yours)
    await there.send(question["answer_to"], {"type": "answer"})

    assert await world.hears_types(here, mine, 1) == ["answer"]


@in_world
async def test_a_process_may_join_a_channel_of_the_other(world):
    here, there = world.processes()
    yours = await there.new_channel()

    await here.group_add("room", yours)
    await here.group_send("room", {"type": "from.here"})
    assert await world.hears_types(there, yours, 1) == ["from.here"]
    await there.group_send("room", {"type": "from.there"})
    assert await world.hears_types(there, yours, 1) == ["from.there"]

    await here.group_discard("room", yours)
    await here.group_send("room", {"type": "missed"})
    await world.silent(there, yours)


@in_world
async def test_a_channel_that_both_processes_joined_gets_messages_once(world):
    """On a layer that cannot tell, as soon as its own process has heard of it."""
    here, there = world.processes()
    (yours,) = await joined(there, "room")
    await here.group_add("room", yours)

    async def is_heard_once():
        await here.group_send("room", {"type": "letter"})
        await asyncio.sleep(world.quiet)  # the end must not overtake a second copy
        await there.send(yours, {"type": "end"})
        heard = []
        while "end" not in heard:
            heard += await world.hears_types(there, yours, 1)
        return heard == ["letter", "end"]

    await world.settled(is_heard_once)

    await here.group_send("room", {"type": "another"})
    assert await world.hears_types(there, yours, 1) == ["another"]
    await world.silent(there, yours)


@pytest.mark.parametrize("both_join", [False, True], ids=["one joins", "both join"])
@in_world
async def test_a_process_may_discard_a_channel_of_the_other(world, both_join):
    here, there = world.processes()
    leaver, stayer = await joined(there, "room", 2)
    if both_join:
        await here.group_add("room", leaver)

    await here.group_discard("room", leaver)
    await here.group_send("room", {"type": "letter"})

    assert await world.hears_types(there, stayer, 1) == ["letter"]
    await world.silent(there, leaver)


@in_world
async def test_what_a_process_discards_of_the_other_is_out_soon(world):
    here, there = world.processes()
    leaver, stayer = await joined(there, "room", 2)

    await here.group_discard("room", leaver)

    async def is_out():
        return await heard_meanwhile(world, here, there, leaver, stayer) == []

    await world.settled(is_out)


async def heard_meanwhile(world, here, there, member, stayer):
    """What *member* has heard by the time that *stayer* has heard a letter."""
    await here.group_send("room", {"type": "letter"})
    assert await world.hears_types(there, stayer, 1) == ["letter"]
    await there.send(member, {"type": "end"})
    heard = []
    while "end" not in heard:
        heard += await world.hears_types(there, member, 1)
    return heard[:-1]


@in_world
async def test_the_only_member_may_be_discarded_by_the_other_process(world):
    here, there = world.processes()
    (yours,) = await joined(there, "room")

    await here.group_discard("room", yours)
    await here.group_send("room", {"type": "from.here"})
    await there.group_send("room", {"type": "from.there"})
    await world.silent(there, yours)

    await there.group_add("room", yours)
    await here.group_send("room", {"type": "back.again"})
    assert await world.hears_types(there, yours, 1) == ["back.again"]


@in_world
async def test_a_channel_that_was_joined_for_it_may_leave_by_itself(world):
    here, there = world.processes()
    (mine,) = await joined(here, "room")
    yours = await there.new_channel()
    await here.group_add("room", yours)

    await there.group_discard("room", yours)
    await here.group_send("room", {"type": "letter"})

    assert await world.hears_types(here, mine, 1) == ["letter"]
    await world.silent(there, yours)


@in_world
async def test_the_last_member_of_one_process_leaves_the_other_its_members(world):
    here, there = world.processes()
    (mine,), (yours,) = await joined(here, "room"), await joined(there, "room")

    await there.group_discard("room", yours)
    for layer in (here, there):
        await layer.group_send("room", {"type": "letter"})

    assert await world.hears_types(here, mine, 2) == ["letter", "letter"]
    await world.silent(there, yours)


@in_world
async def test_one_writers_messages_to_the_other_process_keep_their_order(world):
    here, there = world.processes()
    yours = await there.new_channel()
    for group in ("room", "hall"):
        await there.group_add(group, yours)

    for n in range(0, 30, 3):
        await here.group_send("room", {"type": f"letter.{n}"})
        await here.send(yours, {"type": f"letter.{n + 1}"})
        await here.group_send("hall", {"type": f"letter.{n + 2}"})

    assert await world.hears_types(there, yours, 30) == [f"letter.{n}" for n in range(30)]


@in_world
async def test_workers_of_both_processes_share_a_normal_channel(world):
    here, there = world.processes()
    done = []

    async def work(layer):
        while True:
            done.append((await layer.receive("jobs"))["n"])

    async def all_done():
        return len(done) >= 20

    workers = [asyncio.create_task(work(layer)) for layer in (here, there)]
    await asyncio.sleep(0.05)
    for n in range(10):
        await here.send("jobs", {"type": "job", "n": n})
        await there.send("jobs", {"type": "job", "n": n + 10})

    await world.settled(all_done)
    await asyncio.sleep(world.quiet)
    for worker in workers:
        await cancelled(worker)
    assert sorted(done) == list(range(20))


@in_world
async def test_a_normal_channel_of_a_group_is_read_in_the_other_process(world):
    here, there = world.processes()
    await here.group_add("room", "jobs")

    await here.group_send("room", {"type": "job"})

    assert await world.hears_types(there, "jobs", 1) == ["job"]


@in_world
async def test_nobody_reads_the_specific_channel_of_another_process(world):
    here, there = world.processes()
    yours = await there.new_channel()

    assert await world.verdict(here.receive(yours)) == "AssertionError"


@in_world
async def test_an_event_of_a_megabyte_crosses_processes(world):
    here, there = world.processes()
    (yours,) = await joined(there, "room")
    event = {"type": "big", "data": "x" * 1_000_000}

    await here.group_send("room", event)
    assert await world.hears(there, yours) == event
    await here.send(yours, event)
    assert await world.hears(there, yours) == event


@in_world
async def test_a_flush_in_one_process_empties_the_broker_for_both(world):
    here, there = world.processes()
    (yours,) = await joined(there, "room")
    await here.send("inbox", {"type": "waiting"})

    await here.flush()
    await here.group_send("room", {"type": "to.nobody"})

    await world.silent(there, yours, "inbox")
