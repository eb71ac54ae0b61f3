"""Who is in which group survives whatever the layer forgets."""

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from shells.members import FAILURES, Member, break_down, hears, tell_room
from shells.visits import both_colours, build, note, now, open_visit, settle
from support.faults import HANG
from support.hubs import reached
from support.layers import installed
from support.loop import virtual


class Roaming(Member):
    """Joins and leaves groups as its client asks."""

    groups = []

    async def receive(self, text_data=None, bytes_data=None):
        verb, group = text_data.split()
        if verb == "join":
            await self.channel_layer.group_add(group, self.channel_name)
        elif verb == "leave":
            await self.channel_layer.group_discard(group, self.channel_name)
        note(self, verb, sorted(self.resilient.groups))


# --- the layer forgets -----------------------------------------------------------------------


@both_colours
@virtual
async def test_a_flush_is_noticed_within_the_probe_interval_and_two_seconds(colour, layer, facts):
    visits = [await open_visit(build(Member, colour)) for _ in range(3)]
    await settle(3)
    joined = layer.count_memberships()

    layer.lose_groups()
    await settle(5 + 2 + 0.2)

    assert await hears(layer, *visits) == [True] * 3
    assert facts.alarms == ["layer.membership_lost"]
    assert [lost.groups for lost in facts("layer.membership_lost")] == [joined]
    for visit in visits:
        await visit.leave()


@virtual
async def test_the_probe_interval_is_the_consumers_own(layer):
    visit = await open_visit(build(Member, LAYER={"probe": 1}))
    await settle(3)

    layer.lose_groups()
    await settle(1 + 2 + 0.2)

    assert await hears(layer, visit) == [True]
    await visit.leave()


@both_colours
@virtual
async def test_groups_joined_by_hand_are_restored_and_those_left_are_not(colour, layer):
    visit = await open_visit(build(Roaming, colour))
    for text in ("join room", "join hall", "join attic", "leave hall"):
        visit.client_sends(text)
    await settle(1)

    layer.lose_groups()
    await settle(8)

    assert set(layer.groups) == {"room", "attic"}
    assert visit.consumer.resilient.groups == {"room", "attic"}
    await visit.leave()


@virtual
async def test_memberships_are_renewed_before_the_layer_lets_them_expire(layer, facts):
    layer.expire_after(300)
    visit = await open_visit(build(Member))

    heard = []
    for _ in range(10):
        await settle(200)
        heard += await hears(layer, visit)

    assert heard == [True] * 10
    assert facts.alarms == []
    await visit.leave()


@virtual
async def test_one_lost_group_is_restored_by_the_next_renewal(layer):
    layer.group_expiry = 300
    visit = await open_visit(build(Member))
    await settle(1)

    layer.lose_group("room")
    await settle(151)

    assert await hears(layer, visit) == [True]
    await visit.leave()


@virtual
async def test_an_idle_connection_costs_the_layer_one_message_per_probe(layer):
    visits = [await open_visit(build(Member)) for _ in range(10)]
    await settle(10)
    before = layer.calls.copy()

    await settle(100)

    spent = layer.calls - before
    assert spent["group_send"] == 20
    assert spent["group_add"] == 0
    for visit in visits:
        await visit.leave()


# --- joining and leaving in an outage --------------------------------------------------------


@pytest.mark.parametrize("fault", FAILURES, ids=repr)
@both_colours
@virtual
async def test_a_group_joined_in_an_outage_is_joined_when_the_layer_is_back(colour, fault, layer):
    visit = await open_visit(build(Roaming, colour))
    break_down(layer, fault)
    await settle(12)
    started = now()

    visit.client_sends("join room")
    await settle()

    assert visit.notes == [("join", ["room"])]
    assert now() - started < 0.1
    layer.heal()
    await settle(8)
    assert await hears(layer, visit) == [True]
    await visit.leave()


@pytest.mark.parametrize("fault", FAILURES, ids=repr)
@both_colours
@virtual
async def test_a_join_that_meets_the_outage_first_returns_within_the_deadline(colour, fault, layer):
    visit = await open_visit(build(Roaming, colour))
    await settle(1)
    break_down(layer, fault)

    visit.client_sends("join room")
    await settle(5.2)

    assert visit.notes == [("join", ["room"])]
    layer.heal()
    await settle(12)
    assert await hears(layer, visit) == [True]
    await visit.leave()


@pytest.mark.parametrize("fault", FAILURES, ids=repr)
@both_colours
@virtual
async def test_a_group_left_in_an_outage_is_left_when_the_layer_is_back(colour, fault, layer):
    visit = await open_visit(build(Roaming, colour))
    visit.client_sends("join room")
    await settle(1)
    break_down(layer, fault)
    await settle(12)

    visit.client_sends("leave room")
    await settle()

    assert visit.notes[-1] == ("leave", [])
    assert layer.members("room") != set()
    layer.heal()
    await settle(8)
    assert layer.members("room") == set()
    await visit.leave()


@virtual
async def test_the_last_word_about_a_group_counts(layer):
    visit = await open_visit(build(Roaming))
    layer.break_down(ConnectionError())
    await settle(12)

    for text in ("join room", "leave room", "join hall", "leave hall", "join hall"):
        visit.client_sends(text)
    await settle(1)
    layer.heal()
    await settle(8)

    assert set(layer.groups) == {"hall"}
    await visit.leave()


@virtual
async def test_a_group_left_in_an_outage_and_joined_again_is_not_left_behind(layer):
    visit = await open_visit(build(Roaming))
    visit.client_sends("join room")
    await settle(1)
    layer.break_down(ConnectionError())
    await settle(12)

    visit.client_sends("leave room")
    visit.client_sends("join room")
    await settle(1)
    layer.heal()
    await settle(8)

    assert reached(layer, "room") == {visit.consumer.channel_name}
    await settle(3600)
    assert reached(layer, "room") == {visit.consumer.channel_name}
    await visit.leave()


@pytest.mark.parametrize("is_last", [False, True])
@virtual
async def test_a_leave_that_is_cut_off_is_done_all_the_same(is_last, layer):
    """Symptom: nobody knew any more that the group was to be left, and it never was."""
    other = None if is_last else await open_visit(build(Roaming))
    visit = await open_visit(build(Roaming))
    visit.client_sends("join room")
    await settle(1)
    layer.fail("group_discard", HANG, 1)
    visit.client_sends("leave room")
    await settle(1)

    await visit.leave_at_once()
    await settle(15)

    assert layer.members("room") == set()
    if other is not None:
        await other.leave()


@both_colours
@virtual
async def test_a_refused_group_name_is_not_remembered(colour, layer, facts):
    class Wrong(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.channel_layer.group_add("not a name!", self.channel_name)

    visit = await open_visit(build(Wrong, colour))
    await settle(1)
    started = now()

    visit.client_sends("go")
    await settle(0.5)

    assert [failed.error for failed in facts("handler.error")] == ["TypeError"]
    assert now() - started < 1
    assert visit.consumer.resilient.groups == frozenset()
    assert facts.alarms == ["handler.error"]
    await visit.leave()


# --- the end ---------------------------------------------------------------------------------


@both_colours
@virtual
async def test_with_the_last_consumer_everything_of_ours_is_gone(colour, layer):
    visits = [await open_visit(build(Member, colour)) for _ in range(3)]
    await settle(20)

    for visit in visits:
        await visit.leave()

    # The clock of the test stands still from here on: no task may be left to clean up later.
    assert layer.all_groups == {}
    calls = layer.calls.copy()
    await settle(60)
    assert layer.calls == calls


@virtual
async def test_a_group_that_could_not_be_left_is_left_soon_after_the_last_consumer(layer):
    visit = await open_visit(build(Member))
    await settle(1)
    layer.fail("group_discard", ConnectionError(), 4)

    await visit.leave()
    await settle(10)

    assert layer.all_groups == {}


@virtual
async def test_after_the_last_consumer_a_new_one_starts_afresh(layer):
    for _ in range(3):
        visit = await open_visit(build(Member))
        await settle(10)
        assert await hears(layer, visit) == [True]
        await visit.leave()
        await settle(10)


@virtual
async def test_a_layer_that_is_not_ours_to_watch_is_not_probed():
    visit = await open_visit(build(Member))
    await settle(60)

    assert set(get_channel_layer().groups) == {"room"}
    await visit.leave()


@virtual
async def test_a_channel_layer_of_another_alias_is_watched_under_its_name(layer, facts):
    class Elsewhere(Member):
        channel_layer_alias = "elsewhere"

    with installed(layer, "elsewhere"):
        visit = await open_visit(build(Elsewhere))
        layer.break_down(ConnectionError())
        await settle(12)
        layer.heal()
        await settle(5)
        await tell_room(layer, "news")

        assert visit.texts == ["news"]
        assert [down.alias for down in facts("layer.down")] == ["elsewhere"]
        await visit.leave()
