"""What one consumer does wrong, or a neighbour does to it, stays between the two of them."""

import asyncio
import contextlib

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import InMemoryChannelLayer, get_channel_layer

from shells.members import Member, hears, outage
from shells.visits import Visit, build, note, open_visit, settle
from support.loop import virtual


class Clumsy(AsyncWebsocketConsumer):
    """Joins a group whose name no layer takes, and leaves it again at the end."""

    async def receive(self, text_data=None, bytes_data=None):
        with contextlib.suppress(TypeError):
            await self.channel_layer.group_add("bad name!", self.channel_name)

    async def disconnect(self, code):
        with contextlib.suppress(TypeError):
            await self.channel_layer.group_discard("bad name!", self.channel_name)


@virtual
async def test_a_group_name_that_no_layer_takes_keeps_no_outage_from_ending(layer, facts):
    """Symptom: after it every outage lasted for ever, and a warning came ten times a second."""
    other = await open_visit(build(Member))
    clumsy = await open_visit(build(Clumsy))
    clumsy.client_sends("join")
    await settle()
    await clumsy.leave()

    await outage(layer, ConnectionError())
    await settle(5)

    assert facts.alarms == ["layer.down"]
    assert len(facts("layer.up")) == 1
    assert await hears(layer, other) == [True]
    await other.leave()


@virtual
async def test_a_group_that_a_healthy_layer_refuses_to_let_go_of_is_given_up(layer, facts):
    class Leaving(Member):
        groups = ["hall"]

    other, visit = await open_visit(build(Member)), await open_visit(build(Leaving))
    await settle(1)
    layer.break_down(RuntimeError("WRONGTYPE"), "group_discard")
    await visit.leave()

    await settle(60)

    assert len(facts("layer.join_failed")) == 1
    assert facts("layer.down") == []
    layer.heal()
    layer.lose_groups()
    await other.leave()


@virtual
async def test_a_member_that_a_neighbour_takes_out_of_a_group_stays_out(layer):
    class Moderator(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.channel_layer.group_discard("room", text_data)

    member = await open_visit(build(Member))
    moderator = await open_visit(build(Moderator))
    moderator.client_sends(member.consumer.channel_name)
    await settle()

    await outage(layer, ConnectionError())
    await settle(5)

    assert await hears(layer, member) == [False]
    assert member.consumer.resilient.groups == frozenset()
    await moderator.leave()
    await member.leave()


@pytest.mark.parametrize("safely", [False, True])
@virtual
async def test_a_handler_that_sends_to_nobody_without_end_lets_others_work(safely):
    """Symptom: the whole process stood still, because no send ever waited any more."""

    class Endless(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            while True:
                await (self.safe_send("x") if safely else self.send("x"))
                if self.resilient.info is None:
                    await asyncio.sleep(1)

    visit = await open_visit(build(Endless))
    visit.client_sends("go")
    await settle()
    visit.client_vanishes()

    for _ in range(100):  # a turn of the loop each, which a loop that spins would not give
        await asyncio.sleep(0)

    visit.task.cancel()
    await visit.ended()


@virtual
async def test_a_slow_connect_is_not_the_layers_fault(layer):
    """Symptom: after a second of authentication the handshake was refused, on a healthy layer."""

    class Slow(Member):
        async def connect(self):
            await asyncio.sleep(5)
            await self.channel_layer.group_send("room", {"type": "news", "text": "coming"})
            await self.accept()

    visit = Visit(build(Slow))
    visit.client_connects()

    assert (await visit.next_sent())["type"] == "websocket.accept"
    await visit.leave()


@virtual
async def test_a_message_sent_long_after_the_end_is_sent_all_the_same(layer):
    """Symptom: it was dropped without a word, as if the cleanup were still going on."""

    class Farewell(Member):
        async def disconnect(self, code):
            self.late = asyncio.ensure_future(self.say_so())

        async def say_so(self):
            await asyncio.sleep(60)
            await self.channel_layer.group_send("room", {"type": "news", "text": "offline"})

    other = await open_visit(build(Member))
    visit = await open_visit(build(Farewell))
    await visit.leave()

    await settle(61)

    assert "offline" in other.texts
    await visit.consumer.late
    await other.leave()


@pytest.mark.parametrize("code", [401, 403, 4003, None])
@virtual
async def test_a_refusal_may_carry_any_code(code, facts):
    class Guarded(AsyncWebsocketConsumer):
        async def connect(self):
            await self.close(code=code)

    visit = Visit(build(Guarded))
    visit.client_connects()

    assert (await visit.next_sent())["type"] == "websocket.close"
    await settle(3)
    assert facts.alarms == []
    await visit.ended()


@virtual
async def test_the_layer_a_consumer_sees_passes_for_the_layer():
    class Curious(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            layer = self.channel_layer
            note(self, isinstance(layer, InMemoryChannelLayer), layer == get_channel_layer())
            note(self, layer.groups.get("room"), layer.capacity, hasattr(layer, "nonsense"))

    visit = await open_visit(build(Curious))
    visit.client_sends("look")
    await settle()

    assert visit.notes == [(True, True), (None, 100, False)]
    await visit.leave()


@virtual
async def test_a_layer_given_as_a_class_attribute_does_not_hide_the_real_one(layer):
    """Symptom: no event ever arrived, because the attribute stood before ours."""

    class Declared(Member):
        channel_layer = None

    visit = await open_visit(build(Declared))

    assert await hears(layer, visit) == [True]
    await visit.leave()


@virtual
async def test_a_task_started_inside_a_safe_send_ends_with_its_connection(facts):
    """Symptom: its plain sends never raised, so it sent to nobody for ever."""

    class Flusher(AsyncWebsocketConsumer):
        async def send(self, text_data=None, bytes_data=None, close=False):
            if text_data == "start":
                self.flusher = asyncio.ensure_future(self.flush())
            await super().send(text_data, bytes_data, close)

        async def receive(self, text_data=None, bytes_data=None):
            await self.safe_send("start")

        async def flush(self):
            with contextlib.suppress(OSError):
                while True:
                    await asyncio.sleep(1)
                    await self.send("tick")
            return "ended"

    visit = await open_visit(build(Flusher))
    visit.client_sends("go")
    await settle(3)
    await visit.leave()

    assert await asyncio.wait_for(visit.consumer.flusher, 5) == "ended"


@virtual
async def test_a_task_group_that_meets_the_end_is_no_error(facts):
    class Grouped(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            self.resilient.spawn(self.stream())

        async def stream(self):
            async with asyncio.TaskGroup() as group:
                group.create_task(self.tick())
                group.create_task(self.tick())

        async def tick(self):
            while True:
                await asyncio.sleep(1)
                await self.send("tick")

    visit = await open_visit(build(Grouped, TEARDOWN={"timeout": 8}))
    visit.client_sends("go")
    await settle(3)
    await visit.leave()

    assert facts.alarms == []
