"""Several processes on one broker: groups, channels and moves are theirs in common."""

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from shells.fleet import PlainThere, There, two_processes
from shells.members import Member, hears, outage
from shells.visits import build, open_visit, settle
from support.hubs import around, on_hubs
from support.loop import virtual

pytestmark = on_hubs
both_moves = pytest.mark.parametrize("is_hub", [True, False], ids=["from a hub", "from a layer"])


class Loner(AsyncWebsocketConsumer):
    """Is in no group of its own."""

    async def news(self, event):
        await self.send(event["text"])


class Moderator(AsyncWebsocketConsumer):
    """Moves other consumers as its client says: "in" or "out", a group, a channel."""

    async def receive(self, text_data=None, bytes_data=None):
        verb, group, channel = text_data.split()
        if verb == "in":
            await self.channel_layer.group_add(group, channel)
        else:
            await self.channel_layer.group_discard(group, channel)


class ModeratorThere(Moderator):
    channel_layer_alias = "there"


async def moved(moderator, verb, visit, group="room"):
    moderator.client_sends(f"{verb} {group} {visit.consumer.channel_name}")
    await settle(0.1)


async def leave_all(*visits):
    for visit in visits:
        await visit.leave()


# --- groups ----------------------------------------------------------------------------------


@virtual
async def test_members_of_two_hubs_and_of_a_plain_layer_hear_each_other(layer):
    with two_processes(layer) as (there, _):
        visits = [await open_visit(build(consumer)) for consumer in (Member, Member, There)]

        for source in (layer, there, around(layer)):
            assert await hears(source, *visits) == [True] * 3
        assert [len(visit.texts) for visit in visits] == [3] * 3
        assert len(layer.members("room")) == 2
        await leave_all(*visits)


@virtual
async def test_a_plain_consumer_of_a_plain_process_is_in_the_same_groups(layer):
    with two_processes(layer, hub_there=False) as (_, plain):
        here, there = await open_visit(build(Member)), await open_visit(PlainThere)

        assert await hears(plain, here, there) == [True, True]
        assert await hears(around(layer), here, there) == [True, True]
        await leave_all(here, there)


@virtual
async def test_an_outage_of_one_process_is_none_of_the_others(layer, facts):
    with two_processes(layer) as (_, bottom):
        here, there = await open_visit(build(Member)), await open_visit(build(There))
        await settle(1)

        await outage(layer, ConnectionError("refused"), 20)
        await settle(10)

        assert [down.alias for down in facts("layer.down")] == ["default"]
        assert await hears(bottom, here, there) == [True, True]
        await leave_all(here, there)


@virtual
async def test_what_all_forget_each_restores_for_itself(layer):
    with two_processes(layer) as (_, bottom):
        here, there = await open_visit(build(Member)), await open_visit(build(There))
        await settle(6)

        layer.lose_groups()
        await settle(8)

        assert await hears(bottom, here, there) == [True, True]
        assert len(layer.members("room")) == 2
        await leave_all(here, there)


# --- consumers that another process moves ----------------------------------------------------


@virtual
async def test_another_hub_puts_a_consumer_into_a_group_and_takes_it_out(layer):
    with two_processes(layer) as (_, bottom):
        visit, moderator = await open_visit(build(Loner)), await open_visit(build(ModeratorThere))
        await settle(1)

        await moved(moderator, "in", visit)
        assert await hears(bottom, visit) == [True]
        assert len(visit.texts) == 1
        assert visit.consumer.resilient.groups == {"room"}
        await moved(moderator, "out", visit)

        assert await hears(bottom, visit) == [False]
        assert visit.consumer.resilient.groups == frozenset()
        assert layer.members("room") == set()
        await leave_all(visit, moderator)


@virtual
async def test_another_hub_takes_a_member_out_of_a_group_it_joined_itself(layer):
    with two_processes(layer) as (_, bottom):
        stays, goes = await open_visit(build(Member)), await open_visit(build(Member))
        moderator = await open_visit(build(ModeratorThere))
        await settle(1)

        await moved(moderator, "out", goes)

        assert await hears(bottom, stays, goes) == [True, False]
        await leave_all(stays, goes, moderator)


@virtual
async def test_a_plain_process_puts_a_consumer_of_a_hub_into_a_group(layer):
    with two_processes(layer, hub_there=False) as (plain, _):
        visit = await open_visit(build(Loner))
        await settle(1)

        await plain.group_add("room", visit.consumer.channel_name)

        assert await hears(plain, visit) == [True]
        assert len(visit.texts) == 1
        await plain.group_discard("room", visit.consumer.channel_name)
        assert await hears(plain, visit) == [False]
        await visit.leave()


@virtual
async def test_a_hub_puts_a_consumer_of_a_plain_process_into_a_group(layer):
    with two_processes(layer, hub_there=False) as (_, bottom):

        class LonerThere(PlainThere):
            groups = []

        visit, moderator = await open_visit(LonerThere), await open_visit(build(Moderator))
        await settle(1)

        await moved(moderator, "in", visit)
        assert await hears(bottom, visit) == [True]
        await moved(moderator, "out", visit)

        assert await hears(bottom, visit) == [False]
        await leave_all(visit, moderator)


@virtual
async def test_what_another_hub_has_put_into_a_group_stays_there_after_a_flush(layer):
    with two_processes(layer) as (_, bottom):
        visit, moderator = await open_visit(build(Loner)), await open_visit(build(ModeratorThere))
        await settle(6)
        await moved(moderator, "in", visit)

        layer.lose_groups()
        await settle(8)

        assert await hears(bottom, visit) == [True]
        await leave_all(visit, moderator)


@virtual
async def test_what_another_hub_has_taken_out_stays_out_after_an_outage(layer):
    with two_processes(layer) as (_, bottom):
        visit, moderator = await open_visit(build(Member)), await open_visit(build(ModeratorThere))
        await settle(1)
        await moved(moderator, "out", visit)

        await outage(layer, ConnectionError("refused"))
        await settle(8)

        assert await hears(bottom, visit) == [False]
        await leave_all(visit, moderator)


@virtual
async def test_a_move_within_one_process_asks_the_layer_nothing_more_than_any_join(layer):
    visit, moderator = await open_visit(build(Loner)), await open_visit(build(Moderator))
    other = await open_visit(build(Member))
    await settle(1)
    before = layer.calls.copy()

    await moved(moderator, "in", visit)
    assert await hears(layer, visit, other) == [True, True]
    await moved(moderator, "out", visit)
    assert await hears(layer, visit, other) == [False, True]

    spent = layer.calls - before
    assert spent["group_add"] == spent["group_discard"] == 0
    await leave_all(visit, moderator, other)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "rc.membership"},
        {"type": "rc.membership", "group": "not a name!", "channel": "CHANNEL"},
        {"type": "rc.membership", "group": 7, "channel": "CHANNEL"},
        {"type": "rc.membership", "group": "room", "channel": "of.nobody!here"},
        {"type": "rc.of.a.later.version", "group": "room", "channel": "CHANNEL"},
        {"type": None},
        {},
    ],
    ids=repr,
)
@virtual
async def test_nonsense_among_hubs_moves_and_hurts_nobody(event, layer, facts):
    visit = await open_visit(build(Loner))
    await settle(1)
    if event.get("channel") == "CHANNEL":
        event = {**event, "channel": visit.consumer.channel_name}

    await layer.group_send("rc.control", event)
    await settle(15)

    assert layer.members("room") == set()
    assert facts.alarms == []
    assert visit.closes == []
    await visit.leave()
