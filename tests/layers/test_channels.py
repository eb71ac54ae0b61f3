"""Channels: first in, first out, each message to one reader, at most once."""

import asyncio
import re

from support.layers_contract import cancelled, in_world

NAME = re.compile(r"[a-zA-Z0-9_.-]+![a-zA-Z0-9_.-]+")


@in_world
async def test_a_message_on_a_normal_channel_arrives(world):
    layer = world.layer()

    await layer.send("inbox", {"type": "letter", "text": "hello"})

    assert await world.hears(layer, "inbox") == {"type": "letter", "text": "hello"}


@in_world
async def test_a_message_on_a_specific_channel_arrives(world):
    layer = world.layer()
    channel = await layer.new_channel()

    await layer.send(channel, {"type": "letter", "text": "hello"})

    assert await world.hears(layer, channel) == {"type": "letter", "text": "hello"}


@in_world
async def test_a_reader_that_waits_already_gets_the_message(world):
    layer = world.layer()
    channel = await layer.new_channel()
    reader = asyncio.create_task(world.hears(layer, channel))
    await asyncio.sleep(0.02)

    await layer.send(channel, {"type": "letter"})

    assert await reader == {"type": "letter"}


@in_world
async def test_a_reader_of_a_normal_channel_that_waits_already_gets_the_message(world):
    layer = world.layer()
    reader = asyncio.create_task(world.hears(layer, "inbox"))
    await asyncio.sleep(0.02)

    await layer.send("inbox", {"type": "letter"})

    assert await reader == {"type": "letter"}


@in_world
async def test_messages_of_a_specific_channel_keep_their_order(world):
    layer = world.layer()
    channel = await layer.new_channel()
    sent = [f"letter.{n}" for n in range(30)]

    for kind in sent:
        await layer.send(channel, {"type": kind})

    assert await world.hears_types(layer, channel, 30) == sent


@in_world
async def test_messages_of_a_normal_channel_keep_their_order(world):
    layer = world.layer()
    sent = [f"letter.{n}" for n in range(30)]

    for kind in sent:
        await layer.send("inbox", {"type": kind})

    assert await world.hears_types(layer, "inbox", 30) == sent


@in_world
async def test_order_holds_while_sender_and_reader_take_turns(world):
    layer = world.layer()
    channel = await layer.new_channel()

    async def send_all():
        for n in range(60):
            await layer.send(channel, {"type": f"letter.{n}"})
            if n % 7 == 0:
                await asyncio.sleep(0.001)

    sender = asyncio.create_task(send_all())
    heard = await world.hears_types(layer, channel, 60)

    assert heard == [f"letter.{n}" for n in range(60)]
    await sender


@in_world
async def test_two_readers_of_one_channel_get_one_message_each(world):
    layer = world.layer()
    channel = await layer.new_channel()

    for n in range(0, 10, 2):
        readers = [asyncio.create_task(world.hears(layer, channel)) for _ in range(2)]
        await asyncio.sleep(0.02)  # both wait
        await layer.send(channel, {"type": f"letter.{n}"})
        await layer.send(channel, {"type": f"letter.{n + 1}"})

        heard = [event["type"] for event in await asyncio.gather(*readers)]
        assert sorted(heard) == [f"letter.{n}", f"letter.{n + 1}"]


@in_world
async def test_two_busy_readers_of_one_channel_lose_nothing_and_get_nothing_twice(world):
    layer = world.layer()
    channel = await layer.new_channel()
    heard = []

    async def read():
        while True:
            heard.append((await layer.receive(channel))["n"])
            await asyncio.sleep(0)

    async def all_heard():
        return len(heard) >= 40

    readers = [asyncio.create_task(read()) for _ in range(2)]
    await asyncio.sleep(0.02)
    for n in range(40):
        await layer.send(channel, {"type": "letter", "n": n})
        await asyncio.sleep(0)
    await world.settled(all_heard)
    await asyncio.sleep(world.quiet)
    for reader in readers:
        await cancelled(reader)

    assert sorted(heard) == list(range(40))


@in_world
async def test_readers_of_two_channels_get_their_own_messages(world):
    layer = world.layer()
    mine, yours = await layer.new_channel(), await layer.new_channel()
    readers = [
        asyncio.create_task(world.hears_types(layer, channel, 10)) for channel in (mine, yours)
    ]

    for n in range(10):
        await layer.send(mine, {"type": f"mine.{n}"})
        await layer.send(yours, {"type": f"yours.{n}"})

    assert await readers[0] == [f"mine.{n}" for n in range(10)]
    assert await readers[1] == [f"yours.{n}" for n in range(10)]


@in_world
async def test_a_normal_and_a_specific_channel_do_not_mix(world):
    layer = world.layer()
    channel = await layer.new_channel()

    await layer.send("inbox", {"type": "for.anybody"})
    await layer.send(channel, {"type": "for.one"})

    assert await world.hears_types(layer, channel, 1) == ["for.one"]
    assert await world.hears_types(layer, "inbox", 1) == ["for.anybody"]


@in_world
async def test_messages_read_late_are_still_there(world):
    layer = world.layer()
    first, second = await layer.new_channel(), await layer.new_channel()
    await layer.send(first, {"type": "early"})
    await layer.send(second, {"type": "late"})

    assert await world.hears_types(layer, second, 1) == ["late"]
    assert await world.hears_types(layer, first, 1) == ["early"]


@in_world
async def test_a_hundred_new_channels_have_a_hundred_names(world):
    layer, twin = world.layer(), world.layer()

    names = [await each.new_channel() for _ in range(50) for each in (layer, twin)]

    assert len(set(names)) == 100


@in_world
async def test_a_new_channel_is_specific_and_its_name_is_valid(world):
    layer = world.layer()

    name = await layer.new_channel()

    assert NAME.fullmatch(name)
    assert len(name) < 100


@in_world
async def test_a_new_channel_begins_with_the_prefix_asked_for(world):
    layer = world.layer()

    name = await layer.new_channel("chat")

    assert name.startswith("chat")
    await layer.send(name, {"type": "letter"})
    assert await world.hears_types(layer, name, 1) == ["letter"]


@in_world
async def test_a_channel_that_ends_in_its_mark_is_a_channel(world):
    layer = world.layer()
    prefix = (await layer.new_channel()).partition("!")[0] + "!"

    await layer.send(prefix, {"type": "letter"})

    assert await world.hears_types(layer, prefix, 1) == ["letter"]


@in_world
async def test_the_layer_says_what_it_can_do(world):
    layer = world.layer()

    assert {"groups", "flush"} <= set(layer.extensions)
    assert isinstance(layer.group_expiry, int)


@in_world
async def test_the_specific_channel_of_another_process_cannot_be_read(world):
    layer = world.layer()

    verdict = await world.verdict(layer.receive("specific.0123456789abcdef!1"))

    assert verdict in ("AssertionError", "TypeError")
