"""A handshake does not wait for the layer, nor does it ask much of it."""

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import BaseChannelLayer

from shells.members import FAILURES, Member, break_down, hears
from shells.visits import Visit, both_colours, build, note, now, open_visit, settle
from support.hubs import on_a_bare_layer, on_hubs, reached
from support.layers import OPERATIONS, ScriptedLayer, installed
from support.loop import virtual

every_failure = pytest.mark.parametrize("fault", FAILURES, ids=repr)


# --- a handshake does not wait for the layer -------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@every_failure
@both_colours
@virtual
async def test_a_broken_operation_delays_accept_by_less_than_a_second(
    colour, fault, operation, layer
):
    layer.break_down(fault, operation)

    visit = await open_visit(build(Member, colour))

    assert now() < 1
    visit.client_sends("hello")
    await settle(0.1)
    assert visit.texts == ["hello"]
    started = now()
    await visit.leave()
    assert now() - started <= 8
    layer.heal()
    await settle(30)
    layer.lose_groups()


@pytest.mark.leaves("groups")
@every_failure
@both_colours
@virtual
async def test_a_dead_layer_delays_accept_by_less_than_a_second_in_all(colour, fault, layer):
    class Joiner(Member):
        groups = ["room", "hall", "attic"]

    break_down(layer, fault)

    visit = await open_visit(build(Joiner, colour))

    assert now() < 1
    visit.client_sends("hello")
    await settle(0.1)
    assert visit.texts == ["hello"]
    started = now()
    await visit.leave()
    assert now() - started <= 8
    await settle(6)  # a join may be under way until its deadline


@every_failure
@both_colours
@virtual
async def test_a_consumer_born_in_an_outage_is_in_its_groups_after_it(colour, fault, layer):
    break_down(layer, fault)
    visit = await open_visit(build(Member, colour))
    assert visit.consumer.resilient.groups == {"room"}
    await settle(10)

    layer.heal()
    await settle(12)

    assert reached(layer, "room") == {visit.consumer.channel_name}
    assert await hears(layer, visit) == [True]
    await visit.leave()


@on_a_bare_layer
@every_failure
@both_colours
@virtual
async def test_a_consumer_born_in_an_outage_gets_its_name_from_the_layer_later(
    colour, fault, layer
):
    break_down(layer, fault)
    visit = await open_visit(build(Member, colour))
    provisional = visit.consumer.channel_name
    await settle(10)

    layer.heal()
    await settle(12)

    assert visit.consumer.channel_name != provisional
    await visit.leave()


@on_hubs
@every_failure
@both_colours
@virtual
async def test_a_name_that_a_hub_gave_in_an_outage_stays_and_can_be_sent_to(colour, fault, layer):
    break_down(layer, fault)
    visit = await open_visit(build(Member, colour))
    name = visit.consumer.channel_name
    await settle(10)
    layer.heal()
    await settle(12)

    await layer.neighbour().send(name, {"type": "news", "text": "from afar"})
    await settle()

    assert visit.consumer.channel_name == name
    assert visit.texts == ["from afar"]
    await visit.leave()


@both_colours
@virtual
async def test_a_name_that_comes_late_without_an_outage_is_used(colour, layer, facts):
    layer.fail("new_channel", ConnectionError(), 1)

    visit = await open_visit(build(Member, colour))
    await settle(5)

    assert reached(layer, "room") == {visit.consumer.channel_name}
    assert await hears(layer, visit) == [True]
    assert facts.alarms == []
    await visit.leave()


@virtual
async def test_a_provisional_name_can_be_used_once_the_real_one_is_known(layer):
    layer.fail("new_channel", ConnectionError(), 1)
    visit = await open_visit(build(Member))
    provisional = visit.consumer.channel_name
    await settle(5)

    await visit.consumer.channel_layer.send(provisional, {"type": "news", "text": "late"})
    await visit.consumer.channel_layer.group_discard("room", provisional)
    await settle()

    assert visit.texts == ["late"]
    assert layer.members("room") == set()
    await visit.leave()


# --- layers that can do less -----------------------------------------------------------------


@both_colours
@virtual
async def test_a_consumer_without_a_layer_works(colour, settings):
    settings.CHANNEL_LAYERS = {}

    class Alone(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            note(self, self.channel_layer, self.resilient.groups)
            await self.send(text_data)

    visit = await open_visit(build(Alone, colour))

    visit.client_sends("hello")
    await settle()

    assert visit.texts == ["hello"]
    assert visit.notes == [(None, frozenset())]
    await visit.leave()


@both_colours
@virtual
async def test_declared_groups_without_a_layer_fail_as_in_channels(colour, settings, facts):
    settings.CHANNEL_LAYERS = {}

    visit = Visit(build(Member, colour))

    assert await visit.ended() is None
    assert visit.sent == [{"type": "websocket.close"}]
    assert [failed.error for failed in facts("handler.error")] == ["InvalidChannelLayerError"]


class Groupless:
    """Sends and receives; has no groups."""

    extensions = ()

    def __init__(self):
        super().__init__()
        self._inner = ScriptedLayer()
        for name in ("send", "receive", "new_channel"):
            setattr(self, name, getattr(self._inner, name))


class GrouplessByInheritance(Groupless, BaseChannelLayer):
    """Has the methods of the extension, but only those that say so."""


groupless = pytest.mark.parametrize("kind", [Groupless, GrouplessByInheritance])


@groupless
@both_colours
@virtual
async def test_a_layer_without_groups_works_as_far_as_it_goes(colour, kind, facts):
    class Alone(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.channel_layer.send(self.channel_name, {"type": "news", "text": text_data})
            note(self, hasattr(self.channel_layer, "group_add"))

        async def news(self, event):
            await self.send(event["text"])

    with installed(kind()) as layer:
        visit = await open_visit(build(Alone, colour))
        await settle(60)
        visit.client_sends("hello")
        await settle(60)

        assert visit.texts == ["hello"]
        assert visit.notes == [hasattr(layer, "group_add")]
        assert facts.alarms == []
        await visit.leave()


@groupless
@both_colours
@virtual
async def test_declared_groups_on_a_layer_without_groups_fail_as_in_channels(colour, kind, facts):
    with installed(kind()):
        visit = Visit(build(Member, colour))
        await settle(5)

        assert visit.sent == [{"type": "websocket.close"}]
        assert await visit.ended() is None

    errors = [failed.error for failed in facts("handler.error")]
    assert errors in (["InvalidChannelLayerError"], ["NotImplementedError"])
