"""Sending from anywhere: what became of it is said, and only programming errors raise."""

import asyncio
import threading

import pytest
from channels.exceptions import ChannelFull
from django.core.exceptions import ImproperlyConfigured

from resilient_channels import SendOutcome, broadcast, notify, safe_group_send
from shells.members import FAILURES, Member, break_down
from shells.visits import build, now, open_visit, settle
from support.faults import HANG
from support.hubs import BARE, SETUPS, around, make_layer
from support.layers import ScriptedLayer, installed
from support.loop import virtual

EVENT = {"type": "news", "text": "news"}
every_failure = pytest.mark.parametrize("fault", FAILURES, ids=repr)


@pytest.fixture(params=SETUPS)
def layer(request):
    """A scripted layer, bare or behind a hub, that is installed."""
    layer = make_layer(request.param)
    with installed(layer if request.param == BARE else around(layer)):
        yield layer


# --- safe_group_send -------------------------------------------------------------------------


@virtual
async def test_what_the_layer_took_is_sent(layer):
    visit = await open_visit(build(Member))

    assert await safe_group_send("room", EVENT) is SendOutcome.SENT

    await settle()
    assert visit.texts == ["news"]
    assert EVENT == {"type": "news", "text": "news"}
    await visit.leave()


@virtual
async def test_a_short_outage_is_waited_for(layer):
    visit = await open_visit(build(Member))
    await settle(1)
    layer.break_down(ConnectionError("refused"))
    sending = asyncio.ensure_future(safe_group_send("room", EVENT))
    await settle(2)
    layer.heal()

    assert await sending is SendOutcome.SENT

    await settle(1)
    assert set(visit.texts) == {"news"}
    await visit.leave()


@every_failure
@virtual
async def test_what_the_layer_did_not_take_in_time_has_timed_out(fault, layer):
    visit = await open_visit(build(Member))
    await settle(1)
    break_down(layer, fault)
    started = now()

    assert await safe_group_send("room", EVENT) is SendOutcome.TIMED_OUT

    assert now() - started == pytest.approx(5, abs=0.1)
    assert visit.closes == []
    layer.heal()
    await settle(10)
    await visit.leave()


@every_failure
@virtual
async def test_without_anybody_who_receives_it_takes_no_longer_and_leaves_nothing(fault, layer):
    break_down(layer, fault)
    started = now()

    assert await safe_group_send("room", EVENT) is SendOutcome.TIMED_OUT

    assert now() - started == pytest.approx(5, abs=0.1)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    layer.heal()
    assert await safe_group_send("room", EVENT) is SendOutcome.SENT
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtual
async def test_a_hiccup_is_tried_again_at_once(layer):
    layer.fail("group_send", ConnectionResetError(), 1)
    started = now()

    assert await safe_group_send("room", EVENT) is SendOutcome.SENT

    assert now() - started < 0.1


@virtual
async def test_the_deadline_is_the_settings(layer, settings):
    settings.RESILIENT_CHANNELS = {"LAYER": {"deadline": 1.5}}
    layer.break_down(HANG, "group_send")
    started = now()

    assert await safe_group_send("room", EVENT) is SendOutcome.TIMED_OUT

    assert now() - started == pytest.approx(1.5, abs=0.1)


@virtual
async def test_a_full_channel_of_the_layer_is_told_as_the_layer_tells_it(layer):
    layer.fail("group_send", ChannelFull())

    with pytest.raises(ChannelFull):
        await safe_group_send("room", EVENT)


MISTAKES = {
    "name": ("not a name!", EVENT, TypeError),
    "no text for a name": (7, EVENT, TypeError),
    "no dict": ("room", ["news"], AssertionError),
    "none": ("room", None, AssertionError),
    "reserved": ("room", {**EVENT, "__asgi_channel__": "x"}, AssertionError),
    "of a broadcast": ("room", {**EVENT, "rc.broadcast": True}, AssertionError),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("is_down", [False, True])
@virtual
async def test_a_mistake_raises_whatever_the_layer_does(mistake, is_down, layer):
    group, event, error = MISTAKES[mistake]
    if is_down:
        layer.break_down(ConnectionError("refused"))
    started = now()

    with pytest.raises(error):
        await safe_group_send(group, event)

    assert now() == started


@virtual
async def test_an_event_that_cannot_be_put_into_bytes_raises(layer):
    visit = await open_visit(build(Member))  # for a group without members bytes may not be made

    with pytest.raises(TypeError):
        await safe_group_send("room", {**EVENT, "x": threading.Lock()})

    assert visit.closes == []
    await visit.leave()


@virtual
async def test_a_missing_alias_is_a_mistake(layer):
    with pytest.raises(ImproperlyConfigured, match="missing"):
        await safe_group_send("room", EVENT, alias="missing")
    with pytest.raises(ImproperlyConfigured, match="missing"):
        await broadcast("room", {}, type="news", alias="missing")
    with pytest.raises(ImproperlyConfigured, match="missing"):
        notify("room", EVENT, alias="missing")


@virtual
async def test_another_alias_is_another_layer(layer):
    other = ScriptedLayer()
    with installed(other, "other"):
        assert await safe_group_send("room", EVENT, alias="other") is SendOutcome.SENT

    assert other.finished["group_send"] == 1
    assert layer.finished["group_send"] == 0


@virtual
async def test_a_layer_of_a_third_party_needs_no_more_than_the_specification():
    class Minimal:
        extensions = ("groups",)

        def __init__(self):
            self.sent = []

        async def group_send(self, group, message):
            self.sent.append((group, message))

    with installed(Minimal()) as minimal:
        assert await safe_group_send("room", EVENT) is SendOutcome.SENT
        assert await broadcast("room", [1], type="news") is SendOutcome.SENT

    assert minimal.sent == [("room", EVENT), ("room", {"type": "news", "payload": [1]})]
