"""With a heartbeat, too: whatever fails, and whichever await is cancelled, nothing is left."""

import asyncio
import json

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import AsyncResilientMixin, ResilientMixin, on_disconnect
from resilient_channels.core.wire import MARK
from resilient_channels.wheel import get_wheel
from support.faults import HANG
from support.nth_await import cancel_at_each_await, fail_at_each_call
from support.scripted import ApplicationEnded, ScriptedServer
from support.servers import Daphne, Uvicorn
from support.unasync import sync_twin

STYLES = [Uvicorn(), Daphne()]
RESILIENCE = {
    "HEARTBEAT": {"interval": 1, "timeout": 2},
    "LIFETIME": {"idle_timeout": 20, "max_age": 300},
    "SEND": {"deadline": 5},
}
LONGEST = 1 + 2 + 5 + 8 + 3  # seconds from the last sign of life to the end of the cleanup


class Subject(AsyncWebsocketConsumer):
    """Answers, and notes how it ended."""

    async def connect(self):
        await self.accept()
        self.scope["notes"].append("accepted")

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data)

    async def disconnect(self, code):
        self.scope["notes"].append("disconnect")


class AsyncSubject(AsyncResilientMixin, Subject):
    resilience = RESILIENCE

    @on_disconnect
    async def ended(self, info):
        self.scope["notes"].append("ended")


class SyncSubject(ResilientMixin, sync_twin(Subject)):
    resilience = RESILIENCE

    @on_disconnect
    def ended(self, info):
        self.scope["notes"].append("ended")


SUBJECTS = {"async": AsyncSubject, "sync": SyncSubject}


class AnsweringServer(ScriptedServer):
    """A server whose client says hello, pings, and answers pings until it freezes."""

    is_frozen = False

    async def send(self, message):
        await super().send(message)
        text = message.get("text") or ""
        if text.startswith(MARK) and not self.is_frozen and not self.client_is_gone:
            frame = json.loads(text[1:])
            if frame["type"] == "hello":
                self.client_sends(MARK + '{"type":"hello","version":1}')
            if frame["type"] == "ping":
                self.client_sends(MARK + json.dumps({"type": "pong", "n": frame["n"]}))


def client_closes(server):
    server.client_closes(1000)


def client_vanishes(server):
    server.client_vanishes()


def client_freezes(server):
    server.is_frozen = True


def make_scenario(colour, style, ending):
    async def scenario(stage):
        notes = stage.notes
        server = AnsweringServer(
            style=style, faults=stage.faults, subprotocols=["resilient.v1"], notes=notes
        )
        stage.application = server.start(SUBJECTS[colour].as_asgi())
        try:
            async with asyncio.timeout(40):  # a fault may swallow an answer
                server.client_connects()
                await server.next_sent()
                server.client_sends("hello")
                server.client_sends(MARK + '{"type":"ping","n":"mine"}')
                await server.next_sent()
                await asyncio.sleep(2.5)
        except (ApplicationEnded, TimeoutError):
            pass
        ending(server)
        started = asyncio.get_running_loop().time()
        await server.ended()
        took = asyncio.get_running_loop().time() - started
        await asyncio.sleep(10)
        was_accepted = bool(server.sent_of_type("websocket.accept"))
        notes.append((was_accepted, took, len(get_wheel(asyncio.get_running_loop()))))

    return scenario


def check(outcome):
    """The promises that hold whatever happened."""
    assert outcome.problems == [], outcome
    *notes, (was_accepted, took, timers) = outcome.notes
    assert notes.count("disconnect") <= 1, outcome
    assert notes.count("ended") <= 1, outcome
    if was_accepted and "accepted" in notes:
        assert notes.count("disconnect") == notes.count("ended") == 1, outcome
        assert notes.index("ended") < notes.index("disconnect"), outcome
    assert timers == 0, outcome
    assert took <= LONGEST, outcome


each_ending = pytest.mark.parametrize("ending", [client_closes, client_vanishes, client_freezes])
each_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
both_colours = pytest.mark.parametrize("colour", ["async", "sync"])


@each_ending
@each_style
@both_colours
def test_cancelled_at_any_await_it_disconnects_once_and_leaves_no_timer(colour, style, ending):
    for _, outcome in cancel_at_each_await(make_scenario(colour, style, ending)):
        check(outcome)
        assert outcome.ended in ("cancelled", "returned"), outcome


@pytest.mark.parametrize("fault", [OSError, RuntimeError, HANG], ids=str)
@each_ending
@each_style
@both_colours
def test_a_server_that_fails_or_hangs_at_any_call_gets_one_disconnect(colour, style, ending, fault):
    """A server that no longer reports anything is found out by the heartbeat."""
    for _, outcome in fail_at_each_call(make_scenario(colour, style, ending), fault, "server."):
        check(outcome)
        assert outcome.ended == "returned", outcome
