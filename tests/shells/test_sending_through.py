"""What the server, the consumer's own methods and the arguments make of a send."""

import asyncio

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer

from resilient_channels import DisconnectKind, SendOutcome, on_disconnect
from shells.visits import both_colours, build, note, open_visit, settle
from support.loop import virtual
from support.servers import DAPHNE, UVICORN


class Reporter(AsyncWebsocketConsumer):
    """Notes what becomes of its answers; waits before the answer to "wait"."""

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "wait":
            await self.pause(2)
        note(self, await self.safe_send(text_data, bytes_data))

    @on_disconnect
    async def ended(self, info):
        note(self, info.kind)


# --- what the server says --------------------------------------------------------------------


@pytest.mark.parametrize(("style", "error"), [(UVICORN, RuntimeError), (DAPHNE, ValueError)])
@both_colours
@virtual
async def test_a_send_before_accept_is_told_by_the_server(colour, style, error):
    class Early(AsyncWebsocketConsumer):
        async def connect(self):
            try:
                await self.send("early")
            except (RuntimeError, ValueError) as error:
                note(self, type(error))
            await self.accept()

    visit = await open_visit(build(Early, colour), style=style)

    assert visit.notes == [error]
    assert visit.texts == []
    await visit.leave()


def refuse_bad_payload(message):
    if message.get("text") == "bad":
        raise TypeError("text must be something else")
    if message.get("text") == "worse":
        raise ValueError("text must be something else again")


@pytest.mark.parametrize("text", ["bad", "worse"])
@both_colours
@virtual
async def test_a_server_that_refuses_a_payload_makes_the_handler_fail_and_no_more(
    colour, text, facts
):
    visit = await open_visit(build(Reporter, colour), on_send=refuse_bad_payload)

    visit.client_sends(text)
    visit.client_sends("good")
    await settle()

    assert visit.notes == [SendOutcome.SENT]
    assert visit.texts == ["good"]
    assert facts.alarms == ["handler.error"]
    await visit.leave()


class Failing:
    """An ``on_send`` that raises *error* for every frame."""

    def __init__(self, error):
        self.error = error

    def __call__(self, message):
        if message["type"] == "websocket.send":
            raise self.error


GONE = [
    OSError("gone"),
    BrokenPipeError(),
    ConnectionResetError(),
    RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'."),
]


@pytest.mark.parametrize("error", GONE, ids=repr)
@both_colours
@virtual
async def test_a_send_that_fails_because_the_client_has_gone_ends_the_connection(
    colour, error, facts
):
    visit = await open_visit(build(Reporter, colour), on_send=Failing(error))

    visit.client_sends("one")
    visit.client_sends("two")

    assert await visit.ended() is None
    assert visit.notes == [SendOutcome.CLOSED, SendOutcome.CLOSED, DisconnectKind.LOST]
    assert facts.alarms == []
    assert [closed.code for closed in facts("connection.closed")] == [1006]


@virtual
async def test_how_the_client_left_is_taken_from_the_server_if_it_says_so_in_time():
    visit = await open_visit(build(Reporter), on_send=Failing(OSError("gone")), style=UVICORN)

    visit.client_sends("one")
    await settle(0.5)
    visit.client_closes(4005, "because")

    assert await visit.ended() is None
    info = visit.consumer.resilient.info
    assert (info.code, info.reason, info.kind) == (4005, "because", DisconnectKind.CLIENT)


@virtual
async def test_an_error_that_merely_mentions_a_close_is_the_handlers(facts):
    failing = Failing(RuntimeError("cannot send"))
    visit = await open_visit(build(Reporter), on_send=failing)

    visit.client_sends("one")
    await settle()

    assert facts.alarms == ["handler.error"]
    assert visit.consumer.resilient.info is None
    await visit.leave()


# --- the road that a frame takes -------------------------------------------------------------


@both_colours
@virtual
async def test_safe_send_goes_through_an_overridden_send(colour):
    class Loud(AsyncWebsocketConsumer):
        async def send(self, text_data=None, bytes_data=None, close=False):
            await super().send(text_data.upper(), None, close)

        async def receive(self, text_data=None, bytes_data=None):
            note(self, await self.safe_send(text_data))

    visit = await open_visit(build(Loud, colour))

    visit.client_sends("text")
    await settle()

    assert visit.texts == ["TEXT"]
    assert visit.notes == [SendOutcome.SENT]
    await visit.leave()


@both_colours
@virtual
async def test_safe_send_json_goes_through_overridden_send_json_and_encode_json(colour):
    class Enveloped(AsyncJsonWebsocketConsumer):
        async def send_json(self, content, close=False):
            await super().send_json({"data": content}, close)

        async def receive_json(self, content):
            note(self, await self.safe_send_json(content))

        @classmethod
        async def encode_json(cls, content):
            return f"<{content}>"

    visit = await open_visit(build(Enveloped, colour))

    visit.client_sends("[1]")
    await settle()

    assert visit.texts == ["<{'data': [1]}>"]
    assert visit.notes == [SendOutcome.SENT]
    await visit.leave()


@both_colours
@virtual
async def test_an_overridden_send_that_sends_nothing_is_believed(colour):
    class Mute(AsyncWebsocketConsumer):
        async def send(self, text_data=None, bytes_data=None, close=False):
            pass

        async def receive(self, text_data=None, bytes_data=None):
            note(self, await self.safe_send("text"))

    visit = await open_visit(build(Mute, colour))

    visit.client_sends("go")
    await settle()

    assert visit.notes == [SendOutcome.SENT]
    await visit.leave()


@both_colours
@virtual
async def test_content_that_cannot_be_encoded_is_the_handlers_error(colour, facts):
    class Unencodable(AsyncJsonWebsocketConsumer):
        async def receive_json(self, content):
            await self.safe_send_json(object())

    visit = await open_visit(build(Unencodable, colour))

    visit.client_sends("1")
    await settle()

    assert [failed.error for failed in facts("handler.error")] == ["TypeError"]
    assert visit.texts == []
    await visit.leave()


# --- bad arguments ---------------------------------------------------------------------------

BAD_CALLS = [
    ("safe_send", (), ValueError, "both are None"),
    ("safe_send", ("text", b"bytes"), ValueError, "not both"),
    ("safe_send", (b"bytes",), TypeError, "text_data must be a str"),
    ("safe_send", (None, "text"), TypeError, "bytes_data must be bytes"),
    ("safe_send", ("text", None, 1006), ValueError, "1006"),
    ("safe_send", ("text", None, "yes"), TypeError, "'yes'"),
    ("safe_send_json", ({},), TypeError, "no send_json"),
    ("safe_close", (1011,), ValueError, "every ASGI server"),
    ("safe_close", ("1000",), TypeError, "must be an int"),
    ("safe_close", (1000, "x" * 124), ValueError, "124 bytes"),
]


@pytest.mark.parametrize(("method", "args", "error", "text"), BAD_CALLS)
@both_colours
@virtual
async def test_a_bad_argument_raises_at_once_even_after_the_client_left(
    colour, method, args, error, text
):
    visit = await open_visit(build(Reporter, colour))
    await visit.leave()

    call = getattr(visit.consumer, method)
    with pytest.raises(error, match=text):
        call(*args) if colour == "sync" else await call(*args)


# --- a consumer that was never called --------------------------------------------------------


@virtual
async def test_a_consumer_that_was_never_called_can_be_unit_tested():
    sent = []

    async def send(text_data=None, bytes_data=None, close=False):
        sent.append(text_data)

    consumer = build(Reporter)()
    consumer.send = send

    outcome = await consumer.safe_send("text")

    assert outcome is SendOutcome.SENT
    assert sent == ["text"]
    assert consumer.resilient.info is None
    assert consumer.resilient.groups == frozenset()
    assert await consumer.resilient.spawn(asyncio.sleep(1, "done")) == "done"


def test_a_synchronous_consumer_that_was_never_called_can_be_unit_tested():
    sent = []
    consumer = build(Reporter, "sync")()
    consumer.send = lambda text_data=None, bytes_data=None, close=False: sent.append(text_data)

    outcome = consumer.safe_send("text")

    assert outcome is SendOutcome.SENT
    assert sent == ["text"]


@virtual
async def test_a_channel_layer_that_a_unit_test_sets_is_left_alone():
    layer = object()
    consumer = build(Reporter)()

    consumer.channel_layer = layer

    assert consumer.channel_layer is layer
