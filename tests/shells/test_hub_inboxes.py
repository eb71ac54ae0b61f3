"""A consumer that does not keep up on a hub loses events of its own, and nobody else's."""

import asyncio

import pytest
from channels.exceptions import ChannelFull

from resilient_channels.layers import ResilientChannelLayer
from shells.members import Member, tell_room
from shells.visits import both_colours, build, note, open_visit, settle
from support.hubs import around, make_layer, on_hubs
from support.layers import installed
from support.loop import virtual


class Slow(Member):
    """Busy for as long as its client says."""

    async def receive(self, text_data=None, bytes_data=None):
        await self.pause(float(text_data))
        note(self, "worked")


async def tell(layer, count, first=0):
    for number in range(first, first + count):
        await layer.group_send("room", {"type": "news", "text": str(number)})
        await asyncio.sleep(0.001)  # the layer's own queue is not to overflow
    await settle()


def numbers(first, last):
    return [str(number) for number in range(first, last)]


# --- bounds ----------------------------------------------------------------------------------


@on_hubs
@both_colours
@virtual
async def test_a_slow_consumer_keeps_the_oldest_up_to_its_capacity(colour, layer):
    slow = await open_visit(build(Slow, colour))
    slow.client_sends("60")
    await settle()

    await tell(layer, 150)
    await settle(61)

    assert slow.texts == numbers(0, 100)
    await slow.leave()


@on_hubs
@virtual
async def test_a_slow_consumer_loses_only_its_own_events(layer):
    slow = await open_visit(build(Slow))
    others = [await open_visit(build(Member)) for _ in range(5)]
    slow.client_sends("60")
    await settle()

    await tell(layer, 150)

    assert [visit.texts for visit in others] == [numbers(0, 150)] * 5
    await settle(61)
    await tell(layer, 1, 150)
    assert slow.texts[-1] == "150"
    for visit in (slow, *others):
        await visit.leave()


@on_hubs
@virtual
async def test_a_crowded_consumer_still_hears_its_client_and_of_its_end(layer):
    slow = await open_visit(build(Slow))
    slow.client_sends("5")
    await settle()
    await tell(layer, 200)

    slow.client_sends("0")
    await settle(6)
    assert slow.notes == ["worked", "worked"]
    await slow.leave()


@virtual
async def test_the_capacity_is_the_wrapped_layers():
    layer = make_layer("core-hub")
    layer.capacity = 7
    with installed(around(layer)):
        slow = await open_visit(build(Slow))
        slow.client_sends("60")
        await settle()

        for number in range(20):  # one at a time, as the layer itself holds no more
            await tell(layer, 1, number)
        await settle(61)

        assert slow.texts == numbers(0, 7)
        await slow.leave()


@virtual
async def test_the_capacity_may_be_given_for_the_hub():
    layer = make_layer("hub")
    with installed(around(layer, capacity=3)):
        slow = await open_visit(build(Slow))
        slow.client_sends("60")
        await settle()

        await tell(layer, 20)
        await settle(61)

        assert slow.texts == numbers(0, 3)
        await slow.leave()


@virtual
async def test_the_capacity_may_be_given_by_name():
    layer = make_layer("hub")
    with installed(around(layer, channel_capacity={"specific.*": 2})):
        slow = await open_visit(build(Slow))
        slow.client_sends("60")
        await settle()

        await tell(layer, 20)
        await settle(61)

        assert slow.texts == numbers(0, 2)
        await slow.leave()


@virtual
async def test_alone_a_direct_send_to_a_full_channel_raises_channel_full():
    with installed(ResilientChannelLayer(capacity=3)) as hub:
        slow = await open_visit(build(Slow))
        channel = slow.consumer.channel_name
        slow.client_sends("60")
        await settle()

        for number in range(3):
            await hub.send(channel, {"type": "news", "text": str(number)})
        with pytest.raises(ChannelFull):
            await hub.send(channel, {"type": "news", "text": "3"})
        await hub.group_send("room", {"type": "news", "text": "4"})
        await settle(61)

        assert slow.texts == numbers(0, 3)
        await slow.leave()


# --- what is told of it ----------------------------------------------------------------------


@on_hubs
@virtual
async def test_dropped_events_are_one_warning_with_their_number(layer, facts):
    slow = await open_visit(build(Slow))
    slow.client_sends("60")
    await settle()

    await tell(layer, 150)
    await settle(5)

    (record,) = facts("layer.overflow")
    assert (record.levelname, record.alias) == ("WARNING", "default")
    assert (record.dropped, record.channels) == (50, 1)
    await settle(60)
    assert facts.alarms == ["layer.overflow"]
    await slow.leave()


@on_hubs
@virtual
async def test_a_crowd_that_does_not_keep_up_is_one_warning(layer, facts):
    crowd = [await open_visit(build(Slow)) for _ in range(20)]
    for visit in crowd:
        visit.client_sends("60")
    await settle()

    await tell(layer, 130)
    await settle(5)

    (record,) = facts("layer.overflow")
    assert (record.dropped, record.channels) == (20 * 30, 20)
    await settle(60)
    for visit in crowd:
        await visit.leave()


@on_hubs
@virtual
async def test_an_overflow_that_goes_on_is_told_every_ten_seconds_and_counted_whole(layer, facts):
    slow = await open_visit(build(Slow))
    slow.client_sends("100")
    await settle()
    await tell(layer, 100)

    counts = []
    for number in range(100, 145):
        await tell(layer, 1, number)
        await asyncio.sleep(1)
        counts.append(len(facts("layer.overflow")))
    await settle(15)

    records = facts("layer.overflow")
    assert 4 <= len(records) <= 6
    assert all(later - earlier <= 1 for earlier, later in zip(counts, counts[9:], strict=False))
    assert sum(record.dropped for record in records) == 45
    await settle(60)
    await slow.leave()


@on_hubs
@virtual
async def test_a_consumer_that_keeps_up_is_never_told_of(layer, facts):
    visit = await open_visit(build(Member))

    for number in range(20):
        await tell(layer, 50, number)
    await settle(30)

    assert len(visit.texts) == 1000
    assert facts.alarms == []
    await visit.leave()


@on_hubs
@virtual
async def test_after_an_overflow_that_is_over_the_next_one_is_told(layer, facts):
    slow = await open_visit(build(Slow))
    for _ in range(2):
        slow.client_sends("60")
        await settle()
        await tell(layer, 101)
        await settle(70)

    assert [record.dropped for record in facts("layer.overflow")] == [1, 1]
    await slow.leave()


@on_hubs
@virtual
async def test_events_for_a_consumer_that_is_gone_are_no_overflow(layer, facts):
    visit, other = await open_visit(build(Member)), await open_visit(build(Member))
    await visit.leave()

    await tell(layer, 300)
    await settle(15)

    assert facts.alarms == []
    assert len(other.texts) == 300
    await other.leave()


@on_hubs
@virtual
async def test_a_slow_reader_of_the_socket_does_not_hold_up_the_group(layer):
    class Blocked:
        def __init__(self):
            self.gate = asyncio.Event()

        async def __call__(self, message):
            if message["type"] == "websocket.send":
                await self.gate.wait()

    blocked = Blocked()
    slow = await open_visit(build(Member), on_send=blocked)
    other = await open_visit(build(Member))

    await tell_room(layer, "one")
    await tell_room(layer, "two")

    assert other.texts == ["one", "two"]
    assert slow.texts == []
    blocked.gate.set()
    await settle()
    assert slow.texts == ["one", "two"]
    await slow.leave()
    await other.leave()
