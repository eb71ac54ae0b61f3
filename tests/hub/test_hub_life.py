"""A hub from its first channel to its last: what is watched, what is left, what is flushed."""

import asyncio

import pytest

from resilient_channels.layers import ResilientChannelLayer
from support.hubs import CORE, GENERIC, around, make_layer
from support.loop import virtual

NEWS = {"type": "news"}
on_both = pytest.mark.parametrize("setup", [GENERIC, CORE])


async def at_rest():
    """Until what nobody uses has gone to sleep."""
    await asyncio.sleep(30)


# --- who only sends --------------------------------------------------------------------------


@on_both
@virtual
async def test_who_only_sends_starts_nothing_and_leaves_nothing(setup):
    layer = make_layer(setup)
    hub = around(layer)

    await hub.group_send("room", NEWS)
    await hub.send("worker", NEWS)
    channel = await hub.new_channel()

    assert channel
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert layer.all_groups == {}
    assert layer.calls["receive"] == layer.calls["group_add"] == 0


@on_both
@virtual
async def test_a_channel_that_is_named_and_never_used_costs_nothing(setup):
    layer = make_layer(setup)
    hub = around(layer)

    for _ in range(1000):
        await hub.new_channel()

    assert len(hub.get_hub().directory.channels) == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- who receives ----------------------------------------------------------------------------


@on_both
@virtual
async def test_a_receiver_that_gives_up_is_forgotten_and_the_watch_ends(setup):
    layer = make_layer(setup)
    hub = around(layer)
    channel = await hub.new_channel()
    receiving = asyncio.ensure_future(hub.receive(channel))
    await asyncio.sleep(10)

    receiving.cancel()
    await at_rest()

    assert hub.get_hub().directory.channels == {}
    assert layer.all_groups == {}
    calls = layer.calls.copy()
    await asyncio.sleep(600)
    assert layer.calls == calls


@on_both
@virtual
async def test_a_receiver_that_comes_back_soon_has_missed_nothing(setup):
    layer = make_layer(setup)
    hub = around(layer)
    channel = await hub.new_channel()
    await hub.group_add("room", channel)
    for kind in ("one", "two", "three"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await hub.receive(channel)
        await layer.group_send("room", {"type": kind})
        await asyncio.sleep(1)
        assert (await hub.receive(channel))["type"] == kind
    await hub.close()


@on_both
@virtual
async def test_channels_that_nobody_receives_from_any_more_are_given_up_in_the_end(setup):
    layer = make_layer(setup)
    hub = around(layer)
    for _ in range(300):
        channel = await hub.new_channel()
        await hub.group_add("room", channel)
        await hub.group_discard("room", channel)
    await asyncio.sleep(61)

    for _ in range(300):
        channel = await hub.new_channel()
        await hub.group_add("hall", channel)
        await hub.group_discard("hall", channel)

    assert len(hub.get_hub().directory.channels) <= 512
    await hub.close()


# --- everything at once ----------------------------------------------------------------------


@on_both
@virtual
async def test_a_flush_deletes_everything_and_the_hub_works_on(setup):
    layer = make_layer(setup)
    hub = around(layer)
    channel = await hub.new_channel()
    await hub.group_add("room", channel)
    await layer.group_send("room", NEWS)
    await asyncio.sleep(1)

    await hub.flush()

    assert layer.groups == {}
    await hub.group_send("room", NEWS)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await hub.receive(channel)
    await hub.group_add("room", channel)
    await layer.group_send("room", {"type": "after it"})
    assert await hub.receive(channel) == {"type": "after it"}
    await hub.close()


@pytest.mark.parametrize("fault", [ConnectionError("x"), "hang"])
@on_both
@virtual
async def test_closing_in_an_outage_ends_in_a_few_seconds_and_leaves_no_task(setup, fault):
    layer = make_layer(setup)
    hub = around(layer)
    channel = await hub.new_channel()
    await hub.group_add("room", channel)
    await asyncio.sleep(1)
    layer.break_down(fault, "group_add", "group_discard", "group_send")
    started = asyncio.get_running_loop().time()

    await hub.close()

    assert asyncio.get_running_loop().time() - started <= 5
    await asyncio.sleep(5)  # for last words that nobody waits for
    assert asyncio.all_tasks() == {asyncio.current_task()}
    layer.heal()


@on_both
@virtual
async def test_closed_it_can_be_used_again(setup):
    layer = make_layer(setup)
    hub = around(layer)
    for _ in range(3):
        channel = await hub.new_channel()
        await hub.group_add("room", channel)
        await layer.group_send("room", NEWS)
        assert await hub.receive(channel) == NEWS
        await hub.close()
        assert layer.all_groups == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}


@virtual
async def test_alone_it_starts_no_task_at_all():
    hub = ResilientChannelLayer()
    channel = await hub.new_channel()
    await hub.group_add("room", channel)
    await hub.group_send("room", NEWS)

    assert await hub.receive(channel) == NEWS
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await hub.close()
    await hub.flush()
    await hub.group_send("room", NEWS)


# --- idle cost -------------------------------------------------------------------------------


@on_both
@virtual
async def test_idle_it_costs_the_same_with_one_group_and_with_hundreds_but_for_the_sweep(setup):
    spent = []
    for count in (1, 360):
        layer = make_layer(setup)
        hub = around(layer)
        channel = await hub.new_channel()
        for number in range(count):
            await hub.group_add(f"group.{number}", channel)
        await asyncio.sleep(10)
        before = layer.calls.copy()
        await asyncio.sleep(1000)
        spent.append(layer.calls - before)
        await hub.close()

    renewed = [calls.pop("group_add", 0) for calls in spent]
    assert spent[0] == spent[1]
    assert spent[0]["group_send"] == 200
    assert renewed[0] <= 1
    assert renewed[1] == pytest.approx(100, abs=25)  # of an hour's


@on_both
@virtual
async def test_one_group_that_is_lost_alone_is_joined_again_within_a_third_of_the_expiry(setup):
    layer = make_layer(setup)
    layer.expire_after(900)
    hub = around(layer)
    channel = await hub.new_channel()
    for number in range(5):
        await hub.group_add(f"group.{number}", channel)
    await asyncio.sleep(10)

    for number in range(5):
        layer.lose_group(f"group.{number}")
    await asyncio.sleep(300 + 300 / 16 + 5)

    assert set(layer.groups) == {f"group.{number}" for number in range(5)}
    await hub.close()


@pytest.mark.parametrize(("expiry", "renewal"), [(86_400, 3600), (900, 300), (3, 1)])
@on_both
@virtual
async def test_a_membership_never_expires_under_a_hub(setup, expiry, renewal):
    layer = make_layer(setup)
    layer.expire_after(expiry)
    hub = around(layer)
    channel = await hub.new_channel()
    await hub.group_add("room", channel)
    await asyncio.sleep(1)

    oldest = 0.0
    for _ in range(40):
        await asyncio.sleep(renewal / 4)
        (joined,) = layer.all_groups["room"].values()
        oldest = max(oldest, asyncio.get_running_loop().time() + 1_700_000_000 - joined)

    assert oldest <= renewal * (1 + 2 / 16) + 5 + 1
    await hub.close()
