"""However a connection ends, its consumer hears of it once, in order, and with the truth."""

import asyncio
import logging
from contextvars import ContextVar

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from resilient_channels import DisconnectInfo, DisconnectKind, Initiator, on_disconnect
from resilient_channels.registry import registry
from shells.endings import ENDINGS, Subject
from shells.visits import both_colours, build, note, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES, DAPHNE, UVICORN, ServerStyle

every_ending = pytest.mark.parametrize("name", ENDINGS)
every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


# --- once, in order --------------------------------------------------------------------------


@every_ending
@every_server
@both_colours
@virtual
async def test_every_ending_is_told_once_and_in_order(colour, style, name):
    end, code, kind = ENDINGS[name]
    visit = await open_visit(build(Subject, colour), style=style)

    end(visit)
    error = await visit.ended()

    assert isinstance(error, asyncio.CancelledError if name == "cancelled" else type(None))
    info, *rest = visit.notes
    assert (info.code, info.kind, info.certain) == (code, kind, True)
    assert type(info.code) is int
    # The groups are still there when the consumer says goodbye, and gone when it has.
    assert rest == [("disconnect", code, True), "task cancelled"]
    assert get_channel_layer().groups == {}
    assert visit.consumer.resilient.info == info
    assert visit.consumer.resilient.groups == frozenset()
    assert len(registry) == 0


@every_ending
@both_colours
@virtual
async def test_every_ending_is_one_record_and_no_alarm_if_the_client_did_it(colour, name, facts):
    end, code, kind = ENDINGS[name]
    visit = await open_visit(build(Subject, colour))

    end(visit)
    await visit.ended()

    (closed,) = facts("connection.closed")
    assert closed.levelno == logging.INFO
    assert (closed.code, closed.kind) == (code, kind.value)
    assert len(facts("connection.opened")) == 1
    if kind in (DisconnectKind.CLIENT, DisconnectKind.LOST, DisconnectKind.TIMEOUT):
        assert facts.alarms == []


@virtual
async def test_the_record_of_the_end_counts_the_frames(facts):
    class Echo(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.send(text_data)
            await self.send(text_data)

    visit = await open_visit(build(Echo))
    for _ in range(3):
        visit.client_sends("x")
    await settle(10)

    await visit.leave()

    (closed,) = facts("connection.closed")
    assert (closed.sent, closed.unsent) == (6, 0)
    assert closed.received == 3
    assert closed.duration == pytest.approx(10, abs=0.1)


# --- the truth -------------------------------------------------------------------------------


class Truth(AsyncWebsocketConsumer):
    @on_disconnect
    async def ended(self, info):
        note(self, info)


@pytest.mark.parametrize(
    ("style", "reason"), [(UVICORN, "because"), (DAPHNE, "")], ids=["uvicorn", "daphne"]
)
@both_colours
@virtual
async def test_the_reason_is_told_where_the_server_tells_it(colour, style, reason):
    visit = await open_visit(build(Truth, colour), style=style)

    visit.client_closes(4000, "because")

    assert await visit.ended() is None
    assert visit.notes == [DisconnectInfo(4000, reason, DisconnectKind.CLIENT)]
    assert visit.notes[0].initiator is Initiator.CLIENT


@every_server
@virtual
async def test_a_lost_connection_is_nobodys_doing(style):
    visit = await open_visit(build(Truth), style=style)

    visit.client_vanishes()

    assert await visit.ended() is None
    assert visit.notes == [DisconnectInfo(1006, "", DisconnectKind.LOST)]
    assert visit.notes[0].initiator is Initiator.NETWORK


class Hypercorn(ServerStyle):
    """Cannot tell a clean close without code from a lost connection."""

    asgi = {"version": "3.0", "spec_version": "2.3"}

    def clean_close(self, code, reason):
        return {"type": "websocket.disconnect", "code": code or 1005}

    def lost(self):
        return {"type": "websocket.disconnect", "code": 1006}


@pytest.mark.parametrize("end", ["client_vanishes", "client_closes"])
@virtual
async def test_a_server_that_cannot_tell_is_not_believed(end):
    visit = await open_visit(build(Truth), style=Hypercorn())

    visit.client_vanishes() if end == "client_vanishes" else visit.client_closes(None)

    assert await visit.ended() is None
    assert visit.notes == [DisconnectInfo(1006, "", DisconnectKind.LOST, certain=False)]


@virtual
async def test_a_shutdown_of_uvicorn_is_a_drain():
    visit = await open_visit(build(Truth), style=UVICORN)

    visit.feed({"type": "websocket.disconnect", "code": 1012})

    assert await visit.ended() is None
    assert visit.notes == [DisconnectInfo(1012, "", DisconnectKind.DRAIN)]


@every_server
@both_colours
@virtual
async def test_what_we_closed_with_is_what_we_are_told(colour, style):
    class Closing(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.close(4001, "enough")

        async def disconnect(self, code):
            note(self, code)

    class Forgetful(type(style)):
        def own_close(self, server, message):
            return {"type": "websocket.disconnect", "code": 1006}

    visit = await open_visit(build(Closing, colour), style=Forgetful())

    visit.client_sends("go")

    assert await visit.ended() is None
    assert visit.notes == [4001]
    assert visit.consumer.resilient.info.reason == "enough"
    assert visit.consumer.resilient.info.kind is DisconnectKind.SERVER


@both_colours
@virtual
async def test_only_the_most_specific_handler_runs(colour):
    class Choosy(AsyncWebsocketConsumer):
        @on_disconnect(4001)
        async def exact(self, info):
            note(self, "exact")

        @on_disconnect(range(4000, 4100))
        async def narrow(self, info):
            note(self, "narrow")

        @on_disconnect(DisconnectKind.CLIENT)
        async def kind(self, info):
            note(self, "kind")

        @on_disconnect
        async def bare(self, info):
            note(self, "bare")

        async def disconnect(self, code):
            note(self, code)

    heard = []
    for code in (4001, 4002, 4200, None):
        visit = await open_visit(build(Choosy, colour))
        visit.client_vanishes() if code is None else visit.client_closes(code)
        assert await visit.ended() is None
        heard.append(tuple(visit.notes))

    assert heard == [("exact", 4001), ("narrow", 4002), ("kind", 4200), ("bare", 1006)]


# --- contexts --------------------------------------------------------------------------------

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


@pytest.mark.parametrize("name", ["clean close", "cancelled", "our close"])
@both_colours
@virtual
async def test_a_context_variable_set_in_connect_is_seen_to_the_end(colour, name):
    class Tenanted(Subject):
        async def connect(self):
            tenant.set("somebody")
            await self.accept()

        async def receive_json(self, content):
            note(self, tenant.get())
            if content == "close":
                await self.close(4001)

        async def room_news(self, event):
            note(self, tenant.get())

        @on_disconnect
        async def ended(self, info):
            note(self, tenant.get())

        async def disconnect(self, code):
            note(self, tenant.get())

    visit = await open_visit(build(Tenanted, colour))
    visit.client_sends("1")
    await get_channel_layer().group_send("room", {"type": "room.news"})
    await settle()

    ENDINGS[name][0](visit)
    await visit.ended()

    assert visit.notes == ["somebody"] * (5 if name == "our close" else 4)
    assert tenant.get() == "nobody"
