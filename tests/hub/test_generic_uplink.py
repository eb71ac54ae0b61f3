"""The hub's way to any layer: a channel and a reader for each group and for each receiver."""

import asyncio
import contextlib

import pytest

from support.faults import HANG
from support.hubs import around
from support.layers import ScriptedLayer
from support.loop import virtual

NEWS = {"type": "news"}


@contextlib.asynccontextmanager
async def members(count=1, *groups):
    layer = ScriptedLayer()
    hub = around(layer)
    channels = [await hub.new_channel() for _ in range(count)]
    for channel in channels:
        for group in groups:
            await hub.group_add(group, channel)
    await asyncio.sleep(0.5)
    yield layer, hub, channels
    await hub.close()


def readers():
    return [task for task in asyncio.all_tasks() if task.get_name() == "resilient_channels.reader"]


def now():
    return asyncio.get_running_loop().time()


@virtual
async def test_there_is_a_reader_per_group_and_per_channel_and_none_per_membership():
    async with members(10, "one", "two", "three"):
        assert len(readers()) == 10 + 3 + 1  # and the group of all hubs


@virtual
async def test_it_knows_nothing_of_the_names_that_a_layer_gives():
    class Namer(ScriptedLayer):
        async def new_channel(self, prefix="x"):
            self.calls["new_channel"] += 1
            return f"no.mark.{self.calls['new_channel']}"

    layer = Namer()
    hub = around(layer)
    channel = await hub.new_channel()
    await hub.group_add("room", channel)

    await layer.group_send("room", NEWS)

    assert channel.startswith("no.mark.")
    assert await hub.receive(channel) == NEWS
    await hub.close()


@pytest.mark.parametrize("fault", [OSError("x"), HANG])
@virtual
async def test_a_name_that_the_layer_does_not_give_in_time_is_made_up(fault):
    layer = ScriptedLayer()
    hub = around(layer)
    layer.fail("new_channel", fault)

    channel = await hub.new_channel()

    assert now() == (5.0 if fault == HANG else 0.0)
    assert hub.require_valid_channel_name(channel)
    receiving = asyncio.ensure_future(hub.receive(channel))
    await asyncio.sleep(1)
    await layer.send(channel, NEWS)
    assert await receiving == NEWS
    await hub.close()


@virtual
async def test_a_group_whose_channel_gets_its_name_late_is_joined_then():
    layer = ScriptedLayer()
    hub = around(layer)
    channel = await hub.new_channel()
    receiving = asyncio.ensure_future(hub.receive(channel))
    await asyncio.sleep(1)
    new_channel = layer.new_channel
    slow = asyncio.Event()

    async def slowly(*args):
        await slow.wait()
        return await new_channel(*args)

    layer.new_channel = slowly
    started = now()
    await hub.group_add("room", channel)
    assert now() - started == 5.0
    assert layer.members("room") == set()

    slow.set()
    await asyncio.sleep(0.5)
    await layer.group_send("room", NEWS)

    assert await receiving == NEWS
    assert len(layer.members("room")) == 1
    await hub.close()


@virtual
async def test_a_group_that_is_left_before_its_channel_has_a_name_is_never_joined():
    layer = ScriptedLayer()
    hub = around(layer)
    channel = await hub.new_channel()
    receiving = asyncio.ensure_future(hub.receive(channel))
    await asyncio.sleep(1)
    layer.break_down(HANG, "new_channel")
    joining = asyncio.ensure_future(hub.group_add("room", channel))
    await asyncio.sleep(1)

    await hub.group_discard("room", channel)
    layer.heal()
    await joining
    await asyncio.sleep(10)

    assert layer.members("room") == set()
    receiving.cancel()
    await hub.close()


@virtual
async def test_closed_it_leaves_no_reader_and_nobody_in_a_group():
    async with members(5, "room") as (layer, hub, _):
        await hub.close()

        assert readers() == []
        assert layer.all_groups == {}


@virtual
async def test_begun_anew_each_reads_past_what_hangs():
    async with members(3, "room") as (layer, hub, channels):
        layer.interrupt_receivers(HANG)
        await asyncio.sleep(0.1)

        hub.get_hub().restart_receive()
        await asyncio.sleep(0.1)
        await layer.group_send("room", NEWS)

        for channel in channels:
            assert await hub.receive(channel) == NEWS


@virtual
async def test_a_reader_that_is_begun_anew_twice_reads_on():
    async with members(1, "room") as (layer, hub, (channel,)):
        for _ in range(5):
            hub.get_hub().restart_receive()
        await asyncio.sleep(0.1)
        hub.get_hub().restart_receive()
        await asyncio.sleep(0.1)

        await layer.group_send("room", NEWS)

        assert await hub.receive(channel) == NEWS
        assert len(readers()) == 3
