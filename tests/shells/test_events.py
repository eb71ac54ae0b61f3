"""Events of the channel layer may carry any type; none of them may do harm."""

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from resilient_channels import DisconnectKind, on_disconnect
from shells.visits import both_colours, build, note, open_visit, settle
from support.loop import virtual
from support.servers import UVICORN

pytestmark = pytest.mark.usefixtures("anywhere")


class Member(AsyncJsonWebsocketConsumer):
    groups = ["room"]

    async def news(self, event):
        await self.send_json(event["text"])

    async def chat_message(self, event):
        await self.send_json("dotted")

    @on_disconnect
    async def ended(self, info):
        note(self, info.code, info.kind)

    async def disconnect(self, code):
        note(self, "disconnect", code)


async def tell(*events):
    for event in events:
        await get_channel_layer().group_send("room", event)
    await settle()


NEWS = {"type": "news", "text": "news"}
HARMLESS = [
    {"type": "nobody.knows"},
    {"type": ""},
    {"type": "_private"},
    {"type": ".hidden"},
    {"type": "__init__"},
    {"type": "chat message"},
    {"type": "x" * 10_000},
    {"type": "line\nbreak\x1b[31m"},
    {"type": None},
    {"type": 7},
    {"type": ["news"]},
    {"type": {"news": 1}},
    {},
    {"text": "no type at all"},
]
OURS = ["safe.send", "safe_send", "safe.send.json", "safe.close", "resilient", "resilience"]
ATTRIBUTES = ["groups", "scope", "channel_name", "channel.layer_alias"]


@pytest.mark.parametrize("event", HARMLESS, ids=lambda event: repr(event)[:30])
@both_colours
@virtual
async def test_an_event_that_nobody_handles_is_one_warning_and_no_more(colour, event, facts):
    visit = await open_visit(build(Member, colour, ERRORS={"mode": "close"}))

    await tell(event, NEWS)

    assert visit.texts == ['"news"']
    assert facts.alarms == ["event.unhandled"]
    await visit.leave()


@pytest.mark.parametrize("name", OURS)
@both_colours
@virtual
async def test_no_event_reaches_a_name_of_ours(colour, name, facts):
    visit = await open_visit(build(Member, colour, ERRORS={"mode": "close"}))

    await tell({"type": name, "text": "from afar"}, NEWS)

    assert visit.texts == ['"news"']
    assert [unhandled.cause for unhandled in facts("event.unhandled")] == ["reserved"]
    await visit.leave()


@pytest.mark.parametrize("name", ATTRIBUTES)
@both_colours
@virtual
async def test_an_event_that_names_an_attribute_closes_nothing(colour, name, facts):
    visit = await open_visit(build(Member, colour, ERRORS={"mode": "close"}))

    await tell({"type": name}, NEWS)

    assert visit.texts == ['"news"']
    assert facts.alarms == ["event.unhandled"]
    await visit.leave()


@pytest.mark.parametrize("type_", ["chat.message", "chat_message"])
@both_colours
@virtual
async def test_a_dotted_type_reaches_its_method(colour, type_):
    visit = await open_visit(build(Member, colour))

    await tell({"type": type_})

    assert visit.texts == ['"dotted"']
    await visit.leave()


@both_colours
@virtual
async def test_a_handler_of_the_projects_own_may_have_any_name_that_is_not_ours(colour):
    class Busy(AsyncWebsocketConsumer):
        groups = ["room"]

        async def ping(self, event):
            await self.send("ping")

        async def heartbeat(self, event):
            await self.send("heartbeat")

        async def close_connection(self, event):
            await self.send("close_connection")

        async def info(self, event):
            await self.send("info")

    visit = await open_visit(build(Busy, colour))

    names = ["ping", "heartbeat", "close.connection", "info"]
    await tell(*({"type": name} for name in names))

    assert visit.texts == [name.replace(".", "_") for name in names]
    await visit.leave()


@both_colours
@virtual
async def test_an_unknown_type_is_told_once_for_all_connections_of_a_class(colour, facts):
    consumer = build(Member, colour)
    visits = [await open_visit(consumer) for _ in range(5)]

    await tell({"type": "nobody.knows"}, {"type": "nobody.knows"}, {"type": "nor.this"})

    assert [unhandled.type for unhandled in facts("event.unhandled")] == [
        "nobody.knows",
        "nor.this",
    ]
    for visit in visits:
        await visit.leave()


@both_colours
@virtual
async def test_unknown_events_without_number_never_close(colour):
    visit = await open_visit(build(Member, colour))

    for number in range(50):
        await tell({"type": f"unknown.{number}"})

    assert visit.closes == []
    await visit.leave()


@pytest.mark.parametrize(
    ("asked", "given"), [(4010, 4010), (None, 1000), (1011, 1000), ("x", 1000)]
)
@both_colours
@virtual
async def test_a_disconnect_from_the_layer_closes_the_socket_too(colour, asked, given):
    visit = await open_visit(build(Member, colour), style=UVICORN)

    await tell({"type": "websocket.disconnect", "code": asked})

    assert await visit.ended() is None
    assert [code or 1000 for code in visit.closes] == [given]
    assert visit.notes == [(given, DisconnectKind.SERVER), ("disconnect", given)]


@both_colours
@virtual
async def test_an_event_that_looks_like_a_frame_is_handled_as_in_channels(colour):
    class Echo(AsyncWebsocketConsumer):
        groups = ["room"]

        async def receive(self, text_data=None, bytes_data=None):
            await self.send(text_data)

    visit = await open_visit(build(Echo, colour))

    await tell({"type": "websocket.receive", "text": "from afar"})

    assert visit.texts == ["from afar"]
    await visit.leave()


@pytest.mark.parametrize("name", ["accept", "send.json", "connect"])
@both_colours
@virtual
async def test_an_event_that_names_a_method_of_channels_closes_nothing(colour, name):
    visit = await open_visit(build(Member, colour))

    await tell({"type": name, "text": "x"}, NEWS)

    assert visit.closes == []
    assert '"news"' in visit.texts
    assert visit.consumer.resilient.info is None
    await visit.leave()


@both_colours
@virtual
async def test_an_event_that_names_a_disconnect_handler_does_not_end_anything(colour):
    visit = await open_visit(build(Member, colour))

    await tell({"type": "ended"}, NEWS)

    assert visit.texts == ['"news"']
    assert visit.consumer.resilient.info is None
    await visit.leave()
    assert visit.notes[-2:] == [(1000, DisconnectKind.CLIENT), ("disconnect", 1000)]
