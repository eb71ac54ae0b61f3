"""Whatever fails, and whichever await is cancelled, a connection ends once and leaves nothing."""

import asyncio

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer

from resilient_channels import AsyncResilientMixin, ResilientMixin, on_disconnect
from support.faults import HANG
from support.layers import ScriptedLayer, installed
from support.nth_await import cancel_at_each_await, fail_at_each_call
from support.scripted import ApplicationEnded, ScriptedServer
from support.servers import Daphne, Uvicorn

STYLES = [Uvicorn(), Daphne()]
TEARDOWN = 8.0


class Recorder:
    """What a consumer went through, in the order it did."""

    def __init__(self):
        self.log = []

    def count(self, entry):
        return self.log.count(entry)


def make_application(colour, recorder):
    """A consumer that joins two groups, answers, runs a background task and says goodbye."""

    class AsyncSubject(AsyncResilientMixin, AsyncJsonWebsocketConsumer):
        groups = ["declared"]

        async def connect(self):
            await self.channel_layer.group_add("joined", self.channel_name)
            self.resilient.spawn(self.tick())
            await self.accept()
            recorder.log.append("accepted")

        async def tick(self):
            while True:
                await asyncio.sleep(1)
                await self.send_json("tick")

        async def receive_json(self, content):
            await self.channel_layer.group_send("joined", {"type": "news", "text": content})
            await self.send_json(content)

        async def news(self, event):
            await self.safe_send_json(event["text"])

        @on_disconnect
        async def ended(self, info):
            recorder.log.append("ended")

        async def disconnect(self, code):
            recorder.log.append("disconnect")
            assert type(code) is int
            await self.channel_layer.group_send("joined", {"type": "news", "text": "bye"})
            await self.channel_layer.group_discard("joined", self.channel_name)

    class SyncSubject(ResilientMixin, JsonWebsocketConsumer):
        groups = ["declared"]

        def connect(self):
            self.accept()
            recorder.log.append("accepted")

        def receive_json(self, content):
            self.send_json(content)

        def news(self, event):
            self.safe_send_json(event["text"])

        @on_disconnect
        def ended(self, info):
            recorder.log.append("ended")

        def disconnect(self, code):
            recorder.log.append("disconnect")
            assert type(code) is int

    return {"async": AsyncSubject, "sync": SyncSubject}[colour].as_asgi()


def make_scenario(colour, style, ending, recorders):
    async def scenario(stage):
        recorder = Recorder()
        recorders.append(recorder)
        layer = ScriptedLayer(stage.faults)
        recorder.layer = layer
        with installed(layer):
            server = ScriptedServer(style=style, faults=stage.faults)
            recorder.server = server
            stage.application = server.start(make_application(colour, recorder))
            try:
                async with asyncio.timeout(40):  # a fault may swallow an answer
                    server.client_connects()
                    await server.next_sent()
                    server.client_sends('"hello"')
                    await server.next_sent()
                    await asyncio.sleep(2.5)
            except (ApplicationEnded, TimeoutError):
                pass
            ending(server)
            await server.ended()
            recorder.members = {name for name in ("declared", "joined") if layer.members(name)}
            # What the layer did not take in time is tried again behind the connection.
            await asyncio.sleep(30)
            recorder.members_later = {
                name for name in ("declared", "joined") if layer.members(name)
            }

    return scenario


def client_closes(server):
    server.client_closes(1000)


def client_vanishes(server):
    server.client_vanishes()


def check(outcome, recorder):
    """The promises that hold whatever happened."""
    assert outcome.problems == [], outcome
    was_accepted = bool(recorder.server.sent_of_type("websocket.accept"))
    assert recorder.count("disconnect") <= 1, outcome
    assert recorder.count("ended") <= 1, outcome
    if was_accepted and "accepted" in recorder.log:
        assert recorder.count("disconnect") == 1, outcome
        assert recorder.count("ended") == 1, outcome
        assert recorder.log.index("ended") < recorder.log.index("disconnect"), outcome
    if outcome.where.startswith("layer"):
        return
    assert recorder.members == set(), outcome


@pytest.mark.parametrize("ending", [client_closes, client_vanishes])
@pytest.mark.parametrize("style", STYLES, ids=lambda style: type(style).__name__)
@pytest.mark.parametrize("colour", ["async", "sync"])
def test_cancelled_at_any_await_it_disconnects_once_and_leaves_nothing(colour, style, ending):
    recorders = []
    scenario = make_scenario(colour, style, ending, recorders)

    for _, outcome in cancel_at_each_await(scenario):
        check(outcome, recorders[-1])
        assert outcome.ended in ("cancelled", "returned"), outcome
        assert outcome.virtual_seconds < 40 + 30 + TEARDOWN + 3, outcome


# A receive() that hangs is a client that says nothing: nobody could tell.
@pytest.mark.parametrize(
    ("fault", "calls"),
    [(OSError, "server."), (RuntimeError, "server."), (HANG, "server.send")],
)
@pytest.mark.parametrize("style", STYLES, ids=lambda style: type(style).__name__)
@pytest.mark.parametrize("colour", ["async", "sync"])
def test_a_server_that_fails_at_any_call_gets_one_disconnect(colour, style, fault, calls):
    recorders = []
    scenario = make_scenario(colour, style, client_closes, recorders)

    for _, outcome in fail_at_each_call(scenario, fault, only=calls):
        check(outcome, recorders[-1])
        assert outcome.ended == "returned", outcome


@pytest.mark.parametrize("fault", [ConnectionError, RuntimeError, AttributeError, TypeError, HANG])
@pytest.mark.parametrize("colour", ["async", "sync"])
def test_a_layer_that_fails_at_any_call_ends_nothing_and_keeps_nobody(colour, fault):
    recorders = []
    scenario = make_scenario(colour, STYLES[0], client_closes, recorders)

    for _, outcome in fail_at_each_call(scenario, fault, only="layer."):
        recorder = recorders[-1]
        check(outcome, recorder)
        assert outcome.ended == "returned", outcome
        # A call that hangs ends its handler with LayerUnavailable; one that fails is made again.
        if fault is not HANG or outcome.where != "layer.group_send":
            texts = [sent.get("text") for sent in recorder.server.sent_of_type("websocket.send")]
            assert '"hello"' in texts, outcome
        assert recorder.members_later == set(), outcome
