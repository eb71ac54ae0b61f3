"""A debugger's stop, or a process that was stopped, ends nothing that was under way."""

import asyncio

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from shells.clients import Listener, TextClient, meet
from shells.test_stalls import stall
from shells.visits import Visit, both_colours, build, note, settle
from support.loop import virtual


@both_colours
@virtual
async def test_a_stop_in_connect_does_not_refuse_the_handshake(colour, facts):
    class Stopped(AsyncWebsocketConsumer):
        async def connect(self):
            await self.pause(1)
            await self.accept()

    visit = Visit(build(Stopped, colour))
    await settle(0.5)
    stall(3600)

    assert (await visit.next_sent())["type"] == "websocket.accept"
    assert facts.alarms in ([], ["loop.stalled"])
    await visit.leave()


@virtual
async def test_a_stop_while_a_handler_is_behind_does_not_close_with_3503():
    client = await meet(TextClient(build(Listener)))
    client.client_sends("work 20")
    for number in range(20):
        client.client_sends(f"frame {number}")
    await settle(5)

    stall(3600)
    await settle(60)

    assert client.closes == []
    assert [said for said in client.notes if str(said).startswith("frame")] == [
        f"frame {number}" for number in range(20)
    ]
    await client.leave()


@virtual
async def test_a_stop_after_the_client_has_left_does_not_cut_its_handler_off(facts):
    client = await meet(TextClient(build(Listener)))
    client.client_sends("work 4")
    await settle(1)
    client.client_closes(1000)
    await settle(1)

    stall(3600)

    assert await client.ended() is None
    assert "worked" in client.notes
    assert facts("handler.cut_off") == []


@pytest.mark.parametrize("reply", [None, {"ping": "pong"}])
@virtual
async def test_who_reads_slowly_but_pings_is_not_given_up(reply):
    """Whether its pings are answered or not: each is a sign of life."""
    taken = []

    async def slowly(message):
        if message["type"] == "websocket.send":
            await asyncio.sleep(30)
            taken.append(message["text"])

    options = {"SEND": {"deadline": 10.0}, "HEARTBEAT": {"reply": reply or {}}}
    client = await meet(TextClient(build(Listener, **options), on_send=slowly))
    client.client_sends("say something long")
    for _ in range(8):
        client.client_sends("ping")
        await settle(5)

    assert client.closes == []
    assert "something long" in taken
    await client.leave()


@virtual
async def test_a_close_that_was_given_up_half_way_still_ends_the_connection(facts):
    never = asyncio.get_running_loop().create_future()

    class Impatient(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await asyncio.wait_for(self.close(3001), 1)
            except TimeoutError:
                note(self, "gave up")

    async def closes_never(message):
        if message["type"] == "websocket.close":
            await asyncio.shield(never)

    visit = await meet(TextClient(build(Impatient), on_send=closes_never))
    visit.client_sends("go")
    await settle(60)

    assert visit.notes == ["gave up"]
    assert visit.task.done()
    [closed] = facts("connection.closed")
    assert closed.code == 3001
