"""How long an outage is borne, and what is none."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import DisconnectKind, on_disconnect
from shells.members import Member, hears, outage, tell_room
from shells.visits import both_colours, build, note, now, open_visit, settle
from support.layers import ScriptedLayer, installed
from support.loop import virtual

# --- how long it is borne --------------------------------------------------------------------


@both_colours
@virtual
async def test_an_outage_is_borne_for_ever_by_default(colour, layer):
    visit = await open_visit(build(Member, colour))

    await outage(layer, ConnectionError(), 3600)
    await settle(5)

    assert visit.closes == []
    assert await hears(layer, visit) == [True]
    await visit.leave()


class HeldSimple(Member):
    @on_disconnect
    async def ended(self, info):
        note(self, info.code, info.kind)


class Held(Member):
    @on_disconnect(DisconnectKind.LAYER)
    async def gave_up(self, info):
        note(self, info.code, now())


@both_colours
@virtual
async def test_a_hold_closes_with_3504(colour, layer):
    visit = await open_visit(build(HeldSimple, colour, LAYER={"hold": 10}))
    await settle(1)
    layer.break_down(ConnectionError())
    started = now()

    assert await visit.ended() is None

    assert visit.closes == [3504]
    assert visit.notes == [(3504, DisconnectKind.LAYER)]
    assert 10 <= now() - started <= 10 + 5 + 2 + 1
    layer.heal()
    layer.lose_groups()


@virtual
async def test_a_hold_closes_in_a_spread(layer):
    visits = [await open_visit(build(Held, LAYER={"hold": 100})) for _ in range(20)]
    layer.break_down(ConnectionError())
    await asyncio.gather(*(visit.ended() for visit in visits))

    times = sorted(visit.notes[0][1] for visit in visits)

    assert times[-1] - times[0] > 10
    assert times[-1] - times[0] <= 20
    assert len({round(time, 1) for time in times}) > 10
    layer.heal()
    layer.lose_groups()


@virtual
async def test_an_outage_shorter_than_the_hold_closes_nobody(layer):
    visit = await open_visit(build(Held, LAYER={"hold": 30}))

    for _ in range(3):
        await outage(layer, ConnectionError(), 25)
        await settle(10)
    await settle(100)

    assert visit.closes == []
    await visit.leave()


# --- false alarms ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [TimeoutError("read"), ConnectionResetError(), RuntimeError()])
@both_colours
@virtual
async def test_an_idle_receive_that_fails_now_and_then_is_silent(colour, error, layer, facts):
    visit = await open_visit(build(Member, colour))

    for _ in range(360):
        layer.break_down(error, "receive")
        layer.heal()
        await settle(10)

    assert facts.alarms == []
    assert await hears(layer, visit) == [True]
    await visit.leave()


class Deaf(ScriptedLayer):
    """Answers probes, but fails each ``receive`` of a consumer, at once."""

    def __init__(self):
        super().__init__()
        self.refused = 0
        self.deaf_to = set()

    async def receive(self, channel):
        if channel in self.deaf_to:
            self.refused += 1
            raise RuntimeError("not for you")
        return await super().receive(channel)


@both_colours
@virtual
async def test_a_receive_that_always_fails_beside_a_healthy_probe_does_not_spin(colour, facts):
    with installed(Deaf()) as layer:
        visit = await open_visit(build(Member, colour))
        layer.deaf_to.add(visit.consumer.channel_name)
        await tell_room(layer, "wake up")

        await settle(60)
        in_the_first_minute = layer.refused
        calls = layer.calls["group_send"]
        await settle(60)

        assert 10 < in_the_first_minute < 200
        assert layer.refused - in_the_first_minute < 200
        assert layer.calls["group_send"] - calls < 300
        visit.client_sends("still there?")
        await settle()
        assert visit.texts[-1] == "still there?"
        layer.deaf_to.clear()
        await settle(2)
        assert await hears(layer, visit) == [True]
        await visit.leave()


@virtual
async def test_one_stale_connection_is_no_outage(layer, facts):
    visit = await open_visit(build(Member))
    await settle(1)

    for _ in range(20):
        layer.fail("group_send", ConnectionResetError(), 1)
        await settle(5)

    assert facts.alarms == []
    await visit.leave()


@both_colours
@virtual
async def test_a_consumer_that_is_closed_while_it_waits_for_the_layer_leaves_nothing(colour, layer):
    class Waiting(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.channel_layer.group_send("room", {"type": "news", "text": "x"})

    visit = await open_visit(build(Waiting, colour))
    layer.break_down(ConnectionError())
    await settle(10)
    visit.client_sends("go")
    await settle(1)

    await visit.leave()

    layer.heal()
