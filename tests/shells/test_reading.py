"""How far the reader runs ahead of the handlers, and what it sees meanwhile."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from resilient_channels import DisconnectKind, SendOutcome, on_disconnect
from shells.visits import both_colours, build, note, now, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES, UVICORN


class Slow(AsyncWebsocketConsumer):
    """Takes ten seconds for each frame."""

    async def receive(self, text_data=None, bytes_data=None):
        note(self, text_data)
        await self.pause(10)


class Stuck(AsyncWebsocketConsumer):
    """Takes an hour for the first frame."""

    async def receive(self, text_data=None, bytes_data=None):
        await self.pause(3600)

    @on_disconnect
    async def ended(self, info):
        note(self, info.code, info.kind)


class Echo(AsyncWebsocketConsumer):
    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data, bytes_data)

    async def news(self, event):
        await self.send(event["text"])


def frames_read(visit):
    return len(visit.received) - 1  # the first was websocket.connect


# --- bounds ----------------------------------------------------------------------------------


@both_colours
@virtual
async def test_while_a_handler_runs_eight_frames_are_read_ahead_and_no_more(colour):
    visit = await open_visit(build(Slow, colour))
    for number in range(30):
        visit.client_sends(str(number))

    await settle(5)

    assert visit.notes == ["0"]
    assert frames_read(visit) == 1 + 8
    await visit.leave_at_once()


@both_colours
@virtual
async def test_each_handler_that_returns_makes_room_for_one_frame(colour):
    visit = await open_visit(build(Slow, colour))
    for number in range(30):
        visit.client_sends(str(number))

    await settle(25)

    assert visit.notes == ["0", "1", "2"]
    assert frames_read(visit) == 3 + 8
    await visit.leave_at_once()


@both_colours
@virtual
async def test_no_more_is_read_ahead_than_fits_into_262144_bytes(colour):
    visit = await open_visit(build(Slow, colour))
    visit.client_sends("first")
    for _ in range(8):
        visit.client_sends("x" * 100_000)

    await settle(5)

    assert frames_read(visit) == 1 + 3
    await visit.leave_at_once()


@both_colours
@virtual
async def test_bytes_count_as_text_does(colour):
    visit = await open_visit(build(Slow, colour, INBOX={"bytes": 1000}))
    visit.client_sends("first")
    for _ in range(8):
        visit.client_sends(b"x" * 500)

    await settle(5)

    assert frames_read(visit) == 1 + 2
    await visit.leave_at_once()


@both_colours
@virtual
async def test_one_frame_of_any_size_is_read_ahead_and_handled(colour):
    visit = await open_visit(build(Slow, colour))
    visit.client_sends("first")
    visit.client_sends("x" * 10_000_000)
    visit.client_sends("third")

    await settle(5)
    assert frames_read(visit) == 1 + 1
    await settle(10)

    assert len(visit.notes[1]) == 10_000_000
    assert frames_read(visit) == 1 + 2
    await visit.leave_at_once()


@virtual
async def test_the_bounds_are_the_consumers_own():
    visit = await open_visit(build(Slow, INBOX={"frames": 1}))
    for number in range(5):
        visit.client_sends(str(number))

    await settle(5)

    assert frames_read(visit) == 1 + 1
    await visit.leave_at_once()


# --- order -----------------------------------------------------------------------------------


@both_colours
@virtual
async def test_frames_are_handled_in_the_order_they_came(colour):
    visit = await open_visit(build(Echo, colour))

    for number in range(50):
        visit.client_sends(str(number))
    await settle()

    assert visit.texts == [str(number) for number in range(50)]
    await visit.leave()


@both_colours
@virtual
async def test_frames_and_events_of_the_layer_take_turns(colour):
    class Patient(AsyncWebsocketConsumer):
        groups = ["room"]

        async def receive(self, text_data=None, bytes_data=None):
            note(self, text_data)
            await self.pause(1)

        async def news(self, event):
            note(self, event["text"])
            await self.pause(1)

    visit = await open_visit(build(Patient, colour))
    for number in range(4):
        visit.client_sends(f"frame {number}")
        await get_channel_layer().group_send("room", {"type": "news", "text": f"event {number}"})

    await settle(10)

    kinds = [entry.split()[0] for entry in visit.notes]
    assert kinds[1:] == [kinds[1], kinds[2]] * 3 + [kinds[1]]
    assert [entry for entry in visit.notes if "frame" in entry] == [f"frame {n}" for n in range(4)]
    assert [entry for entry in visit.notes if "event" in entry] == [f"event {n}" for n in range(4)]
    await visit.leave()


@both_colours
@virtual
async def test_a_client_that_never_stops_cannot_keep_events_out(colour):
    visit = await open_visit(build(Echo, colour))
    for _ in range(500):
        visit.client_sends("chatter")

    await get_channel_layer().group_send("room", {"type": "news", "text": "news"})
    await settle()

    assert "news" in visit.texts[:20]
    await visit.leave()


# --- a client that leaves --------------------------------------------------------------------


@pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)
@both_colours
@virtual
async def test_a_handler_can_see_that_its_client_has_left(colour, style):
    class Watching(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            note(self, self.resilient.info)
            await self.pause(2)
            note(self, self.resilient.info.kind, await self.safe_send("late"))

    visit = await open_visit(build(Watching, colour), style=style)
    visit.client_sends("go")
    await settle(1)

    visit.client_vanishes()

    assert await visit.ended() is None
    assert visit.notes == [None, (DisconnectKind.LOST, SendOutcome.CLOSED)]


@both_colours
@virtual
async def test_frames_that_were_read_before_the_client_left_are_handled_first(colour):
    class Recorder(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.pause(1)
            note(self, text_data)

        async def disconnect(self, code):
            note(self, "disconnect", code)

    visit = await open_visit(build(Recorder, colour))
    for text in ("one", "two", "three"):
        visit.client_sends(text)

    await visit.leave(4000)

    assert visit.notes == ["one", "two", "three", ("disconnect", 4000)]


@both_colours
@virtual
async def test_events_that_waited_when_the_client_left_are_not_handled(colour):
    class Recorder(AsyncWebsocketConsumer):
        groups = ["room"]

        async def receive(self, text_data=None, bytes_data=None):
            await self.pause(1)
            note(self, text_data)

        async def news(self, event):
            note(self, "news")

    visit = await open_visit(build(Recorder, colour))
    visit.client_sends("one")
    await settle(0.5)
    await get_channel_layer().group_send("room", {"type": "news"})

    await visit.leave()

    assert visit.notes == ["one"]


@both_colours
@virtual
async def test_a_client_that_leaves_behind_a_full_inbox_is_seen_when_there_is_room(colour):
    visit = await open_visit(build(Slow, colour, TEARDOWN={"timeout": 100}))
    for number in range(9):
        visit.client_sends(str(number))
    await settle(1)

    visit.client_closes()
    await settle(5)
    assert visit.consumer.resilient.info is None
    await settle(5)

    assert visit.consumer.resilient.info.kind is DisconnectKind.CLIENT
    assert await visit.ended() is None


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("broken"), EOFError()])
@both_colours
@virtual
async def test_a_server_whose_receive_raises_has_lost_its_client(colour, error):
    class Recorder(AsyncWebsocketConsumer):
        async def disconnect(self, code):
            note(self, code)

    visit = await open_visit(build(Recorder, colour))
    visit.feed({"type": "websocket.receive", "text": "one"})
    visit.faults.at, visit.faults.fault = len(visit.faults.passed) + 1, error

    assert await visit.ended() is None
    assert visit.notes == [1006]


# --- a consumer that cannot keep up ----------------------------------------------------------


@both_colours
@virtual
async def test_an_inbox_that_stays_full_is_one_warning_and_then_the_end(colour, facts):
    visit = await open_visit(build(Stuck, colour), style=UVICORN)
    started = now()
    for number in range(20):
        visit.client_sends(str(number))

    await settle(29)
    assert facts("inbox.full") == []
    await settle(270)
    assert visit.closes == []
    await settle(2)

    assert visit.closes == [3503]
    assert [(full.full_for, full.frames) for full in facts("inbox.full")] == [(30.0, 8)]
    assert await visit.ended() is None
    assert now() - started < 300 + 8 + 1
    assert visit.notes == [(3503, DisconnectKind.ERROR)]


@both_colours
@virtual
async def test_a_consumer_that_catches_up_in_time_is_not_closed(colour, facts):
    visit = await open_visit(build(Slow, colour, INBOX={"frames": 1}))

    for number in range(60):
        visit.client_sends(str(number))
    await settle(60 * 10 + 1)

    assert len(visit.notes) == 60
    assert visit.closes == []
    assert facts.alarms == []
    await visit.leave()


@virtual
async def test_without_a_limit_a_full_inbox_never_closes():
    visit = await open_visit(build(Stuck, INBOX={"close_after": None}))
    for number in range(20):
        visit.client_sends(str(number))

    await settle(3000)

    assert visit.closes == []
    await visit.leave_at_once()


@virtual
async def test_a_close_for_overload_does_not_wait_for_a_client_that_does_not_read():
    async def block(message):
        if message["type"] == "websocket.close":
            await asyncio.get_running_loop().create_future()

    visit = await open_visit(build(Stuck), on_send=block)
    started = now()
    for number in range(20):
        visit.client_sends(str(number))

    assert await visit.ended() is None
    assert now() - started < 300 + 8 + 1
    await settle(40)  # the close frame has a deadline of its own
