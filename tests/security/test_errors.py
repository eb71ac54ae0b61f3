"""What a failure tells the client: a code, or a text that the project has chosen."""

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from django.test import override_settings

from resilient_channels import DisconnectKind, on_disconnect
from shells.clients import V1
from shells.visits import Visit, both_colours, build, settle
from support.loop import virtual
from support.servers import ALL_STYLES

SECRET = "password='hunter2'"


class Secret(Exception):
    pass


class Careless(AsyncWebsocketConsumer):
    """Fails wherever the path says, with something that nobody outside should read."""

    groups = ["careless"]

    def fails_in(self, place):
        if place in self.scope["path"]:
            raise Secret(SECRET)

    async def connect(self):
        self.fails_in("early")
        await self.accept()
        self.fails_in("late")

    async def receive(self, text_data=None, bytes_data=None):
        self.fails_in("receive")

    async def chat_message(self, event):
        self.fails_in("event")

    async def disconnect(self, code):
        self.fails_in("disconnect")

    @on_disconnect(DisconnectKind.CLIENT)
    async def left(self, info):
        self.fails_in("hook")


PLACES = ["early", "late", "receive", "event", "disconnect", "hook"]
every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mode", ["isolate", "close"])
@pytest.mark.parametrize("offer", [[], [V1]], ids=["plain", "negotiated"])
@both_colours
@every_server
@virtual
async def test_no_text_of_an_exception_reaches_a_client(place, mode, offer, colour, style):
    consumer = build(Careless, colour, ERRORS={"mode": mode, "error_reply": "sorry"})
    with override_settings(DEBUG=True):  # it changes what is on the wire in no way
        visit = Visit(consumer, path=f"/{place}", subprotocols=offer, style=style)
        await settle()
        if not visit.closed:
            visit.client_sends("hello")
            visit.consumer._resilient_driver.intake.put_event({"type": "chat.message"})
            await settle()
        if not visit.closed:
            visit.client_closes()
        assert await visit.ended() is None

    for telltale in (SECRET, "hunter2", "Secret", "Traceback", "careless"):
        assert telltale not in repr(visit.sent)


@pytest.mark.parametrize("place", PLACES)
@both_colours
@every_server
@virtual
async def test_every_failure_ends_in_a_consumer_that_goes_on_or_a_socket_that_is_closed(
    place, colour, style
):
    visit = Visit(build(Careless, colour), path=f"/{place}", style=style)
    await settle()
    if not visit.closed:
        visit.client_sends("hello")
        await settle()

    assert visit.closed or not visit.task.done()
    assert visit.accepted is (place != "early")
    if place in ("early", "late"):
        assert visit.closed
    if not visit.closed:
        visit.client_closes()
    assert await visit.ended() is None


NONSENSE = [None, {}, 5, {"type": ["websocket.receive"]}, {"type": "websocket.receive", "text": 5}]


@pytest.mark.parametrize("message", NONSENSE, ids=repr)
@both_colours
@virtual
async def test_a_server_that_gives_nonsense_leaves_nobody_deaf(message, colour):
    """No server does. If one did, its connection must not live on without a reader."""
    visit = Visit(build(Careless, colour), subprotocols=[V1])
    await settle()

    visit.feed(message)
    visit.client_sends("hello")
    visit.client_vanishes()

    assert await visit.ended() is None
