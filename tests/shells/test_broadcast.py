"""Broadcasts: encoded once, past the handlers; an ordinary event for whoever wants its own."""

import asyncio
import json

from channels.layers import get_channel_layer

from resilient_channels import SendOutcome, broadcast, safe_group_send
from shells.chat import PAYLOAD, TEXT, Chat, leave_all, say
from shells.visits import Visit, both_colours, build, open_visit, settle
from support.loop import virtual
from support.servers import UVICORN

# --- the frame -------------------------------------------------------------------------------


@both_colours
@virtual
async def test_a_broadcast_is_one_finished_text_frame_for_each(colour, hub):
    visits = [await open_visit(build(Chat, colour)) for _ in range(3)]

    assert await say() is SendOutcome.SENT

    frame = {"type": "websocket.send", "text": TEXT}
    assert [visit.sent_of_type("websocket.send") for visit in visits] == [[frame]] * 3
    assert [visit.notes for visit in visits] == [[]] * 3
    await leave_all(*visits)


@virtual
async def test_the_frame_is_what_send_json_of_channels_makes(hub):
    visit = await open_visit(build(Chat))
    payloads = [PAYLOAD, [], "text", 7, None, {"\u2028": "</script>"}, "\x1e looks like ours"]

    for payload in payloads:
        await say(payload)
    texts = visit.texts[:]
    for payload in payloads:
        await get_channel_layer().group_send("room", {"type": "chat.message", "payload": payload})
        await settle()

    assert texts == visit.texts[len(payloads) :]
    await visit.leave()


@virtual
async def test_a_broadcast_is_encoded_once_for_all(hub, monkeypatch):
    visits = [await open_visit(build(Chat)) for _ in range(50)]
    encoded = []
    dumps = json.dumps
    monkeypatch.setattr(json, "dumps", lambda *args, **kw: encoded.append(1) or dumps(*args, **kw))

    await say()

    assert len(encoded) <= 2  # where it is sent, to raise there; and where it arrives
    assert [visit.texts for visit in visits] == [[TEXT]] * 50
    await leave_all(*visits)


@virtual
async def test_frames_count_as_sent(hub, facts):
    visit = await open_visit(build(Chat))
    await say()
    await say()

    await visit.leave()

    assert [closed.sent for closed in facts("connection.closed")] == [2]


@both_colours
@virtual
async def test_broadcasts_and_events_come_in_the_order_in_which_they_were_sent(colour, hub):
    visit = await open_visit(build(Chat, colour))

    for number in range(20):
        if number % 3:
            await broadcast("room", number, type="chat.message")
        else:
            await safe_group_send("room", {"type": "news", "text": str(number)})
    await settle(1)

    assert visit.texts == [str(number) for number in range(20)]
    await visit.leave()


@both_colours
@virtual
async def test_a_busy_consumer_gets_its_frames_in_their_turn(colour, hub):
    visit = await open_visit(build(Chat, colour))
    visit.client_sends("5")
    await settle()

    await say("one")
    await safe_group_send("room", {"type": "news", "text": "two"})
    await say("three")
    assert visit.texts == []
    await settle(6)

    assert visit.texts == ['"one"', "two", '"three"']
    await visit.leave()


@virtual
async def test_a_client_that_reads_slowly_holds_up_nobody(hub):
    gate = asyncio.Event()

    async def hold(message):
        if message["type"] == "websocket.send":
            await gate.wait()

    slow = await open_visit(build(Chat), on_send=hold)
    other = await open_visit(build(Chat))

    for number in range(3):
        await say(number)
    await safe_group_send("room", {"type": "news", "text": "3"})
    await settle()
    assert other.texts == ["0", "1", "2", "3"]
    assert slow.texts == []
    gate.set()
    await settle()

    assert slow.texts == ["0", "1", "2", "3"]
    await leave_all(slow, other)


@virtual
async def test_a_frame_that_the_server_refuses_ends_no_other(hub, facts):
    def refuse(message):
        if message["type"] == "websocket.send":
            raise ValueError("refused")

    refused = await open_visit(build(Chat), on_send=refuse)
    other = await open_visit(build(Chat))

    assert await say() is SendOutcome.SENT

    assert other.texts == [TEXT]
    assert "handler.error" not in facts.alarms
    await leave_all(other)
    refused.client_closes()
    await refused.ended()


@virtual
async def test_nothing_is_written_to_a_client_that_has_left(hub):
    gone, other = await open_visit(build(Chat), style=UVICORN), await open_visit(build(Chat))
    gone.client_vanishes()

    await say()
    await gone.ended()

    assert gone.sent_of_type("websocket.send") == []
    assert other.texts == [TEXT]
    await other.leave()


@virtual
async def test_nothing_is_written_before_accept(hub):
    class Hesitant(Chat):
        async def connect(self):
            await self.pause(5)
            await self.accept()

    visit = Visit(build(Hesitant))
    await settle(1)

    await say("early")
    assert visit.sent == []
    await settle(6)
    await say("late")

    assert visit.sent[0]["type"] == "websocket.accept"
    assert visit.texts == ['"early"', '"late"']
    await visit.leave()


@virtual
async def test_a_consumer_that_refuses_its_client_gets_no_frame(hub):
    class Refusing(Chat):
        async def connect(self):
            await self.pause(5)
            await self.close()

    visit = Visit(build(Refusing))
    await settle(1)

    await say()
    await settle(6)

    assert visit.sent == [{"type": "websocket.close"}]
    await visit.ended()


@virtual
async def test_frames_that_a_slow_consumer_cannot_take_are_counted(hub, facts):
    visit = await open_visit(build(Chat))
    visit.client_sends("60")
    await settle()

    for number in range(130):
        await broadcast("room", number, type="chat.message")
        await asyncio.sleep(0.001)
    await settle(5)

    assert [record.dropped for record in facts("layer.overflow")] == [30]
    await settle(61)
    assert visit.texts == [str(number) for number in range(100)]
    await visit.leave()
