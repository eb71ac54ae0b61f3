"""``on_error``: a consumer that wants to hear of its handlers' failures."""

import asyncio

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from shells.visits import Visit, both_colours, build, note, open_visit, settle
from support.loop import virtual


class Hooked(AsyncJsonWebsocketConsumer):
    groups = ["room"]

    async def receive_json(self, content):
        raise LookupError(content)

    async def news(self, event):
        raise KeyError(event["text"])

    async def on_error(self, error, message):
        note(self, type(error), message["type"])
        await self.safe_send("I heard")


@both_colours
@virtual
async def test_the_hook_gets_the_exception_and_the_message(colour, facts):
    visit = await open_visit(build(Hooked, colour))

    visit.client_sends("1")
    await settle()
    await get_channel_layer().group_send("room", {"type": "news", "text": "x"})
    await settle()

    assert visit.notes == [(LookupError, "websocket.receive"), (KeyError, "news")]
    assert visit.texts == ["I heard", "I heard"]
    assert facts.alarms == ["handler.error", "handler.error"]
    await visit.leave()


@both_colours
@virtual
async def test_the_hook_does_not_hear_of_bad_input(colour):
    visit = await open_visit(build(Hooked, colour))

    visit.client_sends("{")
    await settle()

    assert visit.notes == []
    await visit.leave()


@both_colours
@virtual
async def test_a_hook_that_fails_is_logged_and_changes_nothing(colour, facts):
    class Clumsy(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            if text_data == "fail":
                raise LookupError
            await self.send(text_data)

        async def on_error(self, error, message):
            raise ZeroDivisionError

    visit = await open_visit(build(Clumsy, colour))

    visit.client_sends("fail")
    visit.client_sends("go on")
    await settle()

    assert visit.texts == ["go on"]
    assert [failed.handler for failed in facts("handler.error")] == [
        "websocket.receive",
        "on_error",
    ]
    await visit.leave()


@virtual
async def test_a_hook_that_runs_into_a_cancellation_of_its_own_changes_nothing(facts):
    class Clumsy(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            if text_data == "fail":
                raise LookupError
            await self.send(text_data)

        async def on_error(self, error, message):
            raise asyncio.CancelledError

    visit = await open_visit(build(Clumsy))

    visit.client_sends("fail")
    visit.client_sends("go on")
    await settle()

    assert visit.texts == ["go on"]
    await visit.leave()


@both_colours
@virtual
async def test_the_hook_hears_of_an_error_in_connect(colour):
    class Refusing(AsyncWebsocketConsumer):
        async def connect(self):
            raise LookupError

        async def on_error(self, error, message):
            note(self, type(error), message["type"])

    visit = Visit(build(Refusing, colour))

    assert await visit.ended() is None
    assert visit.notes == [(LookupError, "websocket.connect")]


@both_colours
@virtual
async def test_an_event_handler_of_the_hooks_name_stays_an_event_handler(colour, facts):
    class Monitor(AsyncWebsocketConsumer):
        groups = ["room"]

        async def receive(self, text_data=None, bytes_data=None):
            raise LookupError

        async def on_error(self, event):
            await self.send(event["text"])

    visit = await open_visit(build(Monitor, colour))

    visit.client_sends("fail")
    await get_channel_layer().group_send("room", {"type": "on.error", "text": "from afar"})
    await settle()

    assert visit.texts == ["from afar"]
    assert facts.alarms == ["handler.error"]
    await visit.leave()


@both_colours
@virtual
async def test_no_event_of_the_layer_reaches_the_hook(colour, facts):
    visit = await open_visit(build(Hooked, colour))

    await get_channel_layer().group_send("room", {"type": "on.error"})
    await settle()

    assert visit.notes == []
    assert [unhandled.cause for unhandled in facts("event.unhandled")] == ["reserved"]
    await visit.leave()


@pytest.mark.parametrize("mode", ["close", "isolate"])
@both_colours
@virtual
async def test_the_hook_can_still_speak_before_the_close(colour, mode):
    visit = await open_visit(build(Hooked, colour, ERRORS={"mode": mode, "budget": 0}))

    visit.client_sends("1")

    assert await visit.ended() is None
    assert visit.texts == ["I heard"]
    assert visit.closes == [3500]
