"""A handler that fails, or a frame that cannot be read, is its own affair."""

import asyncio

import pytest
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from resilient_channels import DisconnectKind, on_disconnect
from shells.visits import both_colours, build, note, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES

SECRET = "the password is 1234"


class Fragile(AsyncJsonWebsocketConsumer):
    """Fails when asked to, in a frame or in an event of the layer."""

    groups = ["room"]

    async def receive_json(self, content):
        if content == "fail":
            raise LookupError(SECRET)
        await self.send_json(content)

    async def news(self, event):
        raise LookupError(SECRET)

    @on_disconnect
    async def ended(self, info):
        note(self, info.code, info.kind)


BAD_FRAMES = [
    {"text": "{"},
    {"text": ""},
    {"bytes": b"binary"},
    {"bytes": b""},
    {"text": None},
    {"text": None, "bytes": None},
    {},
    {"text": "[" * 100_000},
    {"text": "1" * 5_000},
]


def feed_frame(visit, frame):
    visit.feed({"type": "websocket.receive", **frame})


@pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)
@both_colours
@virtual
async def test_a_handler_that_fails_does_not_close(colour, style, facts):
    visit = await open_visit(build(Fragile, colour), style=style)

    visit.client_sends('"fail"')
    visit.client_sends('"go on"')
    await settle()

    assert visit.texts == ['"go on"']
    (failed,) = facts("handler.error")
    assert (failed.handler, failed.error, failed.closes) == (
        "websocket.receive",
        "LookupError",
        False,
    )
    assert failed.exc_info is not None
    await visit.leave()


@pytest.mark.parametrize("frame", BAD_FRAMES, ids=lambda frame: repr(frame)[:30])
@both_colours
@virtual
async def test_a_frame_that_cannot_be_read_is_one_warning(colour, frame, facts):
    visit = await open_visit(build(Fragile, colour))

    feed_frame(visit, frame)
    visit.client_sends('"go on"')
    await settle()

    assert visit.texts == ['"go on"']
    assert facts.alarms == ["input.rejected"]
    await visit.leave()


@pytest.mark.parametrize("frame", [{}, {"text": None, "bytes": None}, {"text": None}])
@both_colours
@virtual
async def test_a_frame_without_content_does_not_close_a_consumer_without_json(colour, frame):
    class Echo(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            if text_data is not None:
                await self.send(text_data)

    visit = await open_visit(build(Echo, colour))

    feed_frame(visit, frame)
    visit.client_sends("go on")
    await settle()

    assert visit.texts == ["go on"]
    await visit.leave()


@both_colours
@virtual
async def test_an_event_handler_that_fails_does_not_close_this_member_or_another(colour, facts):
    class Other(AsyncWebsocketConsumer):
        groups = ["room"]

        async def news(self, event):
            await self.send("news")

    visit = await open_visit(build(Fragile, colour))
    other = await open_visit(build(Other, colour))

    await get_channel_layer().group_send("room", {"type": "news"})
    await settle()

    assert other.texts == ["news"]
    assert visit.consumer.resilient.info is None
    assert [failed.handler for failed in facts("handler.error")] == ["news"]
    await visit.leave()
    await other.leave()


@both_colours
@virtual
async def test_a_cancellation_that_a_handler_ran_into_by_itself_is_a_failure_like_any(
    colour, facts
):
    class Careless(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            if text_data == "fail":
                raise asyncio.CancelledError
            await self.send(text_data)

    visit = await open_visit(build(Careless, colour))

    visit.client_sends("fail")
    visit.client_sends("go on")
    await settle()

    assert visit.texts == ["go on"]
    assert [failed.error for failed in facts("handler.error")] == ["CancelledError"]
    await visit.leave()


@virtual
async def test_a_handler_that_awaits_a_cancelled_future_fails_alone(facts):
    class Careless(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    visit = await open_visit(build(Careless))

    visit.client_sends("fail")
    await settle()

    assert visit.consumer.resilient.info is None
    assert facts.alarms == ["handler.error"]
    await visit.leave()


@both_colours
@virtual
async def test_a_handler_that_stops_the_consumer_closes_with_1000(colour):
    class Stopping(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            raise StopConsumer

        async def disconnect(self, code):
            note(self, "disconnect", code)

    visit = await open_visit(build(Stopping, colour))

    visit.client_sends("stop")

    assert await visit.ended() is None
    assert visit.sent[-1] == {"type": "websocket.close"}
    assert visit.notes == [("disconnect", 1000)]
    assert visit.consumer.resilient.info.kind is DisconnectKind.SERVER
