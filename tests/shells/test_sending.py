"""What becomes of a frame, and who is told."""

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import ConnectionClosed, DisconnectKind, SendOutcome, on_disconnect
from shells.visits import both_colours, build, note, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


class Reporter(AsyncWebsocketConsumer):
    """Notes what becomes of its answers; waits before the answer to "wait"."""

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "wait":
            await self.pause(2)
        note(self, await self.safe_send(text_data, bytes_data))

    @on_disconnect
    async def ended(self, info):
        note(self, info.kind)


class Persistent(AsyncWebsocketConsumer):
    """Sends the plain way, long after it should."""

    async def receive(self, text_data=None, bytes_data=None):
        await self.pause(2)
        for _ in range(3):
            await self.send("late")
        note(self, "returned")


# --- an open connection ----------------------------------------------------------------------


@every_server
@both_colours
@virtual
async def test_a_frame_that_the_server_took_was_sent(colour, style):
    visit = await open_visit(build(Reporter, colour), style=style)

    visit.client_sends("text")
    visit.client_sends(b"bytes")
    await settle()

    assert visit.texts == ["text", b"bytes"]
    assert visit.notes == [SendOutcome.SENT, SendOutcome.SENT]
    await visit.leave()


@both_colours
@virtual
async def test_safe_send_can_close_behind_its_frame(colour):
    class Goodbye(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            note(self, await self.safe_send("bye", close=4001))

    visit = await open_visit(build(Goodbye, colour))

    visit.client_sends("go")

    assert await visit.ended() is None
    assert visit.notes == [SendOutcome.SENT]
    assert visit.texts == ["bye"]
    assert visit.closes == [4001]


# --- the client has left ---------------------------------------------------------------------


@every_server
@both_colours
@virtual
async def test_a_frame_for_a_client_that_left_is_reported_as_closed(colour, style):
    visit = await open_visit(build(Reporter, colour), style=style)
    visit.client_sends("wait")
    await settle(1)

    visit.client_closes(1001)

    assert await visit.ended() is None
    assert visit.notes == [SendOutcome.CLOSED, DisconnectKind.CLIENT]
    assert visit.texts == []
    assert visit.refused == []


@every_server
@both_colours
@virtual
async def test_a_handlers_plain_sends_after_the_client_left_return_and_are_counted(
    colour, style, facts
):
    visit = await open_visit(build(Persistent, colour), style=style)
    visit.client_sends("go")
    await settle(1)

    visit.client_vanishes()

    assert await visit.ended() is None
    assert visit.notes == ["returned"]
    assert visit.texts == []
    assert [closed.unsent for closed in facts("connection.closed")] == [3]
    assert len(facts("send.dropped")) == 1
    assert facts.alarms == []


@virtual
async def test_a_task_that_outlived_its_handler_learns_that_the_client_left():
    class Starter(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            self.late = asyncio.create_task(self.send_later())

        async def send_later(self):
            await asyncio.sleep(5)
            await self.send("late")

    visit = await open_visit(build(Starter))
    visit.client_sends("go")
    await settle(1)
    await visit.leave(1001)

    with pytest.raises(ConnectionClosed) as raised:
        await visit.consumer.late

    assert isinstance(raised.value, OSError)
    assert raised.value.info == visit.consumer.resilient.info
    assert raised.value.info.code == 1001
    assert "1001" in str(raised.value)


@virtual
async def test_a_task_that_no_handler_started_learns_that_the_client_left():
    visit = await open_visit(build(Reporter))
    await visit.leave()

    with pytest.raises(ConnectionClosed):
        await visit.consumer.send("late")


@virtual
async def test_a_task_outside_of_handlers_gets_an_outcome_from_safe_send():
    visit = await open_visit(build(Reporter))
    first = await visit.consumer.safe_send("early")
    await visit.leave()

    second = await visit.consumer.safe_send("late")

    assert (first, second) == (SendOutcome.SENT, SendOutcome.CLOSED)
    assert visit.texts == ["early"]


@both_colours
async def test_a_thread_of_the_users_own_learns_that_the_client_left(colour):
    # On a real loop: a thread with a loop of its own knows nothing of virtual time.
    visit = await open_visit(build(Reporter, colour))
    send = visit.consumer.send if colour == "sync" else async_to_sync(visit.consumer.send)

    await asyncio.to_thread(send, "early")
    await visit.leave()

    assert visit.texts == ["early"]
    with pytest.raises(ConnectionClosed):
        await asyncio.to_thread(in_a_bare_thread, send, "late")


def in_a_bare_thread(function, *args):
    """Call *function* in a thread that inherits no context; raise what it raised."""
    caught = []

    def call():
        try:
            function(*args)
        except OSError as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    for error in caught:
        raise error


async def send_for_ever(consumer):
    while True:
        await asyncio.sleep(1)
        await consumer.send("tick")


@virtual
async def test_a_spawned_endless_sender_ends_in_silence_when_the_client_leaves(facts):
    class Ticker(AsyncWebsocketConsumer):
        async def connect(self):
            await self.accept()
            self.resilient.spawn(send_for_ever(self))

        async def disconnect(self, code):
            await asyncio.sleep(3)  # long enough for another tick

    visit = await open_visit(build(Ticker))
    await settle(2.5)

    await visit.leave()

    assert visit.texts == ["tick", "tick"]
    assert facts.names == ["connection.opened", "connection.closed"]


@both_colours
@virtual
async def test_a_handler_that_meets_connection_closed_does_not_fail(colour, facts):
    class Delegating(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.pause(1)
            raise ConnectionClosed(None)

    visit = await open_visit(build(Delegating, colour, ERRORS={"mode": "close"}))

    visit.client_sends("go")
    await settle(2)

    assert visit.closes == []
    assert facts.alarms == []
    await visit.leave()
