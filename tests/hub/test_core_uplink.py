"""The hub's way to a layer with one queue per process: one reader, and who each message is for."""

import asyncio
import contextlib

import pytest

from support.faults import HANG
from support.hubs import around
from support.loop import virtual
from support.scripted_core import ScriptedCore

NEWS = {"type": "news"}


@contextlib.asynccontextmanager
async def members(count=1, *groups):
    """A layer, a hub around it, and channels that are in *groups*."""
    layer = ScriptedCore()
    hub = around(layer)
    channels = [await hub.new_channel() for _ in range(count)]
    for channel in channels:
        for group in groups:
            await hub.group_add(group, channel)
    await asyncio.sleep(0.5)
    yield layer, hub, channels
    await hub.close()


async def waiting(hub, channel):
    """What waits in a channel by now."""
    events = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            while True:
                events.append(await hub.receive(channel))
    return events


def readers():
    return [
        task
        for task in asyncio.all_tasks()
        if task.get_name().startswith("resilient_channels.reader")
    ]


@virtual
async def test_one_reader_serves_every_channel_and_group():
    async with members(20, "one", "two", "three"):
        assert len(readers()) == 1


@virtual
async def test_names_are_the_layers_own_and_lines_share_their_queue():
    async with members(1, "room") as (layer, hub, (channel,)):
        line = hub.get_hub().channel_for("room")

        assert channel.startswith(f"specific.{layer.client_prefix}!")
        assert line.startswith(f"specific.{layer.client_prefix}!g.")
        assert layer.members("room") == {line}
        assert set(layer.broker.queues) == {f"specific.{layer.client_prefix}!"}


@virtual
async def test_a_group_that_is_opened_again_has_a_new_line():
    async with members(1, "room") as (_, hub, (channel,)):
        first = hub.get_hub().channel_for("room")
        await hub.group_discard("room", channel)
        assert hub.get_hub().channel_for("room") is None

        await hub.group_add("room", channel)

        assert hub.get_hub().channel_for("room") not in (None, first)


@virtual
async def test_a_message_for_a_line_that_is_closed_is_nobodys():
    async with members(1, "room") as (layer, hub, (channel,)):
        line = hub.get_hub().channel_for("room")
        await hub.group_discard("room", channel)

        await layer.neighbour().send(line, NEWS)

        assert await waiting(hub, channel) == []
        assert hub._own.channels == {}, "nor is it kept for somebody who may come"


@virtual
async def test_a_member_that_one_message_names_twice_gets_it_once():
    """By a group's line, and by its own name, which another process has put into the group."""
    async with members(2, "room") as (layer, hub, (both, one)):
        await layer.neighbour().group_add("room", both)

        await layer.neighbour().group_send("room", NEWS)

        assert await waiting(hub, both) == [NEWS]
        assert await waiting(hub, one) == [NEWS]
        await layer.neighbour().group_discard("room", both)


@virtual
async def test_a_message_that_names_lines_and_probes_and_strangers_reaches_whom_it_can():
    async with members(1, "room") as (layer, hub, (channel,)):
        line = hub.get_hub().channel_for("room")
        prefix = f"specific.{layer.client_prefix}!"
        for name in (line, f"{prefix}g.999999", f"{prefix}p.999999", f"{prefix}never-heard-of"):
            await layer.neighbour().group_add("mixed", name)

        await layer.neighbour().group_send("mixed", NEWS)

        assert await waiting(hub, channel) == [NEWS]
        layer.lose_group("mixed")


@virtual
async def test_what_comes_before_anybody_receives_it_is_kept():
    layer = ScriptedCore()
    hub = around(layer)
    known, unknown = await hub.new_channel(), await hub.new_channel()
    receiving = asyncio.ensure_future(hub.receive(known))
    await asyncio.sleep(0.5)

    await layer.neighbour().send(unknown, NEWS)
    await layer.neighbour().send(known, NEWS)

    assert await receiving == NEWS
    assert await hub.receive(unknown) == NEWS
    await hub.close()


@virtual
async def test_the_last_who_leaves_ends_the_reader():
    async with members(2, "room") as (layer, hub, channels):
        await hub.close()
        assert readers() == []
        assert layer.all_groups == {}
        assert channels


@virtual
async def test_a_read_that_fails_is_made_again_within_half_a_second():
    async with members(1, "room") as (layer, hub, (channel,)):
        layer.break_down(ConnectionError("gone"), "receive")
        await asyncio.sleep(2)
        layer.heal()
        started = asyncio.get_running_loop().time()

        await layer.neighbour().group_send("room", NEWS)

        assert await hub.receive(channel) == NEWS
        assert asyncio.get_running_loop().time() - started < 0.5


@pytest.mark.parametrize("broken", ["receive", "clean"])
@virtual
async def test_begun_anew_it_reads_past_what_hangs(broken):
    async with members(1, "room") as (layer, hub, (channel,)):
        layer.break_down(HANG, broken)
        await layer.neighbour().group_send("room", NEWS)
        await asyncio.sleep(0.1)
        layer.heal()

        hub.get_hub().restart_receive()
        await asyncio.sleep(0.1)
        await layer.neighbour().group_send("room", {"type": "more"})

        kinds = [event["type"] for event in await waiting(hub, channel)]
        assert kinds[-1:] == ["more"]
        assert len(readers()) == 1


@virtual
async def test_a_reader_that_will_not_let_go_is_not_waited_for():
    layer = ScriptedCore()
    hub = around(layer)
    let_go = asyncio.Event()
    receive_single = layer.receive_single
    stubborn = []

    async def never_lets_go(queue):
        if not stubborn:
            stubborn.append(queue)
            while not let_go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await let_go.wait()
            raise RuntimeError("connection in use")
        return await receive_single(queue)

    channel = await hub.new_channel()
    layer.receive_single = never_lets_go
    receiving = asyncio.ensure_future(hub.receive(channel))
    await asyncio.sleep(0.1)

    hub.get_hub().restart_receive()
    await asyncio.sleep(1.1)
    await layer.neighbour().send(channel, NEWS)

    assert await receiving == NEWS
    let_go.set()
    await asyncio.sleep(1)
    await hub.close()


@virtual
async def test_each_event_loop_that_receives_has_a_queue_of_its_own():
    layer = ScriptedCore()
    hub = around(layer)
    here = await hub.new_channel()
    other = asyncio.new_event_loop()
    try:
        there = await asyncio.to_thread(other.run_until_complete, hub.new_channel())
        assert here.startswith(f"specific.{layer.client_prefix}!")
        assert there.startswith(f"specific.1.{layer.client_prefix}!")
    finally:
        other.close()

    again = asyncio.new_event_loop()
    try:  # a number is given again when its loop is closed
        there = await asyncio.to_thread(again.run_until_complete, hub.new_channel())
        assert there.startswith(f"specific.1.{layer.client_prefix}!")
    finally:
        again.close()


@virtual
async def test_an_event_is_not_held_up_by_a_crowd_of_another_group(monkeypatch):
    monkeypatch.setattr("resilient_channels.layers.directory.AT_ONCE", 2)
    async with members(10, "crowd") as (layer, hub, channels):
        lone = await hub.new_channel()
        await hub.group_add("lone", lone)

        await layer.neighbour().group_send("crowd", NEWS)
        await layer.neighbour().group_send("lone", {"type": "lone"})

        assert await waiting(hub, lone) == [{"type": "lone"}]
        assert [await waiting(hub, channel) for channel in channels] == [[NEWS]] * 10


class Deaf(ScriptedCore):
    """Loses the first cancellation of a read, as a client of Redis can under Python 3.11."""

    async def receive_single(self, channel):
        try:
            return await super().receive_single(channel)
        except asyncio.CancelledError:
            return await super().receive_single(channel)


@virtual
async def test_a_loop_that_cancels_its_tasks_once_comes_to_its_end():
    """Symptom: ``asyncio.run()`` did not return, as the reader had not heard that it was over."""
    hub = around(Deaf())
    channel = await hub.new_channel()
    await hub.group_add("room", channel)
    await asyncio.sleep(0.5)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}

    for task in tasks:
        task.cancel()
    _, left = await asyncio.wait(tasks, timeout=10)

    assert not left
