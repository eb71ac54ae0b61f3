"""A peer that does not read is given up in time, and nobody else is."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import DisconnectKind, SendOutcome, on_disconnect
from shells.visits import both_colours, build, note, now, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES


class Sender(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "go":
            note(self, await self.safe_send("text"))

    @on_disconnect(DisconnectKind.TIMEOUT)
    async def gave_up(self, info):
        note(self, info.code, info.certain)

    async def disconnect(self, code):
        note(self, "disconnect", code)


class FullBuffer:
    """An ``on_send`` that takes no frame before it is drained; close frames pass."""

    def __init__(self):
        self.drained = asyncio.Event()

    async def __call__(self, message):
        if message["type"] == "websocket.send":
            await self.drained.wait()


@pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)
@both_colours
@virtual
async def test_a_peer_that_does_not_read_is_given_up_after_the_deadline(colour, style, facts):
    visit = await open_visit(build(Sender, colour), on_send=FullBuffer(), style=style)
    started = now()

    visit.client_sends("go")

    assert await visit.ended() is None
    assert now() - started == pytest.approx(30, abs=2.5)
    assert visit.notes == [SendOutcome.TIMED_OUT, (3420, True), ("disconnect", 3420)]
    assert visit.closes == [3420]
    assert facts("connection.closed")[0].kind == "timeout"
    assert [timeout.deadline for timeout in facts("send.timeout")] == [30.0]
    assert facts.alarms == []


@virtual
async def test_a_server_that_blocks_the_close_frame_too_cannot_hold_the_cleanup():
    async def block(message):
        if message["type"] != "websocket.accept":
            await asyncio.get_running_loop().create_future()

    visit = await open_visit(build(Sender), on_send=block)
    started = now()

    visit.client_sends("go")

    assert await visit.ended() is None
    assert now() - started < 30 + 8
    assert visit.notes[-1] == ("disconnect", 3420)
    await settle(1)  # the close frame is given up, too


@both_colours
@virtual
async def test_the_deadline_is_the_consumers_own(colour):
    visit = await open_visit(build(Sender, colour, SEND={"deadline": 3}), on_send=FullBuffer())
    started = now()

    visit.client_sends("go")

    assert await visit.ended() is None
    assert now() - started == pytest.approx(3, abs=2)


@both_colours
@virtual
async def test_any_frame_of_the_peer_starts_the_deadline_anew(colour):
    buffer = FullBuffer()
    visit = await open_visit(build(Sender, colour), on_send=buffer)
    visit.client_sends("go")

    for _ in range(6):
        await settle(20)
        visit.client_sends("I am here")
    await settle(29)
    assert visit.notes == []
    buffer.drained.set()
    await settle()

    assert visit.notes == [SendOutcome.SENT]
    assert visit.texts == ["text"]
    await visit.leave()


@both_colours
@virtual
async def test_a_peer_that_falls_silent_is_given_up_a_deadline_after_its_last_frame(colour):
    visit = await open_visit(build(Sender, colour), on_send=FullBuffer())
    started = now()
    visit.client_sends("go")

    await settle(20)
    visit.client_sends("I am here")

    assert await visit.ended() is None
    assert now() - started == pytest.approx(50, abs=2)


@both_colours
@virtual
async def test_without_a_deadline_a_peer_may_take_for_ever(colour):
    buffer = FullBuffer()
    visit = await open_visit(build(Sender, colour, SEND={"deadline": None}), on_send=buffer)
    visit.client_sends("go")

    await settle(24 * 3600)
    assert visit.notes == []
    buffer.drained.set()
    await settle()

    assert visit.notes == [SendOutcome.SENT]
    await visit.leave()


@virtual
async def test_every_sender_that_waits_learns_that_the_peer_was_given_up():
    visit = await open_visit(build(Sender), on_send=FullBuffer())

    outcomes = await asyncio.gather(*(visit.consumer.safe_send("text") for _ in range(3)))

    assert await visit.ended() is None
    assert outcomes == [SendOutcome.TIMED_OUT] * 3
    assert visit.closes == [3420]
    assert visit.notes == [(3420, True), ("disconnect", 3420)]


@pytest.mark.parametrize("after", [10, 30])
@virtual
async def test_a_task_that_somebody_else_cancels_in_a_send_is_cancelled(after):
    visit = await open_visit(build(Sender), on_send=FullBuffer())
    sending = asyncio.create_task(visit.consumer.safe_send("text"))
    asyncio.get_running_loop().call_later(after, sending.cancel)

    with pytest.raises(asyncio.CancelledError):
        await sending

    await visit.leave()


@virtual
async def test_the_deadline_of_a_cancelled_send_does_nothing_later():
    visit = await open_visit(build(Sender), on_send=FullBuffer())
    sending = asyncio.create_task(visit.consumer.safe_send("text"))
    await settle(10)

    sending.cancel()
    await settle(60)

    assert sending.cancelled()
    assert visit.closes == []
    assert visit.consumer.resilient.info is None
    await visit.leave()


@virtual
async def test_a_deadline_inside_a_timeout_of_the_callers_own_leaves_that_alone():
    visit = await open_visit(build(Sender), on_send=FullBuffer())

    async with asyncio.timeout(100) as timeout:
        outcome = await visit.consumer.safe_send("text")
        await asyncio.sleep(1)

    assert outcome is SendOutcome.TIMED_OUT
    assert not timeout.expired()
    assert await visit.ended() is None


@virtual
async def test_a_timeout_of_the_callers_own_wins_over_a_longer_deadline():
    visit = await open_visit(build(Sender), on_send=FullBuffer())

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await visit.consumer.safe_send("text")

    assert visit.consumer.resilient.info is None
    await visit.leave()


@pytest.mark.parametrize("error", [None, OSError("gone"), RuntimeError("weird")], ids=repr)
@virtual
async def test_a_server_that_answers_a_cancellation_in_its_own_way_leaves_no_trace_of_it(error):
    """Symptom: from then on the handler's task counted as cancelled."""

    class Patient(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                note(self, await self.safe_send("text"))
            except RuntimeError as raised:
                note(self, str(raised))
            note(self, asyncio.current_task().cancelling())

    async def swallow(message):
        if message["type"] == "websocket.send":
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                if error is not None:
                    raise error from None

    visit = await open_visit(build(Patient), on_send=swallow)
    visit.client_sends("go")
    await settle(40)

    assert visit.notes[-1] == 0
    await visit.leave()
