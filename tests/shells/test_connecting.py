"""A handshake: accepted, refused, failed, abandoned, forgotten."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.exceptions import AcceptConnection, DenyConnection
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import DisconnectKind, on_disconnect
from shells.visits import Visit, both_colours, build, note, now, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES, DAPHNE, PLAIN, UVICORN

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


class Goodbye(AsyncWebsocketConsumer):
    """Notes how it ends."""

    @on_disconnect
    async def ended(self, info):
        note(self, info.kind)

    async def disconnect(self, code):
        note(self, "disconnect", code)


class FailsBefore(Goodbye):
    async def connect(self):
        raise LookupError("the password is 1234")


class FailsAfter(Goodbye):
    async def connect(self):
        await self.accept()
        raise LookupError("the password is 1234")


class Denying(Goodbye):
    async def connect(self):
        await self.close()


class DenyingByException(Goodbye):
    async def connect(self):
        raise DenyConnection


class AcceptingByException(Goodbye):
    async def connect(self):
        raise AcceptConnection


class Hanging(Goodbye):
    async def connect(self):
        await self.pause(10_000)


class Undecided(Goodbye):
    async def connect(self):
        pass


# --- connect() fails -------------------------------------------------------------------------


@both_colours
@virtual
async def test_an_error_before_accept_is_a_response_500_where_the_server_offers_it(colour, facts):
    visit = Visit(build(FailsBefore, colour), style=UVICORN)

    assert await visit.ended() is None
    assert [(sent["type"], sent.get("status")) for sent in visit.sent] == [
        ("websocket.http.response.start", 500),
        ("websocket.http.response.body", None),
    ]
    assert "1234" not in repr(visit.sent)
    assert visit.notes == []
    assert facts.names == ["handler.error", "connection.refused"]
    assert facts("connection.refused")[0].cause == "error"


@pytest.mark.parametrize("style", [PLAIN, DAPHNE], ids=lambda style: style.name)
@both_colours
@virtual
async def test_an_error_before_accept_is_a_plain_refusal_elsewhere(colour, style):
    visit = Visit(build(FailsBefore, colour), style=style)

    assert await visit.ended() is None
    assert visit.sent == [{"type": "websocket.close"}]
    assert visit.notes == []


@every_server
@both_colours
@virtual
async def test_an_error_after_accept_closes_with_3500(colour, style, facts):
    visit = Visit(build(FailsAfter, colour), style=style)

    assert await visit.ended() is None
    assert visit.closes == [3500]
    assert "1234" not in repr(visit.sent)
    assert visit.notes == [DisconnectKind.ERROR, ("disconnect", 3500)]
    assert facts.alarms == ["handler.error"]


@pytest.mark.parametrize("consumer", [FailsBefore, FailsAfter])
@both_colours
@virtual
async def test_in_mode_raise_an_error_in_connect_leaves_the_application(colour, consumer):
    visit = Visit(build(consumer, colour, ERRORS={"mode": "raise"}))

    assert isinstance(await visit.ended(), LookupError)
    assert visit.closes == []
    assert len(visit.notes) == (2 if consumer is FailsAfter else 0)


@both_colours
@virtual
async def test_frames_are_not_handled_when_connect_failed(colour):
    class Failing(AsyncWebsocketConsumer):
        async def connect(self):
            await self.accept()
            await self.pause(1)
            raise LookupError

        async def receive(self, text_data=None, bytes_data=None):
            note(self, text_data)

    visit = Visit(build(Failing, colour))
    visit.client_sends("early")

    assert await visit.ended() is None
    assert visit.notes == []


# --- connect() decides -----------------------------------------------------------------------


@both_colours
@virtual
async def test_connect_can_accept_by_exception(colour):
    visit = await open_visit(build(AcceptingByException, colour))

    await visit.leave()

    assert visit.notes == [DisconnectKind.CLIENT, ("disconnect", 1000)]


@pytest.mark.parametrize("consumer", [Denying, DenyingByException])
@every_server
@both_colours
@virtual
async def test_a_refused_client_is_refused_as_in_plain_channels(colour, style, consumer, facts):
    visit = Visit(build(consumer, colour), style=style)

    assert await visit.ended() is None
    assert visit.sent == [{"type": "websocket.close"}]
    assert visit.notes == [("disconnect", 1006)]
    assert "connection.opened" not in facts.names
    assert "connection.closed" not in facts.names
    assert facts.alarms == []


@both_colours
@virtual
async def test_a_refusal_that_the_server_never_reports_is_not_waited_for(colour):
    class Silent(type(PLAIN)):
        def own_close(self, server, message):
            return {"type": "websocket.connect"}

    visit = Visit(build(Denying, colour), style=Silent())

    assert await visit.ended() is None
    assert now() < 8


@both_colours
@virtual
async def test_an_accept_after_a_refusal_writes_nothing(colour):
    class Wavering(AsyncWebsocketConsumer):
        async def connect(self):
            await self.close()
            await self.accept()
            await self.send("hello")

    visit = Visit(build(Wavering, colour))

    assert await visit.ended() is None
    assert visit.sent == [{"type": "websocket.close"}]


# --- the client does not wait ----------------------------------------------------------------


@every_server
@both_colours
@virtual
async def test_a_client_that_leaves_before_accept_is_met_with_peace(colour, style, facts):
    class Slow(Goodbye):
        async def connect(self):
            await self.pause(1)
            await self.accept()
            await self.send("hello")
            note(self, "connected")

    visit = Visit(build(Slow, colour), style=style)
    await settle(0.5)

    visit.client_vanishes()

    assert await visit.ended() is None
    assert visit.sent == []
    assert visit.notes[0] == "connected"
    assert DisconnectKind.LOST not in visit.notes
    assert visit.notes.count(visit.notes[-1]) == 1
    assert visit.notes[-1][0] == "disconnect"
    assert facts.alarms == []


@pytest.mark.parametrize("error", [OSError("gone"), ConnectionResetError()])
@both_colours
@virtual
async def test_an_accept_that_meets_no_client_ends_the_consumer(colour, error, facts):
    def fail(message):
        raise error

    visit = Visit(build(Goodbye, colour), on_send=fail)

    assert await visit.ended() is None
    assert visit.notes == []
    assert facts.alarms == []


# --- nobody decides --------------------------------------------------------------------------


@pytest.mark.parametrize("consumer", [Hanging, Undecided])
@every_server
@both_colours
@virtual
async def test_a_handshake_without_a_decision_is_refused_after_30_seconds(
    colour, style, consumer, facts
):
    visit = Visit(build(consumer, colour), style=style)

    await settle(29)
    assert visit.sent == []
    assert await visit.ended() is None

    assert visit.closes == [1000]
    assert now() < 30 + 8 + 1
    assert [refused.cause for refused in facts("connection.refused")] == ["timeout"]
    assert visit.notes in ([], [("disconnect", 1006)])


@both_colours
@virtual
async def test_the_handshakes_timeout_can_be_switched_off(colour):
    class Slow(AsyncWebsocketConsumer):
        async def connect(self):
            await self.pause(3600)
            await self.accept()

    visit = await open_visit(build(Slow, colour, HANDSHAKE={"timeout": None}))

    assert now() > 3600
    await visit.leave()


@both_colours
@virtual
async def test_once_accepted_connect_may_take_as_long_as_it_likes(colour):
    class Busy(AsyncWebsocketConsumer):
        async def connect(self):
            await self.accept()
            await self.pause(3600)
            await self.send("done")

    visit = await open_visit(build(Busy, colour))

    await settle(3601)

    assert visit.texts == ["done"]
    await visit.leave()


@both_colours
@virtual
async def test_an_accept_that_comes_later_than_connect_is_an_accept(colour):
    class Protocol(Goodbye):
        async def connect(self):
            pass

        async def receive(self, text_data=None, bytes_data=None):
            await self.send(text_data)

    visit = Visit(build(Protocol, colour))
    await settle(5)

    if colour == "sync":
        await sync_to_async(visit.consumer.accept)()
    else:
        await visit.consumer.accept()
    visit.client_sends("text")
    await settle(60)

    assert visit.texts == ["text"]
    await visit.leave()
    assert visit.notes == [DisconnectKind.CLIENT, ("disconnect", 1000)]


@virtual
async def test_a_handshake_that_is_cancelled_ends_without_disconnect():
    visit = Visit(build(Hanging))
    await settle(1)

    visit.task.cancel()

    assert isinstance(await visit.ended(), asyncio.CancelledError)
    assert visit.notes == []
    assert now() < 8
