"""Groups on a hub: one membership of the wrapped layer, however many members there are here."""

from shells.members import Member, hears, tell_room
from shells.roaming import Roaming, ask, leave_all
from shells.visits import both_colours, build, note, open_visit, settle
from support.hubs import on_hubs, reached
from support.loop import virtual

pytestmark = on_hubs


class Scribbler(Member):
    """Writes into the events that it gets."""

    async def news(self, event):
        note(self, event["text"], event["list"])
        event["text"] = "scribbled over"
        event["more"] = True


# --- one membership --------------------------------------------------------------------------


@both_colours
@virtual
async def test_any_number_of_members_is_one_join_and_one_leave(colour, layer):
    await settle(1)
    visits = [await open_visit(build(Roaming, colour)) for _ in range(30)]
    await settle(1)  # the probe's own join is over
    before = layer.calls.copy()

    await ask(visits, "join hall")
    assert layer.calls["group_add"] - before["group_add"] == 1
    assert len(layer.members("hall")) == 1
    assert reached(layer, "hall") == {visit.consumer.channel_name for visit in visits}
    await ask(visits[:29], "leave hall")
    assert layer.calls["group_discard"] == before["group_discard"]
    assert reached(layer, "hall") == {visits[29].consumer.channel_name}
    await ask(visits[29:], "leave hall")

    assert layer.calls["group_discard"] - before["group_discard"] == 1
    assert layer.members("hall") == set()
    await leave_all(visits)


@virtual
async def test_members_that_end_are_one_leave_with_the_last_of_them(layer):
    visits = [await open_visit(build(Member)) for _ in range(10)]
    observer = await open_visit(build(Roaming))
    await settle(1)

    await leave_all(visits[:9])
    assert layer.finished["group_discard"] == 0
    await visits[9].leave()

    assert layer.finished["group_discard"] == 1
    await observer.leave()


@virtual
async def test_a_message_to_a_crowd_is_received_once(layer):
    visits = [await open_visit(build(Member)) for _ in range(50)]
    await settle(1)
    before = layer.finished["receive"]

    await tell_room(layer, "news")

    assert layer.finished["receive"] - before == 1
    assert [visit.texts for visit in visits] == [["news"]] * 50
    await leave_all(visits)


@virtual
async def test_a_crowd_that_is_served_a_part_at_a_time_is_served_whole(layer, monkeypatch):
    monkeypatch.setattr("resilient_channels.layers.directory.AT_ONCE", 3)
    visits = [await open_visit(build(Member)) for _ in range(10)]

    for number in range(5):
        await layer.group_send("room", {"type": "news", "text": str(number)})
    await settle()

    assert [visit.texts for visit in visits] == [["0", "1", "2", "3", "4"]] * 10
    await leave_all(visits)


@virtual
async def test_a_group_joined_twice_is_left_by_one_leave_and_heard_once(layer):
    visit = await open_visit(build(Roaming))
    await ask([visit] * 2, "join room")
    assert await hears(layer, visit) == [True]
    assert len(visit.texts) == 1

    await ask([visit], "leave room")

    assert layer.members("room") == set()
    await visit.leave()


@virtual
async def test_a_discard_of_what_was_never_joined_does_nothing(layer, facts):
    visit = await open_visit(build(Roaming))

    await ask([visit], "leave nowhere")

    assert visit.notes == [("leave", "nowhere")]
    assert facts.alarms == []
    await visit.leave()


# --- what each of them gets ------------------------------------------------------------------


@both_colours
@virtual
async def test_each_member_gets_a_copy_of_its_own(colour, layer):
    visits = [await open_visit(build(Scribbler, colour)) for _ in range(5)]

    await layer.group_send("room", {"type": "news", "text": "news", "list": [1]})
    await settle()

    assert [visit.notes for visit in visits] == [[("news", [1])]] * 5
    await leave_all(visits)


@both_colours
@virtual
async def test_the_senders_own_event_stays_as_it_was(colour, layer):
    class Sender(Scribbler):
        async def receive(self, text_data=None, bytes_data=None):
            event = {"type": "news", "text": "news", "list": []}
            await self.channel_layer.group_send("room", event)
            await self.pause(1)
            note(self, event)

    visit = await open_visit(build(Sender, colour))

    visit.client_sends("go")
    await settle(2)

    assert {"type": "news", "text": "news", "list": []} in visit.notes
    await visit.leave()


@both_colours
@virtual
async def test_events_come_in_the_order_in_which_they_were_sent(colour, layer):
    visits = [await open_visit(build(Member, colour)) for _ in range(3)]
    sent = [str(number) for number in range(40)]

    for text in sent:
        await layer.group_send("room", {"type": "news", "text": text})
    await settle(1)

    assert [visit.texts for visit in visits] == [sent] * 3
    await leave_all(visits)


@virtual
async def test_a_member_of_several_groups_hears_each(layer):
    visit = await open_visit(build(Roaming))
    for group in ("one", "two", "three"):
        await ask([visit], f"join {group}")

    for group in ("three", "one", "two"):
        await layer.group_send(group, {"type": "news", "text": group})
        await settle()

    assert visit.texts == ["three", "one", "two"]
    await visit.leave()


@virtual
async def test_a_consumer_in_many_groups_knows_them_all(layer):
    visit = await open_visit(build(Roaming))
    names = {f"group.{number}" for number in range(20)}
    for name in sorted(names):
        await ask([visit], f"join {name}")
    assert visit.consumer.resilient.groups == names

    for name in sorted(names)[:15]:
        await ask([visit], f"leave {name}")

    assert visit.consumer.resilient.groups == set(sorted(names)[15:])
    assert set(layer.groups) == set(sorted(names)[15:])
    await visit.leave()
    assert layer.groups == {}
