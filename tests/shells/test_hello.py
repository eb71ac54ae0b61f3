"""The hello of the wire protocol comes before every frame of the application."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from shells.clients import Listener, WireClient, everything_sent, is_control, meet, read_control
from shells.visits import both_colours, build, settle
from support.loop import virtual
from support.servers import ALL_STYLES

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


class SpeaksAtOnce(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()
        await self.send("first")
        await self.send("second")


@every_server
@both_colours
@virtual
async def test_the_hello_comes_before_the_first_frame_of_the_application(colour, style):
    client = await meet(WireClient(build(SpeaksAtOnce, colour), style=style))

    assert everything_sent(client)[:4] == ["accept", "hello", "first", "second"]
    await client.leave()


@virtual
async def test_the_hello_says_what_the_client_has_to_know():
    client = await meet(WireClient(build(Listener)))

    assert client.controls == [
        {
            "type": "hello",
            "version": 1,
            "connection": client.consumer._resilient_driver.id,
            "interval_ms": 25000,
            "timeout_ms": 20000,
        }
    ]
    await client.leave()


@virtual
async def test_each_connection_has_a_name_of_its_own():
    clients = [await meet(WireClient(build(Listener))) for _ in range(5)]

    assert len({client.controls[0]["connection"] for client in clients}) == 5
    for client in clients:
        await client.leave()


@virtual
async def test_no_task_of_the_application_can_speak_before_the_hello():
    """However long the server takes for the accept, or for the hello."""

    async def slow(message):
        await asyncio.sleep(1)

    tried = []

    class Impatient(AsyncWebsocketConsumer):
        async def connect(self):
            self.resilient.spawn(self.talk())
            await self.accept()
            await self.send("from connect")

        async def talk(self):
            for number in range(10):
                await asyncio.sleep(0.5)
                tried.append(number)
                await self.send(f"from a task {number}")

    client = WireClient(build(Impatient), on_send=slow)
    await settle(30)

    told = everything_sent(client)
    assert told[:2] == ["accept", "hello"]
    assert "from connect" in told
    assert "from a task 9" in told
    assert len(tried) == 10
    await client.leave()


@pytest.mark.parametrize("held", ["websocket.accept", "hello"])
@virtual
async def test_a_frame_sent_during_the_handshake_is_handed_over_behind_the_hello(held):
    """Symptom: a frame that overtook the hello was never told from a control frame."""
    order, release = [], asyncio.Event()

    async def hold(message):
        what = read_control(message["text"])["type"] if is_control(message.get("text")) else ""
        order.append(what or message.get("text") or message["type"])
        if held in (what, message["type"]):
            await release.wait()

    client = WireClient(build(Listener), on_send=hold)
    await settle()
    sending = asyncio.create_task(client.consumer.send("\x1elooks like one"))
    await settle()
    assert order[-1] == held
    release.set()
    await sending
    await settle(0.1)

    assert order == ["websocket.accept", "hello", "\x1e\x1elooks like one"]
    await client.leave()


@virtual
async def test_without_a_heartbeat_the_hello_says_so():
    client = await meet(WireClient(build(Listener, HEARTBEAT={"mode": "off"})))
    await settle(3600)

    [hello] = client.controls
    assert (hello["interval_ms"], hello["timeout_ms"]) == (None, None)
    assert client.closes == []
    await client.leave()


# --- clients in trouble ----------------------------------------------------------------------


@every_server
@virtual
async def test_a_client_that_leaves_before_its_hello_ends_as_any_other(style, facts):
    async def leave(message):
        if is_control(message.get("text")):
            client.client_vanishes()
            await asyncio.sleep(0.1)

    client = WireClient(build(Listener), style=style, on_send=leave)

    assert await client.ended() is None

    assert facts.alarms == []


@virtual
async def test_a_client_that_does_not_take_its_hello_is_given_up(facts):
    async def block(message):
        if message["type"] == "websocket.send":
            await asyncio.get_running_loop().create_future()

    client = WireClient(build(Listener), on_send=block)

    assert await client.ended() is None

    assert facts.alarms == []
    await settle(40)
