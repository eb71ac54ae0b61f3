"""How many groups one connection may be in, on every layer."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import GroupLimitExceeded
from resilient_channels.observers import counts
from shells.conftest import make_hub
from shells.members import break_down, hears
from shells.visits import Visit, both_colours, build, note, open_visit, settle
from support.hubs import reached
from support.layers import installed
from support.loop import virtual


class Joining(AsyncWebsocketConsumer):
    """Joins and leaves what its client names; "go on" is noted."""

    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        order, _, group = text_data.partition(" ")
        try:
            if order == "join":
                await self.channel_layer.group_add(group, self.channel_name)
            if order == "leave":
                await self.channel_layer.group_discard(group, self.channel_name)
        except GroupLimitExceeded as error:
            note(self, "no more than", error.limit)

    async def news(self, event):
        await self.send(event["text"])


async def told(visit, *texts):
    for text in texts:
        visit.client_sends(text)
    await settle(0.5)


def groups_of(visit):
    return visit.consumer.resilient.groups


@both_colours
@virtual
async def test_one_group_too_many_raises_and_is_not_joined(colour, layer, facts):
    visit = await open_visit(build(Joining, colour, LIMITS={"groups": 3}))

    await told(visit, "join two", "join three", "join four", "join five")

    assert visit.notes == [("no more than", 3)] * 2
    assert groups_of(visit) == {"room", "two", "three"}
    assert reached(layer, "three")
    assert not reached(layer, "four")
    [exceeded] = facts("limit.exceeded")
    assert (exceeded.cause, exceeded.code, exceeded.limit) == ("groups", None, 3)
    assert counts["limit.exceeded", "groups"] >= 1
    assert visit.closes == []
    assert await hears(layer, visit) == [True]
    await visit.leave()


@both_colours
@virtual
async def test_a_group_that_was_left_makes_room_and_one_joined_twice_takes_none(colour, layer):
    visit = await open_visit(build(Joining, colour, LIMITS={"groups": 2}))

    await told(visit, "join two", "join two", "join room", "leave two", "join three")

    assert visit.notes == []
    assert groups_of(visit) == {"room", "three"}
    await visit.leave()


@both_colours
@virtual
async def test_declared_groups_count_too(colour, layer, facts):
    class Many(Joining):
        groups = ["one", "two", "three"]

    visit = Visit(build(Many, colour, LIMITS={"groups": 2}))
    assert await visit.ended() is None

    assert not visit.accepted
    [refused] = facts("connection.refused")
    assert refused.cause == "error"
    assert [failed.error for failed in facts("handler.error")] == ["GroupLimitExceeded"]


@virtual
async def test_joins_that_run_at_once_do_not_slip_past_the_limit(layer):
    class Eager(Joining):
        async def receive(self, text_data=None, bytes_data=None):
            joins = [
                self.channel_layer.group_add(f"group.{n}", self.channel_name) for n in range(20)
            ]
            outcomes = await asyncio.gather(*joins, return_exceptions=True)
            note(self, sum(isinstance(outcome, GroupLimitExceeded) for outcome in outcomes))

    visit = await open_visit(build(Eager, LIMITS={"groups": 5}))

    await told(visit, "go")

    assert visit.notes == [16]
    assert len(groups_of(visit)) == 5
    await visit.leave()


@virtual
async def test_the_limit_holds_in_an_outage(layer):
    visit = await open_visit(build(Joining, LIMITS={"groups": 2}))
    break_down(layer, ConnectionError("refused"))
    await settle(15)

    await told(visit, "join two", "join three")
    assert visit.notes == [("no more than", 2)]

    layer.heal()
    await settle(10)
    assert groups_of(visit) == {"room", "two"}
    assert not reached(layer, "three")
    await visit.leave()


@virtual
async def test_groups_of_another_channel_are_not_counted(layer):
    class Inviting(Joining):
        async def receive(self, text_data=None, bytes_data=None):
            for number in range(10):
                await self.channel_layer.group_add(f"group.{number}", "specific.other!channel")
            note(self, "done")

    visit = await open_visit(build(Inviting, LIMITS={"groups": 1}))

    await told(visit, "go")

    assert visit.notes == ["done"]
    await visit.leave()
    for number in range(10):
        await layer.group_discard(f"group.{number}", "specific.other!channel")


@pytest.mark.parametrize("setup", ["in-memory", "alone"])
@both_colours
@virtual
async def test_it_is_the_same_without_a_broker(colour, setup):
    async def check():
        visit = await open_visit(build(Joining, colour, LIMITS={"groups": 2}))
        await told(visit, "join two", "join three", "leave two", "join three")
        assert visit.notes == [("no more than", 2)]
        assert groups_of(visit) == {"room", "three"}
        await visit.leave()

    if setup == "in-memory":
        await check()
    else:
        with installed(make_hub("alone")):
            await check()


@both_colours
@virtual
async def test_without_a_limit_there_is_none(colour, layer):
    visit = await open_visit(build(Joining, colour))

    await told(visit, *(f"join group.{number}" for number in range(300)))
    await settle(5)

    assert len(groups_of(visit)) == 301
    await visit.leave()
