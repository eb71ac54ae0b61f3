"""An outage under a hub: served at once here, given up in time elsewhere, and over for all."""

import asyncio
import threading
import time

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import LayerUnavailable
from shells.members import FAILURES, Curious, Member, break_down, hears, outage
from shells.visits import both_colours, build, note, now, open_visit, settle
from support.faults import FREEZE, HANG
from support.hubs import around, on_hubs
from support.layers import installed
from support.loop import virtual

pytestmark = on_hubs
every_failure = pytest.mark.parametrize("fault", FAILURES, ids=repr)


class Speaker(Member):
    """Sends to a group, or to a channel, and notes what came of it and how long it took."""

    async def receive(self, text_data=None, bytes_data=None):
        target, text = text_data.split()
        event = {"type": "news", "text": text}
        started = time.monotonic()
        try:
            if "!" in target or target.startswith("specific"):
                await self.channel_layer.send(target, event)
            else:
                await self.channel_layer.group_send(target, event)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test looks at it
            note(self, type(error), round(time.monotonic() - started, 1))
        else:
            note(self, "sent", round(time.monotonic() - started, 1))


REFUSED = ConnectionError("refused")


async def known_outage(layer, fault=REFUSED):
    break_down(layer, fault)
    await settle(15)


async def recovered(layer, *visits):
    layer.heal()
    await settle(10)
    for visit in visits:
        await visit.leave()


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


# --- how long a call takes -------------------------------------------------------------------


@every_failure
@virtual
async def test_each_of_a_crowd_of_calls_is_given_up_after_the_deadline_and_not_later(fault, layer):
    visits = [await open_visit(build(Speaker)) for _ in range(30)]
    await known_outage(layer, fault)

    for visit in visits:
        visit.client_sends("hall news")
    await settle(5.5)

    assert [visit.notes for visit in visits] == [[(LayerUnavailable, 5.0)]] * 30
    await recovered(layer, *visits)


@virtual
async def test_calls_that_wait_go_on_after_an_outage_shorter_than_the_deadline(layer):
    visits = [await open_visit(build(Speaker)) for _ in range(30)]
    await known_outage(layer)

    for visit in visits:
        visit.client_sends("hall news")
    await settle(2)
    layer.heal()
    await settle(3)

    assert [what for visit in visits for what, _ in visit.notes] == ["sent"] * 30
    await recovered(layer, *visits)


@virtual
async def test_more_calls_than_may_wait_are_given_up_at_once(layer, settings):
    settings.RESILIENT_CHANNELS = {"LAYER": {"pending": 5}}
    visits = [await open_visit(build(Speaker)) for _ in range(12)]
    await known_outage(layer)

    for visit in visits:
        visit.client_sends("hall news")
    await settle(0.5)
    at_once = [visit.notes for visit in visits if visit.notes]
    await settle(5)

    assert at_once == [[(LayerUnavailable, 0.0)]] * 7
    waited = [visit.notes for visit in visits if visit.notes not in at_once]
    assert waited == [[(LayerUnavailable, 5.0)]] * 5
    await recovered(layer, *visits)


@virtual
async def test_a_call_that_may_not_wait_has_served_the_members_here(layer, settings):
    settings.RESILIENT_CHANNELS = {"LAYER": {"pending": 0}}
    visit = await open_visit(build(Speaker))
    await known_outage(layer)

    visit.client_sends("room news")
    await settle(0.1)

    assert visit.texts == ["news"]
    assert visit.notes == [(LayerUnavailable, 0.0)]
    await recovered(layer, visit)


@virtual
async def test_calls_on_a_healthy_layer_are_not_counted_as_waiting(layer, settings):
    settings.RESILIENT_CHANNELS = {"LAYER": {"pending": 0}}
    visits = [await open_visit(build(Speaker)) for _ in range(10)]
    await settle(1)

    for visit in visits:
        visit.client_sends("hall news")
    await settle(1)

    assert [visit.notes for visit in visits] == [[("sent", 0.0)]] * 10
    await recovered(layer, *visits)


# --- what is no outage -----------------------------------------------------------------------


class BadCaller(Member):
    """Does what its client says, all of it wrong."""

    async def receive(self, text_data=None, bytes_data=None):
        kind, method, args = MISTAKES[text_data]
        args = [self.channel_name if arg is OWN else arg for arg in args]
        started = time.monotonic()
        try:
            if method == "group_send":
                await self.channel_layer.group_send(*args)
            elif method == "send":
                await self.channel_layer.send(*args)
            elif method == "group_add":
                await self.channel_layer.group_add(*args)
            else:
                await self.channel_layer.group_discard(*args)
        except kind as error:
            note(self, type(error))
            assert time.monotonic() - started < 0.5


OWN = object()
EVENT = {"type": "news", "text": "x"}
MISTAKES = {
    "name": (TypeError, "group_send", ["not a name!", EVENT]),
    "long name": (TypeError, "group_send", ["x" * 200, EVENT]),
    "join": (TypeError, "group_add", ["not a name!", OWN]),
    "leave": (TypeError, "group_discard", ["not a name!", OWN]),
    "channel": (TypeError, "send", ["not a name!", EVENT]),
    "no dict": (AssertionError, "group_send", ["room", "x"]),
    "no dict for one": (AssertionError, "send", [OWN, ["x"]]),
    "reserved": (AssertionError, "group_send", ["room", {**EVENT, "__asgi_channel__": "x"}]),
    "payload": (TypeError, "group_send", ["room", {**EVENT, "x": threading.Lock()}]),
    "payload for one": (TypeError, "send", [OWN, {**EVENT, "x": threading.Lock()}]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@both_colours
@virtual
async def test_a_callers_mistake_is_told_and_hurts_nobody(colour, mistake, layer, facts):
    visits = [await open_visit(build(BadCaller, colour)) for _ in range(2)]
    await settle(3)

    visits[0].client_sends(mistake)
    await settle(1)

    assert visits[0].notes == [MISTAKES[mistake][0]]
    await settle(60)
    assert facts.alarms == []
    assert await hears(layer, *visits) == [True, True]
    for visit in visits:
        await visit.leave()


@pytest.mark.parametrize("mistake", [name for name in MISTAKES if "payload" not in name])
@virtual
async def test_a_callers_mistake_in_an_outage_is_told_all_the_same(mistake, layer, facts):
    visit = await open_visit(build(BadCaller))
    await known_outage(layer)

    visit.client_sends(mistake)
    await settle(0.5)

    assert visit.notes == [MISTAKES[mistake][0]]
    await recovered(layer, visit)


@virtual
async def test_a_huge_event_is_an_event(layer, facts):
    visit = await open_visit(build(Speaker))
    await settle(1)

    visit.client_sends(f"room {'x' * 10_000_000}")
    await settle(1)

    assert [len(text) for text in visit.texts] == [10_000_000]
    assert facts.alarms == []
    await visit.leave()


@virtual
async def test_an_event_nobody_knows_reaches_no_handler_and_hurts_nobody(layer, facts):
    visits = [await open_visit(build(Member)) for _ in range(3)]

    await layer.group_send("room", {"type": "not.known"})
    await settle()

    assert facts.alarms == ["event.unhandled"]
    assert await hears(layer, *visits) == [True] * 3
    for visit in visits:
        await visit.leave()


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
