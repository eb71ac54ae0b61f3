"""Consumers that bring a ``__call__`` or a ``dispatch`` of their own, and those that bring none."""

import asyncio

import pytest
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from resilient_channels import DisconnectKind, SendOutcome, on_disconnect
from shells.endings import ENDINGS, Subject
from shells.members import Member, hears
from shells.visits import Visit, both_colours, build, note, now, open_visit, settle
from support.loop import virtual
from support.servers import DAPHNE, UVICORN


class OwnCall(Subject):
    """Wraps Channels' loop, as some libraries do."""

    async def __call__(self, scope, receive, send):
        scope["notes"].append("called")
        await super().__call__(scope, receive, send)


class OwnDispatch(Subject):
    """Wraps every handler."""

    async def dispatch(self, message):
        await super().dispatch(message)


class OwnCallMember(Member):
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)


# --- however it is built, it ends once -------------------------------------------------------


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("consumer", [OwnCall, OwnDispatch])
@pytest.mark.parametrize("style", [UVICORN, DAPHNE], ids=lambda style: style.name)
@both_colours
@virtual
async def test_every_ending_is_told_once_and_in_order(colour, style, consumer, name):
    end, code, kind = ENDINGS[name]
    visit = await open_visit(build(consumer, colour), style=style)

    end(visit)
    error = await visit.ended()

    assert isinstance(error, asyncio.CancelledError if name == "cancelled" else type(None))
    info, *rest = [entry for entry in visit.notes if entry != "called"]
    assert (info.code, info.kind) == (code, kind)
    assert rest == [("disconnect", code, True), "task cancelled"]
    assert get_channel_layer().groups == {}


# --- a __call__ of its own -------------------------------------------------------------------


@both_colours
@virtual
async def test_with_a_call_of_its_own_frames_and_events_arrive_in_order(colour):
    class Recorder(OwnCallMember):
        async def receive(self, text_data=None, bytes_data=None):
            note(self, text_data)

        async def news(self, event):
            note(self, event["text"])

    visit = await open_visit(build(Recorder, colour))

    for number in range(10):
        visit.client_sends(f"frame {number}")
        await get_channel_layer().group_send("room", {"type": "news", "text": f"event {number}"})
    await settle(1)

    for kind in ("frame", "event"):
        assert [e for e in visit.notes if kind in e] == [f"{kind} {n}" for n in range(10)]
    await visit.leave()


@both_colours
@virtual
async def test_with_a_call_of_its_own_a_failing_handler_is_isolated(colour, facts):
    visit = await open_visit(build(OwnCall, colour))

    visit.client_sends('"fail"')
    visit.client_sends("{")
    await get_channel_layer().group_send("room", {"type": "nobody.knows"})
    await get_channel_layer().group_send("room", {"type": "safe.send"})
    visit.client_sends('"send"')
    await settle()

    assert visit.texts == ["text"]
    assert sorted(facts.alarms) == [
        "event.unhandled",
        "event.unhandled",
        "handler.error",
        "input.rejected",
    ]
    await visit.leave()


@both_colours
@virtual
async def test_with_a_call_of_its_own_it_survives_an_outage(colour, layer, facts):
    visit = await open_visit(build(OwnCallMember, colour))
    await settle(5)

    layer.break_down(ConnectionError())
    await settle(30)
    visit.client_sends("still there?")
    await settle(1)
    layer.heal()
    layer.lose_groups()
    await settle(5)

    assert visit.texts == ["still there?"]
    assert await hears(layer, visit) == [True]
    assert facts.alarms == ["layer.down"]
    await visit.leave()


@both_colours
@virtual
async def test_with_a_call_of_its_own_a_client_that_leaves_is_seen_in_a_handler(colour):
    class Waiting(OwnCallMember):
        async def receive(self, text_data=None, bytes_data=None):
            await self.pause(2)
            note(self, await self.safe_send("late"))

    visit = await open_visit(build(Waiting, colour))
    visit.client_sends("go")
    await settle(1)

    await visit.leave()

    assert visit.notes == [SendOutcome.CLOSED]


@both_colours
@virtual
async def test_with_a_call_of_its_own_a_handler_that_takes_too_long_is_cut_off(colour, facts):
    class Endless(OwnCallMember):
        async def receive(self, text_data=None, bytes_data=None):
            await self.pause(1000)

        async def disconnect(self, code):
            note(self, "disconnect", code)

    visit = await open_visit(build(Endless, colour))
    visit.client_sends("go")
    await settle(1)
    started = now()

    await visit.leave()

    assert visit.notes == [("disconnect", 1000)]
    assert now() - started < 8
    assert len(facts("handler.cut_off")) == 1


@both_colours
@virtual
async def test_a_call_that_returns_early_ends_the_connection_properly(colour):
    class Impatient(OwnCallMember):
        async def __call__(self, scope, receive, send):
            try:
                async with asyncio.timeout(5):
                    await super().__call__(scope, receive, send)
            except TimeoutError:
                pass

        async def disconnect(self, code):
            note(self, "disconnect", code)

    visit = await open_visit(build(Impatient, colour))

    assert await visit.ended() is None
    assert visit.closes == [None]
    assert visit.notes == [("disconnect", 1000)]


@both_colours
@virtual
async def test_a_call_that_fails_after_the_handshake_is_passed_on_after_the_cleanup(colour):
    class Broken(OwnCallMember):
        async def __call__(self, scope, receive, send):
            async with asyncio.timeout(5):
                await super().__call__(scope, receive, send)

        async def disconnect(self, code):
            note(self, "disconnect", code)

    visit = await open_visit(build(Broken, colour))

    assert isinstance(await visit.ended(), TimeoutError)
    assert visit.notes == [("disconnect", 1011)]


@both_colours
@virtual
async def test_a_call_that_refuses_by_itself_is_a_refusal(colour, facts):
    class Guarded(OwnCallMember):
        async def __call__(self, scope, receive, send):
            await receive()
            await send({"type": "websocket.close", "code": 4003})

    visit = Visit(build(Guarded, colour))

    assert await visit.ended() is None
    assert visit.closes == [4003]
    assert facts.alarms == []
    assert "connection.closed" not in facts.names


# --- a raw consumer --------------------------------------------------------------------------


class Raw(AsyncConsumer):
    """Speaks ASGI itself."""

    async def websocket_connect(self, message):
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, message):
        if message["text"] == "fail":
            raise LookupError
        note(self, await self.safe_send(message["text"]))

    async def websocket_disconnect(self, message):
        note(self, "disconnect", message["code"])
        raise StopConsumer

    @on_disconnect
    async def ended(self, info):
        note(self, info.kind)


@both_colours
@virtual
async def test_a_raw_consumer_is_as_resilient(colour, facts):
    visit = await open_visit(build(Raw, colour))

    visit.client_sends("fail")
    visit.client_sends("text")
    await settle()
    visit.client_vanishes()

    assert await visit.ended() is None
    assert visit.texts == ["text"]
    assert visit.notes == [SendOutcome.SENT, DisconnectKind.LOST, ("disconnect", 1006)]
    assert facts.alarms == ["handler.error"]


@both_colours
@virtual
async def test_a_raw_consumer_without_a_disconnect_handler_ends(colour):
    class Careless(AsyncConsumer):
        async def websocket_connect(self, message):
            await self.send({"type": "websocket.accept"})

        @on_disconnect
        async def ended(self, info):
            note(self, info.kind)

    visit = await open_visit(build(Careless, colour))

    await visit.leave()

    assert visit.notes == [DisconnectKind.CLIENT]


# --- goodbyes --------------------------------------------------------------------------------


@both_colours
@virtual
async def test_a_disconnect_that_sends_and_closes_is_not_punished(colour, facts):
    class Talkative(AsyncWebsocketConsumer):
        @on_disconnect
        async def ended(self, info):
            note(self, await self.safe_send("bye"))

        async def disconnect(self, code):
            await self.send("bye")
            await self.close(4000)
            note(self, await self.safe_close())

    visit = await open_visit(build(Talkative, colour))

    await visit.leave()

    assert visit.notes == [SendOutcome.CLOSED, SendOutcome.CLOSED]
    assert visit.texts == []
    assert visit.closes == []
    assert facts.alarms == []


@both_colours
@virtual
async def test_a_disconnect_that_does_not_call_its_parent_loses_no_group(colour):
    class Rude(Member):
        async def websocket_disconnect(self, message):
            note(self, "mine", message["code"])

    visit = await open_visit(build(Rude, colour))

    await visit.leave()

    assert visit.notes == [("mine", 1000)]
    assert get_channel_layer().groups == {}


async def do_nothing_for_long():
    await asyncio.sleep(1000)


@both_colours
@virtual
async def test_nothing_can_be_spawned_once_the_connection_is_cleaned_up(colour):
    class Starter(AsyncWebsocketConsumer):
        async def connect(self):
            await self.accept()
            self.resilient.spawn(do_nothing_for_long())

        async def disconnect(self, code):
            self.resilient.spawn(do_nothing_for_long())
            note(self, "spawned")

    visit = await open_visit(build(Starter, colour))

    await visit.leave()

    assert visit.notes == ["spawned"]
    with pytest.raises(OSError, match="over"):
        visit.consumer.resilient.spawn(do_nothing_for_long())


@both_colours
@virtual
async def test_a_close_that_the_server_never_takes_ends_all_the_same(colour):
    class Closing(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.close(4000)

        async def disconnect(self, code):
            note(self, "disconnect", code)

    async def block(message):
        if message["type"] == "websocket.close":
            await asyncio.get_running_loop().create_future()

    visit = await open_visit(build(Closing, colour), on_send=block)
    started = now()

    visit.client_sends("go")

    assert await visit.ended() is None
    assert visit.notes == [("disconnect", 4000)]
    assert now() - started < 30 + 8
    await settle(2)
