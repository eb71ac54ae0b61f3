"""The channel layer goes away and comes back; the connections stay."""

import logging

import pytest

from shells.members import FAILURES, Curious, Member, break_down, hears, outage
from shells.visits import both_colours, build, note, now, open_visit, settle
from support.faults import HANG
from support.hubs import reached
from support.loop import virtual

every_failure = pytest.mark.parametrize("fault", FAILURES, ids=repr)


class Speaker(Member):
    """Says to its group what its client says."""

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send("room", {"type": "news", "text": text_data})


async def leave_all(visits):
    for visit in visits:
        await visit.leave()


# --- an outage -------------------------------------------------------------------------------


@every_failure
@both_colours
@virtual
async def test_an_outage_closes_nobody_and_membership_is_back_after_it(colour, fault, layer, facts):
    visit = await open_visit(build(Member, colour))

    await outage(layer, fault)
    layer.lose_groups()
    await settle(8)

    assert visit.closes == []
    assert await hears(layer, visit) == [True]
    assert facts.alarms == ["layer.down"]
    await visit.leave()


@every_failure
@virtual
async def test_an_outage_is_one_warning_and_its_end_one_info_for_all(fault, layer, facts):
    visits = [await open_visit(build(Member)) for _ in range(20)]
    await settle(5)
    joined = layer.count_memberships()

    await outage(layer, fault, 60)
    layer.lose_groups()
    await settle(10)

    (down,), (up,) = facts("layer.down"), facts("layer.up")
    assert (down.levelno, down.alias, down.connections) == (logging.WARNING, "default", 20)
    assert (up.levelno, up.alias, up.groups) == (logging.INFO, "default", joined)
    assert up.downtime == pytest.approx(60, abs=12)
    assert await hears(layer, *visits) == [True] * 20
    await leave_all(visits)


@virtual
async def test_two_outages_are_told_twice(layer, facts):
    visit = await open_visit(build(Member))

    for _ in range(2):
        await outage(layer, ConnectionError(), 20)
        await settle(10)

    assert len(facts("layer.down")) == len(facts("layer.up")) == 2
    await visit.leave()


@pytest.mark.parametrize("fault", [ConnectionError(), TimeoutError(), RuntimeError()], ids=repr)
@virtual
async def test_delivery_resumes_within_two_seconds_of_the_layers_return(fault, layer):
    visits = [await open_visit(build(Member)) for _ in range(10)]

    await outage(layer, fault, 60)
    layer.lose_groups()
    await settle(2)

    assert await hears(layer, *visits) == [True] * 10
    await leave_all(visits)


@every_failure
@both_colours
@virtual
async def test_handlers_go_on_during_an_outage(colour, fault, layer):
    visit = await open_visit(build(Member, colour))
    break_down(layer, fault)
    await settle(10)

    visit.client_sends("still there?")
    await settle()

    assert visit.texts == ["still there?"]
    layer.heal()
    await settle(8)
    await visit.leave()


@every_failure
@both_colours
@virtual
async def test_a_client_that_leaves_during_an_outage_is_cleaned_up_in_time(colour, fault, layer):
    class Polite(Member):
        async def disconnect(self, code):
            await self.channel_layer.group_send("room", {"type": "news", "text": "bye"})
            await self.channel_layer.group_discard("room", self.channel_name)
            note(self, "disconnect", code)

    visit = await open_visit(build(Polite, colour))
    break_down(layer, fault)
    await settle(10)
    started = now()

    await visit.leave()

    assert visit.notes == [("disconnect", 1000)]
    assert now() - started <= 8
    layer.heal()
    layer.lose_groups()


@every_failure
@both_colours
@virtual
async def test_a_disconnect_that_meets_the_outage_first_completes_too(colour, fault, layer, facts):
    class Polite(Member):
        async def disconnect(self, code):
            await self.channel_layer.group_send("room", {"type": "news", "text": "bye"})
            note(self, "disconnect", code)

    visit = await open_visit(build(Polite, colour))
    await settle(1)
    break_down(layer, fault)
    started = now()

    await visit.leave()

    assert visit.notes == [("disconnect", 1000)]
    assert now() - started <= 8
    assert "teardown.error" not in facts.alarms
    layer.heal()
    await settle(60)
    layer.lose_groups()


@virtual
async def test_the_last_clients_groups_are_left_when_the_layer_is_back(layer):
    staying, leaving = await open_visit(build(Member)), await open_visit(build(Member))
    layer.break_down(ConnectionError())
    await settle(10)
    await leaving.leave()

    layer.heal()
    await settle(5)

    assert reached(layer, "room") == {staying.consumer.channel_name}
    await staying.leave()


@virtual
async def test_groups_that_all_clients_left_in_an_outage_are_left_when_one_is_back(layer):
    visits = [await open_visit(build(Member)) for _ in range(3)]
    await settle(1)
    layer.break_down(ConnectionError())
    await settle(10)
    for visit in visits:
        await visit.leave()

    layer.heal()
    await settle(10)
    back = await open_visit(build(Member))
    await settle(10)

    assert reached(layer, "room") == {back.consumer.channel_name}
    await back.leave()
    assert layer.groups == {}


@virtual
async def test_a_receive_that_an_outage_froze_for_good_is_no_outage_for_good(layer, facts):
    visit = await open_visit(build(Speaker))
    await settle(5)
    layer.break_down(HANG)
    await settle(30)
    layer.heal()
    await settle(30)

    newcomer = await open_visit(build(Speaker))
    visit.client_sends("from the old to the new")
    await settle(1)

    assert newcomer.texts == ["from the old to the new"]
    assert len(facts("layer.up")) == 1
    await visit.leave()
    await newcomer.leave()


@virtual
async def test_a_receive_that_an_outage_froze_for_good_is_begun_anew(layer):
    visit = await open_visit(build(Member))
    layer.break_down(HANG, "receive")
    await settle(30)
    layer.heal()

    await settle(30)

    assert await hears(layer, visit) == [True]
    await visit.leave()


@virtual
async def test_a_client_that_comes_during_an_outage_hears_of_it_and_is_a_member_after_it(layer):
    first = await open_visit(build(Member))
    layer.break_down(ConnectionError())
    await settle(10)

    visit = await open_visit(build(Curious))
    assert [event["type"] for event in visit.notes] == ["layer.down"]
    layer.heal()
    await settle(5)

    assert [event["type"] for event in visit.notes] == ["layer.down", "layer.up"]
    assert await hears(layer, first, visit) == [True, True]
    await leave_all([first, visit])


# --- what the consumer is told ---------------------------------------------------------------


@both_colours
@virtual
async def test_a_consumer_with_handlers_for_it_is_told(colour, layer):
    visit = await open_visit(build(Curious, colour))
    await settle(5)

    await outage(layer, ConnectionError("refused"), 20)
    await settle(5)

    down, up = visit.notes
    assert down == {"type": "layer.down", "alias": "default", "error": "ConnectionError"}
    assert up == {"type": "layer.up", "alias": "default", "downtime": up["downtime"]}
    assert up["downtime"] == pytest.approx(20, abs=6)
    await visit.leave()


@both_colours
@virtual
async def test_a_handler_for_it_that_fails_is_isolated(colour, layer, facts):
    class Clumsy(Member):
        async def layer_down(self, event):
            raise LookupError

    visit = await open_visit(build(Clumsy, colour, ERRORS={"mode": "close"}))

    await outage(layer, ConnectionError())
    await settle(5)

    assert visit.closes == []
    assert await hears(layer, visit) == [True]
    assert "handler.error" in facts.alarms
    await visit.leave()


@both_colours
@virtual
async def test_a_handler_that_fails_in_an_outage_does_not_spend_the_budget(colour, layer, facts):
    class Direct(Member):
        async def receive(self, text_data=None, bytes_data=None):
            raise ConnectionError("refused")  # from a client of the broker, behind our back

    visit = await open_visit(build(Direct, colour, ERRORS={"mode": "close"}))
    layer.break_down(ConnectionError("refused"))
    await settle(10)

    for _ in range(20):
        visit.client_sends("go")
    await settle()

    assert visit.closes == []
    layer.heal()
    await settle(5)
    await visit.leave()
