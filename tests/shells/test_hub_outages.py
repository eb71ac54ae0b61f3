"""An outage under a hub: served at once here, given up in time elsewhere, and over for all."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import LayerUnavailable
from shells.members import FAILURES, Curious, Member, hears, outage
from shells.speakers import REFUSED, Speaker, known_outage, recovered
from shells.visits import both_colours, build, now, open_visit, settle
from support.faults import FREEZE, HANG
from support.hubs import around, on_hubs
from support.layers import installed
from support.loop import virtual

pytestmark = on_hubs
every_failure = pytest.mark.parametrize("fault", FAILURES, ids=repr)


# --- members of this process -----------------------------------------------------------------


@every_failure
@both_colours
@virtual
async def test_in_an_outage_the_members_here_are_served_at_once(colour, fault, layer):
    speaker = await open_visit(build(Speaker, colour))
    visits = [await open_visit(build(Member)) for _ in range(5)]
    await known_outage(layer, fault)

    speaker.client_sends("room news")
    await settle(0.1)

    assert [visit.texts for visit in visits] == [["news"]] * 5
    assert speaker.texts == []  # it is still busy
    await settle(6)
    assert speaker.texts == ["news"]
    assert speaker.notes == [(LayerUnavailable, 5.0)]
    await recovered(layer, speaker, *visits)


@virtual
async def test_the_call_that_finds_the_outage_serves_them_too(layer):
    speaker = await open_visit(build(Speaker))
    visits = [await open_visit(build(Member)) for _ in range(3)]
    await settle(1)
    layer.break_down(REFUSED)

    speaker.client_sends("room news")
    await settle(1)

    assert [visit.texts for visit in visits] == [["news"]] * 3
    await recovered(layer, speaker, *visits)


@virtual
async def test_what_was_served_at_once_may_come_again_and_no_third_time(layer):
    visits = [await open_visit(build(Speaker)) for _ in range(3)]
    await known_outage(layer)

    visits[0].client_sends("room news")
    await settle(2)
    layer.heal()
    await settle(30)

    assert [visit.texts for visit in visits] == [["news", "news"]] * 3
    assert visits[0].notes[0][0] == "sent"
    await recovered(layer, *visits)


@every_failure
@virtual
async def test_in_an_outage_a_channel_of_this_process_is_sent_to_at_once(fault, layer):
    speaker, listener = await open_visit(build(Speaker)), await open_visit(build(Speaker))
    await known_outage(layer, fault)

    speaker.client_sends(f"{listener.consumer.channel_name} hush")
    await settle(0.1)

    assert listener.texts == ["hush"]
    assert speaker.notes == [("sent", 0.0)]
    await recovered(layer, speaker, listener)
    assert listener.texts == ["hush"]


@virtual
async def test_in_an_outage_a_channel_of_another_process_is_given_up_in_time(layer):
    speaker = await open_visit(build(Speaker))
    channel = await layer.neighbour().new_channel()
    await known_outage(layer)

    speaker.client_sends(f"{channel} hush")
    await settle(6)

    assert speaker.notes == [(LayerUnavailable, 5.0)]
    await recovered(layer, speaker)


@both_colours
@virtual
async def test_who_joins_in_an_outage_is_served_at_once_too(colour, layer):
    class Joiner(Speaker):
        groups = []

        async def connect(self):
            await self.accept()
            await self.channel_layer.group_add("room", self.channel_name)

    speaker = await open_visit(build(Speaker))
    await known_outage(layer)
    visit = await open_visit(build(Joiner, colour))

    speaker.client_sends("room news")
    await settle(0.1)

    assert visit.texts == ["news"]
    await settle(6)
    await recovered(layer, speaker, visit)


@virtual
async def test_who_left_in_an_outage_is_not_served(layer):
    class Leaver(Member):
        async def receive(self, text_data=None, bytes_data=None):
            await self.channel_layer.group_discard("room", self.channel_name)

    speaker, visit = await open_visit(build(Speaker)), await open_visit(build(Leaver))
    await known_outage(layer)
    visit.client_sends("leave")
    await settle()

    speaker.client_sends("room news")
    await settle(6)

    assert visit.texts == []
    layer.heal()
    await settle(10)
    assert await hears(layer, speaker, visit) == [True, False]
    await recovered(layer, speaker, visit)


# --- the end of an outage --------------------------------------------------------------------


@virtual
async def test_a_frozen_layer_that_goes_on_is_an_outage_with_an_end(layer, facts):
    visits = [await open_visit(build(Curious)) for _ in range(5)]
    await settle(1)

    await outage(layer, FREEZE, 60)
    await settle(10)

    assert await hears(layer, *visits) == [True] * 5
    assert [name for name in facts.names if name.startswith("layer.")] == ["layer.down", "layer.up"]
    assert [[event["type"] for event in visit.notes] for visit in visits] == [
        ["layer.down", "layer.up"]
    ] * 5
    for visit in visits:
        await visit.leave()


@virtual
async def test_what_a_frozen_layer_does_late_leaves_nobody_behind(layer):
    class Roaming(Member):
        async def receive(self, text_data=None, bytes_data=None):
            await self.channel_layer.group_add("hall", self.channel_name)
            await self.channel_layer.group_discard("hall", self.channel_name)

    visits = [await open_visit(build(Roaming)) for _ in range(3)]
    await settle(1)
    layer.break_down(FREEZE)
    for visit in visits:
        visit.client_sends("go")
    await settle(30)

    layer.heal()
    await settle(20)

    assert layer.members("hall") == set()
    assert await hears(layer, *visits) == [True] * 3
    for visit in visits:
        await visit.leave()


@virtual
async def test_links_that_die_in_silence_are_found_within_two_probes(layer, facts):
    visits = [await open_visit(build(Member)) for _ in range(5)]
    await settle(7)

    layer.interrupt_receivers(HANG)
    await settle(2 * (5 + 2 + 2) + 1)

    assert await hears(layer, *visits) == [True] * 5
    assert [visit.closes for visit in visits] == [[]] * 5
    for visit in visits:
        await visit.leave()


@virtual
async def test_a_link_that_began_before_the_first_probe_did_is_begun_anew(layer):
    """Symptom: whoever began to receive while a layer hung that failed later was deaf for good."""
    layer.break_down(ConnectionError("refused"))
    first = await open_visit(build(Member))
    await settle(10)
    layer.break_down(HANG)
    await settle(0.01)
    second = await open_visit(build(Member))
    layer.break_down(ConnectionError("refused"))
    await settle(5)

    layer.heal()
    await settle(20)

    assert await hears(layer, first, second) == [True, True]
    for visit in (first, second):
        await layer.neighbour().send(visit.consumer.channel_name, {"type": "news", "text": "you"})
    await settle()
    assert first.texts[-1] == second.texts[-1] == "you"
    await first.leave()
    await second.leave()


@virtual
async def test_two_layers_of_one_project_have_outages_of_their_own(layer, facts):
    class Elsewhere(Member):
        channel_layer_alias = "elsewhere"

    other = type(layer)()
    with installed(around(other), "elsewhere"):
        here, there = await open_visit(build(Member)), await open_visit(build(Elsewhere))
        await settle(1)
        await outage(other, ConnectionError(), 20)
        await settle(5)

        assert [down.alias for down in facts("layer.down")] == ["elsewhere"]
        assert [up.alias for up in facts("layer.up")] == ["elsewhere"]
        await here.leave()
        await there.leave()
    assert other.all_groups == {}


@virtual
async def test_a_sender_on_its_own_is_held_up_by_no_more_than_the_deadline(layer):
    """A command sends, and receives nothing: no task is started for it, and none is left."""
    hub = around(layer)
    layer.break_down(ConnectionError("refused"))
    started = now()

    with pytest.raises(LayerUnavailable):
        await hub.group_send("room", {"type": "news"})

    assert now() - started == pytest.approx(5, abs=0.1)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    layer.heal()
    await hub.group_send("room", {"type": "news"})
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtual
async def test_a_consumer_without_the_mixin_lives_through_an_outage_too(layer):
    class Plain(AsyncWebsocketConsumer):
        groups = ["room"]

        async def news(self, event):
            await self.send(event["text"])

    visit = await open_visit(Plain)
    await settle(1)

    await outage(layer, ConnectionError("refused"), 30)
    layer.lose_groups()
    await settle(8)

    assert visit.closes == []
    assert await hears(layer, visit) == [True]
    await visit.leave()
    await settle(12)  # nobody says goodbye for it: it is missed when it does not receive any more
