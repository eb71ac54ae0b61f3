"""What a consumer's own calls to its layer come to: done, retried, refused; never a hang."""

import threading

import pytest
from channels.exceptions import ChannelFull
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import LayerUnavailable
from shells.members import FAILURES, Member, break_down, hears
from shells.visits import Visit, both_colours, build, note, now, open_visit, settle
from support.faults import HANG
from support.hubs import find_hub, on_a_bare_layer
from support.loop import virtual
from support.servers import DAPHNE, UVICORN

every_failure = pytest.mark.parametrize("fault", FAILURES, ids=repr)


class Speaker(Member):
    """Sends to a group what its client says, and notes what came of it."""

    async def receive(self, text_data=None, bytes_data=None):
        try:
            await self.channel_layer.group_send("room", {"type": "news", "text": text_data})
        except (LayerUnavailable, ChannelFull) as error:
            note(self, error)
        else:
            note(self, "sent")


class Whisperer(Member):
    """The same, to its own channel."""

    async def receive(self, text_data=None, bytes_data=None):
        try:
            await self.channel_layer.send(self.channel_name, {"type": "news", "text": text_data})
        except (LayerUnavailable, ChannelFull) as error:
            note(self, error)
        else:
            note(self, "sent")


# --- an outage -------------------------------------------------------------------------------


@pytest.mark.parametrize("consumer", [Speaker, Whisperer])
@pytest.mark.parametrize("downtime", [0, 1, 3])
@both_colours
@virtual
async def test_a_call_in_a_short_outage_waits_and_succeeds(colour, consumer, downtime, layer):
    visit = await open_visit(build(consumer, colour))
    await settle(1)
    layer.break_down(ConnectionError())

    visit.client_sends("news")
    await settle(downtime)
    layer.heal()
    await settle(2)

    assert visit.notes == ["sent"]
    # From a hub its own members get it at once, and may get it again.
    assert visit.texts in (["news"], ["news"] * (2 if find_hub(layer) else 1))
    await visit.leave()


@pytest.mark.parametrize("known", [False, True], ids=["new outage", "known outage"])
@every_failure
@both_colours
@virtual
async def test_a_call_to_a_group_in_a_long_outage_is_given_up_after_the_deadline(
    colour, fault, known, layer
):
    visit = await open_visit(build(Speaker, colour))
    await expect_to_be_given_up(visit, "group_send", fault, layer, known=known)


@on_a_bare_layer
@pytest.mark.parametrize("known", [False, True], ids=["new outage", "known outage"])
@every_failure
@both_colours
@virtual
async def test_a_call_to_a_channel_in_a_long_outage_is_given_up_after_the_deadline(
    colour, fault, known, layer
):
    visit = await open_visit(build(Whisperer, colour))
    await expect_to_be_given_up(visit, "send", fault, layer, known=known)


async def expect_to_be_given_up(visit, operation, fault, layer, *, known):
    await settle(1)
    break_down(layer, fault)
    if known:
        await settle(12)
    started = now()

    visit.client_sends("news")
    while not visit.notes:
        await settle(0.1)

    (error,) = visit.notes
    assert isinstance(error, LayerUnavailable)
    assert isinstance(error, ConnectionError)
    assert now() - started == pytest.approx(5, abs=0.2)
    assert error.alias == "default"
    assert error.operation == operation
    assert error.__cause__ is (None if fault == HANG else fault)
    layer.heal()
    await settle(8)
    await visit.leave()


@both_colours
@virtual
async def test_the_deadline_is_the_consumers_own(colour, layer):
    visit = await open_visit(build(Speaker, colour, LAYER={"deadline": 1}))
    await settle(1)
    layer.break_down(ConnectionError())
    started = now()

    visit.client_sends("news")
    while not visit.notes:
        await settle(0.1)

    assert now() - started == pytest.approx(1, abs=0.2)
    layer.heal()
    await settle(8)
    await visit.leave()


@both_colours
@virtual
async def test_a_handler_that_an_outage_ended_is_no_error_of_anybody(colour, layer, facts):
    class Simple(Member):
        async def receive(self, text_data=None, bytes_data=None):
            await self.channel_layer.group_send("hall", {"type": "news", "text": text_data})

    consumer = build(Simple, colour, ERRORS={"mode": "close", "error_reply": "later, please"})
    visit = await open_visit(consumer)
    layer.break_down(ConnectionError())

    visit.client_sends("news")
    await settle(6)

    assert visit.closes == []
    assert visit.texts == ["later, please"]
    assert facts.alarms == ["layer.down"]
    assert len(facts("layer.call_failed")) == 1
    layer.heal()
    await settle(8)
    await visit.leave()


@pytest.mark.parametrize(("style", "status"), [(UVICORN, 503), (DAPHNE, None)])
@both_colours
@virtual
async def test_a_connect_that_needs_the_layer_is_refused_as_unavailable(
    colour, style, status, layer, facts
):
    class Needy(AsyncWebsocketConsumer):
        async def connect(self):
            await self.channel_layer.group_send("room", {"type": "news"})
            await self.accept()

    layer.break_down(ConnectionError())

    visit = Visit(build(Needy, colour), style=style)

    assert await visit.ended() is None
    assert visit.sent[0].get("status") == status
    assert now() < 3
    assert "handler.error" not in facts.names
    layer.heal()


# --- errors of the caller --------------------------------------------------------------------


@both_colours
@virtual
async def test_a_full_channel_is_told_at_once_and_is_no_outage(colour, layer, facts):
    visit = await open_visit(build(Speaker, colour))
    await settle(1)
    layer.fail("group_send", ChannelFull())
    started = now()

    visit.client_sends("news")
    await settle()

    (error,) = visit.notes
    assert isinstance(error, ChannelFull)
    assert now() - started < 0.1
    await settle(30)
    assert facts.alarms == []
    await visit.leave()


class BadCaller(Member):
    async def receive(self, text_data=None, bytes_data=None):
        try:
            if text_data == "name":
                await self.channel_layer.group_send("not a name!", {"type": "news"})
            elif text_data == "event":
                await self.channel_layer.group_send("room", "no dict")
            elif text_data == "payload":
                await self.channel_layer.group_send("room", {"type": "news", "x": threading.Lock()})
            elif text_data == "channel":
                await self.channel_layer.send("not a channel!", {"type": "news"})
            elif text_data == "attribute":
                await self.channel_layer.no_such_method()
        except (TypeError, AssertionError, AttributeError) as error:
            note(self, type(error))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("name", TypeError),
        ("event", AssertionError),
        ("payload", TypeError),
        ("channel", TypeError),
        ("attribute", AttributeError),
    ],
)
@both_colours
@virtual
async def test_a_callers_mistake_is_told_quickly_and_is_no_outage(
    colour, wrong, error, layer, facts
):
    visit = await open_visit(build(BadCaller, colour))
    await settle(3)
    started = now()

    visit.client_sends(wrong)
    while not visit.notes:
        await settle(0.1)

    assert visit.notes == [error]
    assert now() - started < 0.5
    await settle(30)
    assert facts.alarms == []
    assert await hears(layer, visit) == [True]
    await visit.leave()
