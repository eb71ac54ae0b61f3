"""How long a call may take on a hub, how many may wait, and what is the caller's own mistake."""

import threading
import time

import pytest

from resilient_channels import LayerUnavailable
from shells.members import FAILURES, Member, hears
from shells.speakers import Speaker, known_outage, recovered
from shells.visits import both_colours, build, note, open_visit, settle
from support.hubs import on_hubs
from support.loop import virtual

pytestmark = on_hubs
every_failure = pytest.mark.parametrize("fault", FAILURES, ids=repr)


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
