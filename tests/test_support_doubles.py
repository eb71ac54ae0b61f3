"""The doubles and the nth-await loop: what they must do, and notice."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer

from support.faults import HANG
from support.layers import ScriptedLayer, installed
from support.loop import run, virtual
from support.nth_await import (
    Stage,
    cancel_at_each_await,
    count_awaits,
    count_calls,
    fail_at_each_call,
)
from support.scripted import ApplicationEnded, ScriptedServer
from support.servers import ALL_STYLES, DAPHNE, UVICORN, ClientDisconnected, Disconnected

# -- the scripted server ----------------------------------------------------


class Echo(AsyncWebsocketConsumer):
    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data, bytes_data)


class SyncEcho(WebsocketConsumer):
    groups = ["room"]

    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data, bytes_data)


@pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize("consumer", [Echo, SyncEcho])
@virtual
async def test_a_plain_consumer_runs_on_every_scripted_server(consumer, style):
    with installed(ScriptedLayer()) as layer:
        server = ScriptedServer(style=style)
        server.start(consumer.as_asgi())
        server.client_connects()
        server.client_sends("hello")

        assert (await server.next_sent())["type"] == "websocket.accept"
        assert await server.next_sent() == {"type": "websocket.send", "text": "hello"}
        server.client_closes(1000)
        assert await server.ended() is None
        assert layer.members("room") == set()


@virtual
async def test_waiting_for_a_message_of_an_application_that_ended_fails():
    async def nothing(scope, receive, send):
        return None

    server = ScriptedServer()
    server.start(nothing)

    with pytest.raises(ApplicationEnded):
        await server.next_sent()


@virtual
async def test_uvicorn_raises_from_send_once_the_client_is_gone():
    server = ScriptedServer(style=UVICORN)
    await server.send({"type": "websocket.accept"})
    server.client_vanishes()

    with pytest.raises(ClientDisconnected):
        await server.send({"type": "websocket.send", "text": "x"})
    assert await server.receive() == {"type": "websocket.disconnect", "code": 1005}


@virtual
async def test_daphne_is_silent_once_the_client_is_gone():
    server = ScriptedServer(style=DAPHNE)
    await server.send({"type": "websocket.accept"})
    server.client_closes(None)

    await server.send({"type": "websocket.send", "text": "x"})

    assert server.sent_of_type("websocket.send") == []
    assert await server.receive() == {"type": "websocket.disconnect", "code": None}


@pytest.mark.parametrize(("style", "error"), [(UVICORN, RuntimeError), (DAPHNE, Disconnected)])
def test_servers_raise_from_send_after_a_close(style, error):
    async def scenario():
        server = ScriptedServer(style=style)
        await server.send({"type": "websocket.accept"})
        await server.send({"type": "websocket.close", "code": 4001})
        assert (await server.receive())["code"] == 4001
        with pytest.raises(error):
            await server.send({"type": "websocket.send", "text": "x"})

    run(scenario())


@virtual
async def test_daphne_takes_few_close_codes():
    server = ScriptedServer(style=DAPHNE)
    await server.send({"type": "websocket.accept"})

    with pytest.raises(Exception, match="1011"):
        await server.send({"type": "websocket.close", "code": 1011})


@virtual
async def test_a_send_hook_can_hold_a_message_back():
    gate = asyncio.Event()

    async def hold(message):
        await gate.wait()

    server = ScriptedServer(on_send=hold)
    sending = asyncio.ensure_future(server.send({"type": "websocket.send", "text": "x"}))
    await asyncio.sleep(60)
    assert server.sent == []

    gate.set()
    await sending
    assert len(server.sent) == 1


# -- the scripted layer -----------------------------------------------------


@virtual
async def test_the_layer_fails_as_often_as_told_and_then_works():
    layer = ScriptedLayer()
    layer.fail("group_add", OSError("gone"), times=2)

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            await layer.group_add("room", "c")
    await layer.group_add("room", "c")

    assert layer.members("room") == {"c"}
    assert layer.calls["group_add"] == 3
    assert layer.finished["group_add"] == 1


@virtual
async def test_a_breakdown_reaches_the_receive_that_is_waiting():
    layer = ScriptedLayer()
    waiting = asyncio.ensure_future(layer.receive("c"))
    await asyncio.sleep(1)

    layer.break_down(ConnectionError("down"))

    with pytest.raises(ConnectionError):
        await waiting
    with pytest.raises(ConnectionError):
        await layer.group_send("room", {"type": "x"})
    layer.heal()
    await layer.group_send("room", {"type": "x"})


@virtual
async def test_a_hanging_layer_hangs_until_it_is_cancelled():
    layer = ScriptedLayer()
    layer.break_down(HANG, "group_add")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await layer.group_add("room", "c")


# -- the nth-await loop -----------------------------------------------------


async def connect_echo_and_leave(stage: Stage):
    layer = ScriptedLayer(faults=stage.faults)
    with installed(layer):
        server = ScriptedServer(faults=stage.faults)
        stage.application = server.start(Echo.as_asgi())
        try:
            server.client_connects()
            await server.next_sent()
            server.client_sends("hello")
            await server.next_sent()
            server.client_closes()
            await server.ended()
        finally:
            stage.notes.append(layer.members("room"))


def test_a_scenario_has_the_same_awaits_every_time():
    assert count_awaits(connect_echo_and_leave) == count_awaits(connect_echo_and_leave) > 5
    assert count_calls(connect_echo_and_leave) == count_calls(connect_echo_and_leave)


def test_every_await_is_cancelled_once_and_plain_channels_leaves_members_behind():
    outcomes = list(cancel_at_each_await(connect_echo_and_leave))

    assert [n for n, _ in outcomes] == list(range(1, count_awaits(connect_echo_and_leave) + 1))
    assert {outcome.ended for _, outcome in outcomes} <= {"cancelled", "returned"}
    assert any(outcome.notes[0] for _, outcome in outcomes)


def test_every_call_fails_once_and_its_name_is_known():
    names = count_calls(connect_echo_and_leave)

    outcomes = list(fail_at_each_call(connect_echo_and_leave, OSError("injected")))

    assert [outcome.where for _, outcome in outcomes] == names
    assert any(isinstance(outcome.ended, OSError) for _, outcome in outcomes)


def test_a_call_that_hangs_is_reported_as_a_hang():
    outcomes = [
        outcome for _, outcome in fail_at_each_call(connect_echo_and_leave, HANG, "layer.group")
    ]

    assert outcomes
    assert all("hang" in outcome.problems[0] for outcome in outcomes)
