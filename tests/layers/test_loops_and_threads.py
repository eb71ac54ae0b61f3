"""One layer object, used from threads and from one event loop after another, as Django does."""

import asyncio
import threading
import time

from asgiref.sync import async_to_sync, sync_to_async

from layers.conftest import on_hubs, on_redis
from support.layers_contract import in_real_time

SENDERS = 20


def in_a_thread(call, *args):
    """Start a thread that knows of no event loop, and whose end wakes none."""
    thread = threading.Thread(target=call, args=args)
    thread.start()
    return thread


@in_real_time
async def test_a_thread_without_a_loop_reaches_a_reader_at_once(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    reader = asyncio.create_task(world.hears_types(layer, channel, 2))
    await asyncio.sleep(0.05)
    started = time.monotonic()

    def send():
        async_to_sync(layer.group_send)("room", {"type": "grouped"})
        async_to_sync(layer.send)(channel, {"type": "direct"})

    thread = in_a_thread(send)

    assert sorted(await reader) == ["direct", "grouped"]
    assert time.monotonic() - started < world.patience / 2
    await asyncio.to_thread(thread.join)


@in_real_time
async def test_many_threads_at_once_reach_a_reader(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    reader = asyncio.create_task(world.hears_types(layer, channel, SENDERS))
    await asyncio.sleep(0.05)

    send = async_to_sync(layer.group_send)
    await asyncio.gather(
        *(asyncio.to_thread(send, "room", {"type": f"from.{n}"}) for n in range(SENDERS))
    )

    assert set(await reader) == {f"from.{n}" for n in range(SENDERS)}


@in_real_time
async def test_sync_code_inside_async_code_reaches_a_reader(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)

    @sync_to_async
    def view():
        async_to_sync(layer.group_send)("room", {"type": "letter"})

    await view()

    assert await world.hears_types(layer, channel, 1) == ["letter"]


def test_loops_one_after_the_other_share_a_specific_channel(world):
    layer = world.layer()
    channel = world.on_its_own_loop(layer, layer.new_channel)

    for n in range(3):
        world.on_its_own_loop(layer, layer.send, channel, {"type": f"letter.{n}"})

    heard = [world.on_its_own_loop(layer, world.hears_types, layer, channel, 1) for _ in range(3)]
    assert heard == [["letter.0"], ["letter.1"], ["letter.2"]]


def test_loops_one_after_the_other_share_a_normal_channel(world):
    layer = world.layer()

    for n in range(3):
        world.on_its_own_loop(layer, layer.send, "inbox", {"type": f"letter.{n}"})

    heard = [world.on_its_own_loop(layer, world.hears_types, layer, "inbox", 1) for _ in range(3)]
    assert heard == [["letter.0"], ["letter.1"], ["letter.2"]]


def test_loops_one_after_the_other_share_a_group(world):
    layer = world.layer()
    channel = world.on_its_own_loop(layer, layer.new_channel)
    world.on_its_own_loop(layer, layer.group_add, "room", channel)

    world.on_its_own_loop(layer, layer.group_send, "room", {"type": "letter"})
    assert world.on_its_own_loop(layer, world.hears_types, layer, channel, 1) == ["letter"]
    world.on_its_own_loop(layer, layer.group_discard, "room", channel)
    world.on_its_own_loop(layer, layer.group_send, "room", {"type": "missed"})

    world.on_its_own_loop(layer, world.silent, layer, channel)


def test_a_loop_that_ended_while_it_waited_leaves_the_channel_to_the_next(world):
    layer = world.layer()
    channel = world.on_its_own_loop(layer, layer.new_channel)
    for n in range(3):
        world.on_its_own_loop(layer, world.silent, layer, channel)
        world.on_its_own_loop(layer, layer.send, channel, {"type": f"letter.{n}"})

        assert world.on_its_own_loop(layer, world.hears_types, layer, channel, 1) == [f"letter.{n}"]


def test_plain_asyncio_run_may_come_again_and_again(world):
    layer = world.layer()

    async def all_at_once(n):
        channel = await layer.new_channel()
        await layer.group_add("room", channel)
        await layer.group_send("room", {"type": f"letter.{n}"})
        heard = await world.hears_types(layer, channel, 1)
        await layer.group_discard("room", channel)
        return heard

    assert [world.on_its_own_loop(layer, all_at_once, n) for n in range(3)] == [
        [f"letter.{n}"] for n in range(3)
    ]


@on_hubs
@in_real_time
async def test_close_ends_everything_on_this_loop(world):
    layer = world.layer()
    channel = await layer.new_channel()
    before = asyncio.all_tasks()
    await layer.group_add("room", channel)
    await layer.group_send("room", {"type": "letter"})
    assert await world.hears_types(layer, channel, 1) == ["letter"]

    await layer.close()

    assert asyncio.all_tasks() - before == set()


@on_redis
@in_real_time
async def test_sending_from_threads_leaves_no_connection_open(world, broker):
    layer = world.layer()

    async def connections():
        return len((await broker.command("CLIENT", "LIST")).splitlines())

    await layer.group_send("room", {"type": "letter"})
    before = await connections()

    def send_from_loops():
        for n in range(10):
            async_to_sync(layer.group_send)("room", {"type": f"letter.{n}"})

    await asyncio.gather(*(asyncio.to_thread(send_from_loops) for _ in range(4)))

    async def no_more_than_before():
        return await connections() <= before

    await world.settled(no_more_than_before)
