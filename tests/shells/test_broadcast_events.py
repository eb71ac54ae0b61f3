"""Broadcasts to those who want an ordinary event, and what can be wrong with one."""

import asyncio
import json

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import SendOutcome, broadcast, safe_group_send
from resilient_channels.layers import ResilientChannelLayer
from shells.chat import PAYLOAD, TEXT, Chat, leave_all, say
from shells.fleet import There, two_processes
from shells.members import Member, break_down
from shells.visits import both_colours, build, note, open_visit, settle
from support.hubs import around, make_layer, on_a_bare_layer
from support.ids import named
from support.layers import ScriptedLayer, installed
from support.loop import virtual

# --- who gets an ordinary event --------------------------------------------------------------


class OwnSend(Chat):
    async def chat_message(self, event):
        note(self, "handler", event)
        await self.send(json.dumps(event["payload"]))

    async def send(self, text_data=None, bytes_data=None, close=False):
        await super().send(text_data=f"<{text_data}>")


class OwnSendJson(Chat):
    async def send_json(self, content, close=False):
        await super().send_json({"wrapped": content})


class OwnEncodeJson(Chat):
    @classmethod
    async def encode_json(cls, content):
        return f"encoded {content['text']}"


@pytest.mark.parametrize(
    ("consumer", "text"),
    [
        (OwnSend, f"<{TEXT}>"),
        (OwnSendJson, json.dumps({"wrapped": PAYLOAD})),
        (OwnEncodeJson, "encoded caf\u00e9"),
    ],
)
@both_colours
@virtual
async def test_who_overrides_how_it_sends_is_asked(colour, consumer, text, hub):
    visit, other = await open_visit(build(consumer, colour)), await open_visit(build(Chat))

    await say()

    assert visit.notes == [("handler", {"type": "chat.message", "payload": PAYLOAD})]
    assert visit.texts == [text]
    assert other.texts == [TEXT]
    await leave_all(visit, other)


@virtual
async def test_who_is_asked_may_change_its_own_copy_of_the_event(hub):
    class Scribbler(OwnSend):
        async def chat_message(self, event):
            await super().chat_message(event)
            event["payload"] = "scribbled over"

    visits = [await open_visit(build(Scribbler)) for _ in range(3)]

    await say()

    assert [visit.texts for visit in visits] == [[f"<{TEXT}>"]] * 3
    await leave_all(*visits)


@virtual
async def test_a_consumer_without_the_mixin_gets_an_ordinary_event(hub):
    class Plain(AsyncWebsocketConsumer):
        groups = ["room"]

        async def chat_message(self, event):
            await self.send(repr(event))

    visit = await open_visit(Plain)

    await say()

    assert visit.texts == [repr({"type": "chat.message", "payload": PAYLOAD})]
    await visit.leave()
    await settle(12)


@virtual
async def test_a_receiver_gets_an_ordinary_event(hub):
    channel = await hub.new_channel()
    await hub.group_add("room", channel)

    await say()

    assert await hub.receive(channel) == {"type": "chat.message", "payload": PAYLOAD}
    await hub.group_discard("room", channel)
    await settle(12)
    await hub.close()


@pytest.mark.parametrize("layer", ["bare"], indirect=True)
@both_colours
@virtual
async def test_on_a_layer_that_is_no_hub_everybody_is_asked(colour, layer):
    visit = await open_visit(build(Chat, colour))

    assert await say() is SendOutcome.SENT

    assert visit.notes == [("handler", {"type": "chat.message", "payload": PAYLOAD})]
    assert visit.texts == [TEXT]
    await visit.leave()


@pytest.mark.parametrize("setup", ["hub", "core-hub"])
@virtual
async def test_the_other_process_gets_finished_frames_too_and_a_plain_one_events(setup):
    class ChatThere(Chat, There):
        pass

    class PlainThere(AsyncWebsocketConsumer):
        groups = ["room"]
        channel_layer_alias = "plain"

        async def chat_message(self, event):
            await self.send(event["payload"]["text"])

    layer = make_layer(setup)
    with installed(around(layer)), two_processes(layer), installed(layer.neighbour(), "plain"):
        here, there = await open_visit(build(Chat)), await open_visit(build(ChatThere))
        plain = await open_visit(PlainThere)

        await say()

        assert here.texts == there.texts == [TEXT]
        assert there.notes == []
        assert plain.texts == ["caf\u00e9"]
        await leave_all(here, there, plain)


# --- outcomes and mistakes -------------------------------------------------------------------


@pytest.mark.parametrize("setup", ["hub", "core-hub"])
@virtual
async def test_in_an_outage_the_members_here_get_their_frame_at_once(setup):
    layer = make_layer(setup)
    with installed(around(layer)):
        visit = await open_visit(build(Chat))
        break_down(layer, ConnectionError("refused"))
        await settle(15)
        sending = asyncio.ensure_future(broadcast("room", PAYLOAD, type="chat.message"))
        await settle(0.1)

        assert visit.texts == [TEXT]
        assert await sending is SendOutcome.TIMED_OUT
        layer.heal()
        await settle(10)
        await visit.leave()


@pytest.mark.parametrize("payload", [object(), {1, 2}, b"bytes", {"a": object()}], ids=named)
@virtual
async def test_a_payload_that_is_no_json_is_an_error_of_the_caller(payload, hub, facts):
    visit = await open_visit(build(Chat))

    with pytest.raises(TypeError):
        await say(payload)

    assert visit.texts == []
    assert facts.alarms == []
    await visit.leave()


@virtual
async def test_a_bad_group_name_is_an_error_of_the_caller(hub):
    with pytest.raises(TypeError):
        await say(group="not a name!")


@virtual
async def test_no_event_can_pretend_to_be_a_broadcast(hub):
    visit = await open_visit(build(Chat))
    forged = {"type": "chat.message", "payload": "<script>", "rc.broadcast": True}

    with pytest.raises(AssertionError):
        await hub.group_send("room", forged)
    with pytest.raises(AssertionError):
        await safe_group_send("room", forged)

    assert visit.texts == []
    await visit.leave()


@virtual
async def test_a_strange_broadcast_of_another_process_is_an_ordinary_event():
    layer = make_layer("core-hub")
    with installed(around(layer)):
        visit = await open_visit(build(Chat))

        await layer.neighbour().group_send("room", {"type": "chat.message", "rc.broadcast": True})
        await layer.neighbour().group_send(
            "room", {"type": "chat.message", "payload": {1, 2}, "rc.broadcast": 7}
        )
        await safe_group_send("room", {"type": "news", "text": "alive"})
        await settle()

        assert visit.texts[-1] == "alive"
        assert visit.closes == []
        await visit.leave()


@on_a_bare_layer
@virtual
async def test_an_empty_room_is_no_error(layer):
    assert await say() is SendOutcome.SENT
    with installed(around(ScriptedLayer())):
        assert await say() is SendOutcome.SENT
    with installed(ResilientChannelLayer()):
        assert await say() is SendOutcome.SENT


@virtual
async def test_members_of_other_groups_hear_nothing(hub):
    class Elsewhere(Member):
        groups = ["hall"]

    here, elsewhere = await open_visit(build(Chat)), await open_visit(build(Elsewhere))

    await say()

    assert here.texts == [TEXT]
    assert elsewhere.texts == []
    await leave_all(here, elsewhere)
