"""Joining again: what is doubted, and what is done about it."""

import asyncio

from hub.doubles import Member
from resilient_channels.layers import membership
from resilient_channels.layers.membership import (
    CONCURRENCY,
    HOPELESS_AFTER,
    HOPELESS_ROUNDS,
    MAX_LEAVES,
    Membership,
    keep_orphans,
    take_orphans,
)
from support.faults import HANG
from support.layers import ScriptedLayer
from support.loop import virtual


def make(*members, layer=None, deadline=5.0):
    known = Membership(layer or ScriptedLayer(), deadline)
    for member in members:
        known.enter(member)
    return known


# --- settling --------------------------------------------------------------------------------


@virtual
async def test_what_is_doubted_is_joined_again_with_the_channel_it_has():
    layer, member = ScriptedLayer(), Member("one", "two")
    known = make(member, layer=layer)
    assert known.doubt_all() == 2

    assert await known.settle() == []

    assert layer.groups == {"one": {"of.one"}, "two": {"of.two"}}
    assert member.unconfirmed == set()


@virtual
async def test_a_failure_is_tried_once_more_at_once_and_then_told():
    layer, member = ScriptedLayer(), Member("one")
    known = make(member, layer=layer)
    layer.fail("group_add", OSError(), 1)
    known.doubt_all()
    assert await known.settle() == []

    error = OSError("gone")
    layer.fail("group_add", error, 2)
    known.doubt_all()

    assert await known.settle() == [error]
    assert member.unconfirmed == {"one"}
    assert await known.settle() == []
    assert member.unconfirmed == set()


@virtual
async def test_one_that_hangs_takes_its_deadline_and_holds_up_no_other():
    layer, member = ScriptedLayer(), Member("one", "two")
    known = make(member, layer=layer, deadline=3.0)
    layer.fail("group_add", HANG, 1)
    known.doubt_all()
    started = asyncio.get_running_loop().time()

    (error,) = await known.settle()

    assert isinstance(error, TimeoutError)
    assert asyncio.get_running_loop().time() - started == 3.0
    assert len(layer.groups) == 1


@virtual
async def test_only_so_many_calls_are_under_way_at_once():
    under_way, most = 0, 0

    class Counting(ScriptedLayer):
        async def group_add(self, group, channel):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.1)
            under_way -= 1

    known = make(Member(*(str(number) for number in range(100))), layer=Counting())
    known.doubt_all()

    assert await known.settle() == []
    assert most == CONCURRENCY


@virtual
async def test_leaves_go_before_joins():
    order = []

    class Ordered(ScriptedLayer):
        async def group_add(self, group, channel):
            order.append(("add", group))

        async def group_discard(self, group, channel):
            order.append(("discard", group))

    known = make(Member("one"), layer=Ordered())
    known.doubt_all()
    known.discard_later("one", "of.before")

    await known.settle()

    assert order == [("discard", "one"), ("add", "one")]


@virtual
async def test_a_group_that_was_left_while_it_was_joined_is_left_again():
    layer, member = ScriptedLayer(), Member("one")
    known = make(member, layer=layer)

    class Slow(ScriptedLayer):
        async def group_add(self, group, channel):
            await layer.group_add(group, channel)
            member.groups.clear()

    known._layer = Slow()
    known.doubt_all()
    await known.settle()
    known._layer = layer
    await known.settle()

    assert layer.groups == {}
    assert not known.has_leaves


@virtual
async def test_a_group_without_a_channel_yet_is_not_joined_and_not_forgotten():
    layer, member = ScriptedLayer(), Member("one")
    member.channel_for = lambda group: None
    known = make(member, layer=layer)
    known.doubt_all()

    assert await known.settle() == []

    assert member.unconfirmed == {"one"}
    assert layer.calls["group_add"] == 0


@virtual
async def test_leaving_now_ends_in_time_and_tells_what_was_not_left():
    layer = ScriptedLayer()
    known = make(layer=layer)
    layer.fail("group_discard", HANG, 1)
    leaves = [("one", "a"), ("two", "b"), ("three", "c")]
    loop = asyncio.get_running_loop()

    left = await known.discard_now(leaves, loop.time() + 0.5)

    assert loop.time() == 0.5
    assert len(left) == 1  # whichever of them came first
    assert left < set(leaves)


# --- giving up -------------------------------------------------------------------------------


@virtual
async def test_what_is_refused_for_long_is_given_up_with_its_number():
    layer, member = ScriptedLayer(), Member("one", "two")
    known = make(member, layer=layer)
    known.discard_later("old", "a")
    layer.break_down(RuntimeError("WRONGTYPE"))
    known.doubt_all()
    given_up = []

    for _ in range(HOPELESS_ROUNDS + 30):
        await known.settle()
        given_up.append(known.give_up_hopeless())
        await asyncio.sleep(1)
        if given_up[-1]:
            break

    assert given_up == [0] * int(HOPELESS_AFTER) + [3]
    assert member.unconfirmed == set()
    assert not known.has_leaves


@virtual
async def test_what_is_refused_for_a_moment_only_is_not_given_up_however_often_it_was_tried():
    """Symptom: half a second of a busy broker, and everybody who was to be joined was deaf."""
    layer, member = ScriptedLayer(), Member("one")
    known = make(member, layer=layer)
    layer.break_down(RuntimeError("LOADING"))
    known.doubt_all()

    for _ in range(100):
        await known.settle()
        assert known.give_up_hopeless() == 0
        await asyncio.sleep(0.01)
    layer.heal()

    assert await known.settle() == []
    assert layer.members("one") == {"of.one"}


@virtual
async def test_a_success_in_between_begins_the_count_anew():
    layer, member = ScriptedLayer(), Member("one")
    known = make(member, layer=layer)

    for _ in range(3):
        layer.break_down(RuntimeError("LOADING"))
        known.doubt_all()
        for _ in range(HOPELESS_ROUNDS + 2):
            await known.settle()
            assert known.give_up_hopeless() == 0
            await asyncio.sleep(1.5)
        layer.heal()
        assert await known.settle() == []


@virtual
async def test_what_was_given_up_is_joined_by_a_later_sweep():
    layer, member = ScriptedLayer(), Member("one")
    known = make(member, layer=layer)
    layer.break_down(RuntimeError("WRONGTYPE"))
    known.doubt_all()
    while not known.give_up_hopeless():
        await known.settle()
        await asyncio.sleep(1)
    layer.heal()

    known.doubt_some(1.0)
    await known.settle()

    assert layer.members("one") == {"of.one"}


def test_leaves_have_a_bound(monkeypatch):
    monkeypatch.setattr(membership, "MAX_LEAVES", 3)
    known = make()

    for number in range(10):
        known.discard_later("room", str(number))

    assert len(known.take_leaves()) == 3
    assert MAX_LEAVES == 10_000


def test_orphans_are_handed_over_once_and_have_a_bound(monkeypatch):
    monkeypatch.setattr(membership, "MAX_LEAVES", 2)
    layer = ScriptedLayer()
    for number in range(5):
        keep_orphans(layer, {("room", str(number)): None})

    assert list(take_orphans(layer)) == [("room", "0"), ("room", "1")]
    assert take_orphans(layer) == {}
    assert take_orphans(ScriptedLayer()) == {}
