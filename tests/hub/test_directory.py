"""The local side of a hub: who is where, and who is handed what."""

import asyncio
import random
import threading

import pytest

from hub.doubles import Box
from resilient_channels.core.frames import make_broadcast
from resilient_channels.layers import directory as module
from resilient_channels.layers.directory import DESERTED, Directory, put_to
from resilient_channels.layers.mailbox import Mailbox
from support.couriers import until
from support.loop import virtual

EVENT = {"type": "news", "list": [1]}


def make(**boxes):
    """A directory with a box per name."""
    directory = Directory(lambda: "default")
    for name, box in boxes.items():
        directory.register(name, box)
    return directory


# --- who is there ----------------------------------------------------------------------------


def test_the_first_who_joins_and_the_last_who_leaves_are_told_apart():
    directory, one, two = make(), Box(), Box()

    assert [directory.join("room", "1", one), directory.join("room", "2", two)] == [True, False]
    assert directory.join("room", "1", one) is False
    assert [directory.leave("room", "1"), directory.leave("room", "2")] == [False, True]
    assert directory.leave("room", "2") is False
    assert directory.groups == {}
    assert one.groups == two.groups == set()


def test_a_channel_that_is_forgotten_is_in_no_group_and_the_empty_ones_are_told():
    one, two = Box(), Box()
    directory = make(one=one, two=two)
    for group in ("alone", "shared"):
        directory.join(group, "one", one)
    directory.join("shared", "two", two)

    assert directory.unregister("one") == ["alone"]

    assert directory.channels == {"two": two}
    assert directory.groups == {"shared": {"two": two}}
    assert directory.unregister("one") == []


def test_clearing_keeps_live_connections_and_takes_them_out_of_their_groups():
    box, mailbox = Box(), Mailbox(10, 60)
    directory = make(box=box, mailbox=mailbox)
    for name, each in (("box", box), ("mailbox", mailbox)):
        directory.join("room", name, each)

    assert directory.clear() == ["mailbox"]

    assert directory.channels == {"box": box}
    assert directory.groups == {}
    assert box.groups == mailbox.groups == set()


def test_unused_channels_have_longer_when_they_are_in_a_group():
    boxes = {"old": Box(), "member": Box(), "new": Box()}
    directory = make(**boxes)
    directory.join("room", "member", boxes["member"])
    for name, seconds in (("old", 61), ("member", 61), ("new", 59)):
        boxes[name].unused_for = seconds

    assert directory.find_unused(60, 86_400) == ["old"]
    boxes["member"].unused_for = 86_401
    assert directory.find_unused(60, 86_400) == ["old", "member"]


@pytest.mark.parametrize("seed", range(20))
def test_groups_and_boxes_agree_whatever_happens(seed):
    rng = random.Random(seed)
    boxes = {str(number): Box() for number in range(10)}
    directory = make(**boxes)
    truth = set()
    for _ in range(300):
        group, channel = str(rng.randrange(5)), str(rng.randrange(10))
        if rng.random() < 0.1:
            directory.unregister(channel)
            directory.register(channel, boxes[channel])
            truth = {(g, c) for g, c in truth if c != channel}
        elif rng.random() < 0.5:
            was_empty = not any(g == group for g, _ in truth)
            assert directory.join(group, channel, boxes[channel]) is was_empty
            truth.add((group, channel))
        else:
            is_last = {(g, c) for g, c in truth if g == group} == {(group, channel)}
            assert directory.leave(group, channel) is is_last
            truth.discard((group, channel))

    assert {(g, c) for g, members in directory.groups.items() for c in members} == truth
    assert {(g, c) for c, box in boxes.items() for g in box.groups} == truth


# --- who is handed what ----------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
@virtual
async def test_every_member_is_handed_a_copy(at_once):
    boxes = {str(number): Box() for number in range(3)}
    directory = make(**boxes)
    for name, box in boxes.items():
        directory.join("room", name, box)

    if at_once:
        directory.deliver("room", EVENT)
    else:
        await directory.fan_out("room", EVENT)

    copies = [box.events[0] for box in boxes.values()]
    assert copies == [EVENT] * 3
    assert len({id(copy) for copy in [*copies, EVENT]}) == 4


@virtual
async def test_others_get_their_turn_while_a_crowd_is_served():
    boxes = {str(number): Box() for number in range(1000)}
    directory = make(**boxes)
    for name, box in boxes.items():
        directory.join("room", name, box)
    turns = []

    async def count_turns():
        while len(turns) < 100:
            turns.append(sum(len(box.events) for box in boxes.values()))
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count_turns())
    await directory.fan_out("room", EVENT)

    assert [len(box.events) for box in boxes.values()] == [1] * 1000
    assert [served for served in turns if served][:4] == [200, 400, 600, 800]
    await counting


@virtual
async def test_who_leaves_while_a_crowd_is_served_may_be_served_and_hurts_nobody():
    boxes = {str(number): Box() for number in range(500)}
    directory = make(**boxes)
    for name, box in boxes.items():
        directory.join("room", name, box)
    serving = asyncio.ensure_future(directory.fan_out("room", EVENT))
    await asyncio.sleep(0)

    for name in list(boxes)[::2]:
        directory.unregister(name)
    await serving

    assert [len(box.events) for name, box in boxes.items() if name in directory.channels] == (
        [1] * 250
    )


@virtual
async def test_a_group_without_members_is_no_error():
    directory = make()
    directory.deliver("room", EVENT)
    await directory.fan_out("room", EVENT)


@virtual
async def test_a_broadcast_is_one_text_for_all_and_an_event_without_its_mark():
    box, mailbox = Box(), Mailbox(10, 60)
    directory = make(box=box, mailbox=mailbox)
    for name, each in (("box", box), ("mailbox", mailbox)):
        directory.join("room", name, each)

    directory.deliver("room", make_broadcast("chat.message", [1]))

    assert list(box.frames) == ["[1]"]
    assert list(box.events) == []
    assert await mailbox.get() == {"type": "chat.message", "payload": [1]}


@pytest.mark.parametrize("event", [{"rc.broadcast": 1}, {"rc.broadcast": 1, "payload": object()}])
@virtual
async def test_somebody_elses_idea_of_a_broadcast_is_an_event(event):
    box = Box()
    directory = make(box=box)
    directory.join("room", "box", box)

    directory.deliver("room", event)

    assert [set(got) for got in box.events] == [set(event) - {"rc.broadcast"}]


async def test_a_box_of_another_loop_is_served_there():
    """And by that loop's thread alone."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    served_by = []

    class There(Box):
        def put(self, event):
            served_by.append(threading.current_thread())
            return super().put(event)

    box = There(loop=loop)
    directory = make(box=box)
    directory.join("room", "box", box)
    try:
        directory.deliver("room", EVENT)
        directory.put(box, EVENT)
        assert put_to(box, EVENT) is True
        await until(lambda: len(box.events) == 3)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    assert served_by == [thread] * 3
    directory.deliver("room", EVENT)  # to a loop that is closed: nobody is there
    assert put_to(box, EVENT) is True


# --- losses ----------------------------------------------------------------------------------


@virtual
async def test_losses_are_counted_with_the_channels_that_lost(facts):
    boxes = {"full": Box(room=0), "fuller": Box(room=0), "empty": Box()}
    directory = make(**boxes)
    for name, box in boxes.items():
        directory.join("room", name, box)

    for _ in range(3):
        directory.deliver("room", EVENT)
    directory.put(boxes["full"], EVENT)
    await asyncio.sleep(20)

    assert [(r.dropped, r.channels, r.alias) for r in facts] == [(7, 2, "default")]


@virtual
async def test_a_channel_that_was_deserted_long_ago_is_not_told_of(facts):
    box = Box(room=0)
    box.unused_for = DESERTED + 1
    directory = make(box=box)

    directory.put(box, EVENT)
    await asyncio.sleep(20)

    assert facts == []


@virtual
async def test_only_so_many_channels_are_told_apart(facts, monkeypatch):
    monkeypatch.setattr(module, "MAX_COUNTED", 5)
    boxes = [Box(room=0) for _ in range(10)]
    directory = make()

    for box in boxes:
        directory.put(box, EVENT)
    await asyncio.sleep(20)

    assert [(record.dropped, record.channels) for record in facts] == [(10, 5)]


def test_a_loss_on_a_thread_without_a_loop_is_counted_with_the_next(facts):
    directory = make()
    directory.put(Box(room=0), EVENT)

    @virtual
    async def later():
        directory.put(Box(room=0), EVENT)
        await asyncio.sleep(20)

    later()

    assert [record.dropped for record in facts] == [2]


@pytest.fixture
def facts(monkeypatch):
    """The events that were told of."""
    told = []
    monkeypatch.setattr(module, "notify", told.append)
    return told
