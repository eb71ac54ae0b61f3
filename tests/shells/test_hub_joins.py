"""Joins and leaves on a hub, all at once, cut off or refused: the last word counts."""

import asyncio
import random

import pytest

from shells.members import Member, hears
from shells.roaming import Roaming, ask, leave_all
from shells.visits import Visit, build, note, open_visit, settle
from support.faults import HANG
from support.hubs import find_hub, on_hubs, reached
from support.loop import run, virtual

pytestmark = on_hubs


# --- races -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_a_hundred_that_join_and_leave_in_any_order_end_where_they_said(seed, layer):
    async def scenario():
        rng = random.Random(seed)
        visits = [await open_visit(build(Roaming)) for _ in range(100)]
        last_words = {visit: rng.choice(["join", "leave"]) for visit in visits}
        orders = [(visit, rng.choice(["join", "leave"])) for visit in visits * 2]
        rng.shuffle(orders)

        for visit, verb in (*orders, *last_words.items()):
            visit.client_sends(f"{verb} room")
            if rng.random() < 0.05:
                await asyncio.sleep(0)
        await settle(1)

        inside = {visit for visit, verb in last_words.items() if verb == "join"}
        assert reached(layer, "room") == {visit.consumer.channel_name for visit in inside}
        assert await hears(layer, *visits) == [visit in inside for visit in visits]
        rng.shuffle(visits)
        for visit in visits:
            visit.client_closes()
        await asyncio.gather(*(visit.ended() for visit in visits))

    run(scenario(), seed=seed, clocks=True)


@virtual
async def test_all_who_join_one_group_at_once_wait_for_the_same_call(layer):
    first = await open_visit(build(Roaming))
    await settle(1)
    visits = [first, *[await open_visit(build(Roaming)) for _ in range(9)]]
    before = layer.calls["group_add"]
    layer.fail("group_add", HANG, 1)

    await ask(visits, "join room")
    assert layer.calls["group_add"] - before == 1
    assert [visit.notes for visit in visits] == [[]] * 10
    await settle(6)

    assert [visit.notes for visit in visits] == [[("join", "room")]] * 10
    assert await hears(layer, *visits) == [True] * 10
    await leave_all(visits)


@virtual
async def test_a_joiner_that_is_cancelled_leaves_the_others_join_alone(layer):
    visits = [await open_visit(build(Roaming)) for _ in range(3)]
    await settle(1)
    layer.break_down(HANG, "group_add")
    await ask(visits, "join room")
    await settle(1)

    await visits[0].leave_at_once()
    layer.heal()
    await settle(10)

    assert reached(layer, "room") == {visit.consumer.channel_name for visit in visits[1:]}
    assert await hears(layer, *visits[1:]) == [True, True]
    await leave_all(visits[1:])


@virtual
async def test_the_only_joiner_that_is_cancelled_leaves_nobody_behind(layer):
    staying, going = await open_visit(build(Roaming)), await open_visit(build(Roaming))
    await settle(1)
    layer.break_down(HANG, "group_add")
    await ask([going], "join room")

    await going.leave_at_once()
    layer.heal()
    await settle(10)

    assert layer.members("room") == set()
    await staying.leave()


class Hasty(Roaming):
    """Begins to join, and leaves while the join is under way."""

    async def receive(self, text_data=None, bytes_data=None):
        joining = asyncio.ensure_future(self.channel_layer.group_add("room", self.channel_name))
        await asyncio.sleep(0)
        await self.channel_layer.group_discard("room", self.channel_name)
        if text_data == "again":
            await self.channel_layer.group_add("room", self.channel_name)
        await joining
        note(self, "done")


@pytest.mark.parametrize("hangs", [False, True])
@virtual
async def test_a_leave_while_the_join_is_under_way_has_the_last_word(hangs, layer):
    visit = await open_visit(build(Hasty))
    await settle(1)
    if hangs:
        layer.fail("group_add", HANG, 1)

    await ask([visit], "go")
    await settle(10)

    assert visit.notes == ["done"]
    assert layer.members("room") == set()
    assert visit.consumer.resilient.groups == frozenset()
    assert await hears(layer, visit) == [False]
    await visit.leave()


@pytest.mark.parametrize("hangs", [False, True])
@virtual
async def test_a_join_after_a_leave_after_a_join_has_the_last_word(hangs, layer):
    visit = await open_visit(build(Hasty))
    await settle(1)
    if hangs:
        layer.fail("group_add", HANG, 1)

    await ask([visit], "again")
    await settle(12)

    assert visit.notes == ["done"]
    assert reached(layer, "room") == {visit.consumer.channel_name}
    assert len(layer.members("room")) == 1
    assert await hears(layer, visit) == [True]
    await visit.leave()


@virtual
async def test_the_last_who_goes_while_its_join_is_under_way_leaves_nobody_behind(layer):
    """Symptom: the join came to its end when nobody was there any more to undo it."""
    visit = await open_visit(build(Roaming))
    await settle(1)
    layer.fail_late("group_add", HANG, 1)  # the layer has taken it, and the answer is lost
    await ask([visit], "join room")

    await visit.leave_at_once()
    await settle(30)

    assert layer.all_groups == {}


# --- refusals --------------------------------------------------------------------------------


@virtual
async def test_a_group_that_a_layer_refuses_is_refused_to_each_and_remembered_for_none(
    layer, facts
):
    class Insistent(Roaming):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await self.channel_layer.group_add("room", self.channel_name)
            except RuntimeError as error:
                note(self, str(error))

    visits = [await open_visit(build(Insistent)) for _ in range(3)]
    await settle(1)
    layer.fail("group_add", RuntimeError("WRONGTYPE"), 3)

    await ask(visits, "go")
    await settle(3)

    assert [visit.notes for visit in visits] == [["WRONGTYPE"]] * 3
    assert find_hub(layer).directory.groups.get("room") is None
    await settle(60)
    assert layer.members("room") == set()
    assert facts.alarms == []
    await leave_all(visits)


@virtual
async def test_a_group_that_was_refused_may_be_joined_when_it_is_not_any_more(layer):
    class Insistent(Roaming):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await self.channel_layer.group_add("room", self.channel_name)
            except RuntimeError:
                note(self, "refused")

    visit = await open_visit(build(Insistent))
    await settle(1)
    layer.fail("group_add", RuntimeError("WRONGTYPE"), 3)
    await ask([visit], "go")
    await settle(3)

    await ask([visit], "go")
    await settle(1)

    assert visit.notes == ["refused"]
    assert await hears(layer, visit) == [True]
    await visit.leave()


@virtual
async def test_a_hub_nobody_is_left_on_starts_afresh(layer):
    for _ in range(3):
        visit = await open_visit(build(Member))
        await settle(10)
        assert await hears(layer, visit) == [True]
        await visit.leave()
        assert layer.all_groups == {}
        await settle(10)


@virtual
async def test_a_connect_that_is_refused_leaves_nobody_behind(layer):
    class Closed(Member):
        async def connect(self):
            await self.close()

    visit = Visit(build(Closed))
    await settle(1)

    assert visit.sent == [{"type": "websocket.close"}]
    await visit.ended()
    assert layer.all_groups == {}
