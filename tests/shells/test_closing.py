"""What a close is: once, legal, and the last thing that is written."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import SendOutcome, on_disconnect
from shells.visits import both_colours, build, note, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES, DAPHNE

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


class Closer(AsyncWebsocketConsumer):
    """Closes in the middle of a handler, and goes on."""

    async def receive(self, text_data=None, bytes_data=None):
        if text_data != "go":
            return
        await self.close(4001, "enough")
        await self.send("late")
        note(self, await self.safe_send("later"))
        await self.close(4002)
        note(self, await self.safe_close())


@every_server
@both_colours
@virtual
async def test_after_our_own_close_nothing_is_written(colour, style):
    visit = await open_visit(build(Closer, colour), style=style)

    visit.client_sends("go")

    assert await visit.ended() is None
    assert visit.notes == [SendOutcome.CLOSED, SendOutcome.CLOSED]
    assert visit.texts == []
    assert visit.closes == [4001]
    assert visit.refused == []


@virtual
async def test_another_tasks_frame_does_not_slip_in_behind_a_close_that_is_being_written():
    async def slow_close(message):
        if message["type"] == "websocket.close":
            await asyncio.sleep(1)

    visit = await open_visit(build(Reporter), on_send=slow_close)
    closing = asyncio.create_task(visit.consumer.close())
    await settle()

    outcome = await visit.consumer.safe_send("late")

    await closing
    assert await visit.ended() is None
    assert outcome is SendOutcome.CLOSED
    assert [sent["type"] for sent in visit.sent] == ["websocket.accept", "websocket.close"]


@both_colours
@virtual
async def test_a_close_is_not_waited_for_by_a_client_that_never_answers(colour):
    class Silent(type(DAPHNE)):
        def own_close(self, server, message):
            return {"type": "websocket.receive", "text": "still here"}

    visit = await open_visit(build(Closer, colour), style=Silent())

    visit.client_sends("go")

    assert await visit.ended() is None
    assert visit.notes == [SendOutcome.CLOSED, SendOutcome.CLOSED]


@both_colours
@virtual
async def test_safe_close_closes_with_its_code_and_reason(colour):
    class Polite(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            note(self, await self.safe_close(3000, "go away"))

    visit = await open_visit(build(Polite, colour))

    visit.client_sends("go")

    assert await visit.ended() is None
    assert visit.notes == [SendOutcome.SENT]
    assert visit.sent[-1] == {"type": "websocket.close", "code": 3000, "reason": "go away"}
    assert visit.consumer.resilient.info.reason == "go away"


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1])
@both_colours
@virtual
async def test_an_illegal_close_code_is_refused_before_the_server_sees_it(colour, code):
    class Wrong(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await self.close(int(text_data))
            except ValueError as error:
                note(self, str(error))
            await self.send("still open")

    visit = await open_visit(build(Wrong, colour))

    visit.client_sends(str(code))
    await settle()

    assert visit.closes == []
    assert visit.texts == ["still open"]
    assert str(code) in visit.notes[0]
    assert "4000-4999" in visit.notes[0]
    await visit.leave()


@pytest.mark.parametrize("code", ["1000", 1000.0, False])
@virtual
async def test_a_close_code_that_is_no_number_is_refused_before_the_server_sees_it(code):
    visit = await open_visit(build(Reporter))

    with pytest.raises(TypeError, match="close code must be an int"):
        await visit.consumer.close(code)

    assert visit.closes == []
    await visit.leave()


@virtual
async def test_a_close_reason_over_123_bytes_is_refused_before_the_server_sees_it():
    visit = await open_visit(build(Reporter))

    with pytest.raises(ValueError, match="124 bytes"):
        await visit.consumer.close(4000, "ü" * 62)

    assert visit.closes == []
    await visit.consumer.close(4000, "ü" * 61)
    assert await visit.ended() is None
    assert visit.closes == [4000]


@both_colours
@virtual
async def test_a_close_code_that_daphne_refuses_leaves_the_connection_open(colour, facts):
    class Wrong(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            if text_data == "close":
                await self.close(1011)
            await self.send("still open")

    visit = await open_visit(build(Wrong, colour), style=DAPHNE)

    visit.client_sends("close")
    visit.client_sends("speak")
    await settle()

    assert visit.texts == ["still open"]
    assert visit.consumer.resilient.info is None
    assert facts.alarms == ["handler.error"]
    await visit.leave()
    assert facts("connection.closed")[0].kind == "client"
