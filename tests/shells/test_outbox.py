"""A client that reads slowly: what waits for it, in which order, and where it ends."""

import asyncio
import gc
import json
import weakref

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from resilient_channels import DisconnectKind, SendOutcome, broadcast, on_disconnect
from resilient_channels.queueing import pool
from shells.chat import Chat, leave_all, say
from shells.visits import both_colours, build, note, now, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES


class Buffer:
    """An ``on_send`` that takes frames only while it is open; other messages pass."""

    def __init__(self):
        self.open = asyncio.Event()
        self.taken = 0

    async def __call__(self, message):
        if message["type"] == "websocket.send":
            await self.open.wait()
            self.taken += 1


class Wall(Buffer):
    """One that takes no close frame either."""

    async def __call__(self, message):
        if message["type"] in ("websocket.send", "websocket.close"):
            await self.open.wait()


class Talker(AsyncJsonWebsocketConsumer):
    """Sends what it is told to: ``{"how": "wait" | "queue" | "plain" | "close", ...}``."""

    async def receive_json(self, content):
        how = content.pop("how")
        if how == "plain":
            for text in content["texts"]:
                await self.send(text)
            note(self, "sent")
        elif how == "close":
            await self.close(4000)
            note(self, "closed")
        elif how == "json":
            note(self, await self.safe_send_json(content["texts"], wait=False))
        else:
            outcomes = [
                await self.safe_send(text, wait=how == "wait", key=content.get("key"))
                for text in content["texts"]
            ]
            note(self, outcomes)

    @on_disconnect(DisconnectKind.TIMEOUT)
    async def gave_up(self, info):
        note(self, "gave up", info.code)


def tell(visit, how, *texts, **more):
    visit.client_sends(json.dumps({"how": how, "texts": texts, **more}))


async def meet(colour="async", **options):
    buffer = Buffer()
    visit = await open_visit(build(Talker, colour, **options), on_send=buffer)
    return visit, buffer


# --- safe_send(wait=False) -------------------------------------------------------------------


@both_colours
@virtual
async def test_whoever_does_not_want_to_wait_does_not(colour):
    visit, buffer = await meet(colour)
    began = now()

    tell(visit, "queue", "a", "b", "c")
    await settle()

    assert visit.notes == [[SendOutcome.QUEUED] * 3]
    assert now() - began < 1
    assert visit.texts == []
    buffer.open.set()
    await settle()
    assert visit.texts == ["a", "b", "c"]
    await visit.leave()


@both_colours
@virtual
async def test_what_the_server_takes_is_sent_or_about_to_be(colour, facts):
    visit, buffer = await meet(colour)
    buffer.open.set()

    tell(visit, "queue", "a", "b")
    tell(visit, "json", 1, 2)
    await settle()

    assert all(visit.notes[0])
    assert visit.notes[1]
    assert visit.texts == ["a", "b", "[1, 2]"]
    await visit.leave()
    assert [(end.sent, end.unsent) for end in facts("connection.closed")] == [(3, 0)]


@both_colours
@virtual
async def test_order_is_kept_among_those_who_wait_and_those_who_do_not(colour):
    visit, buffer = await meet(colour)

    tell(visit, "queue", "a", "b")
    tell(visit, "plain", "c", "d")
    tell(visit, "queue", "e")
    tell(visit, "wait", "f")
    await settle()
    assert visit.texts == []
    assert visit.notes == [[SendOutcome.QUEUED] * 2]  # plain send waits, as it always did
    buffer.open.set()
    await settle()

    assert visit.texts == ["a", "b", "c", "d", "e", "f"]
    await visit.leave()


@both_colours
@virtual
async def test_a_close_comes_behind_what_was_queued(colour):
    visit, buffer = await meet(colour)
    tell(visit, "queue", "a", "b")
    tell(visit, "close")
    await settle()
    assert visit.closes == []

    buffer.open.set()
    await settle()

    assert visit.texts == ["a", "b"]
    assert visit.closes == [4000]
    await visit.ended()


@pytest.mark.parametrize("reads", [True, False])
@virtual
async def test_a_planned_close_lets_a_client_have_what_waits_if_it_reads(reads):
    visit, buffer = await meet(LIFETIME={"max_age": 10})
    tell(visit, "queue", "a", "b")
    asyncio.get_running_loop().call_later(10.5, buffer.open.set if reads else lambda: None)

    await visit.ended()

    assert visit.texts[:2] == (["a", "b"] if reads else [])
    assert visit.closes == [3513]
    assert now() < 10 + 3 + 8


@virtual
async def test_after_the_end_nothing_is_queued():
    visit, _ = await meet()

    await visit.leave()

    assert await visit.consumer.safe_send("late", wait=False) is SendOutcome.CLOSED


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
@both_colours
@virtual
async def test_what_is_dropped_is_said(colour, overflow, facts):
    visit, buffer = await meet(colour, OUTBOX={"messages": 3, "overflow": overflow})

    # The first is in the hands of the server, and the next three wait.
    tell(visit, "queue", *"abcdefg")
    await settle()
    buffer.open.set()
    await settle(2)

    dropped = [SendOutcome.DROPPED] * 3 if overflow == "drop_newest" else [SendOutcome.QUEUED] * 3
    assert visit.notes == [[SendOutcome.QUEUED] * 4 + dropped]
    assert visit.texts == (list("abcd") if overflow == "drop_newest" else list("aefg"))
    assert [(fact.cause, fact.dropped) for fact in facts("outbox.overflow")] == [("dropped", 3)]
    await visit.leave()
    assert [(end.sent, end.unsent) for end in facts("connection.closed")] == [(4, 3)]


@virtual
async def test_of_frames_with_a_key_the_latest_arrives():
    visit, buffer = await meet(OUTBOX={"overflow": "coalesce"})
    tell(visit, "queue", "first", key="other")
    for price in range(5):
        tell(visit, "queue", f"A {price}", key="A")
        tell(visit, "queue", f"B {price}", key="B")
    await settle()
    buffer.open.set()
    await settle()

    assert visit.texts == ["first", "A 4", "B 4"]
    await visit.leave()


@pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize("bound", [{"messages": 3}, {"bytes": 3}], ids=str)
@both_colours
@virtual
async def test_too_much_for_a_client_ends_it_at_once(colour, bound, style, facts):
    buffer = Buffer()
    consumer = build(Talker, colour, OUTBOX=bound)
    visit = await open_visit(consumer, on_send=buffer, style=style)
    began = now()

    tell(visit, "queue", *"abcdefg")
    await visit.ended()

    assert now() - began < 8
    assert visit.notes[0] == [SendOutcome.QUEUED] * 4 + [SendOutcome.CLOSED] * 3
    assert visit.notes[1:] == [("gave up", 3420)]
    assert visit.closes == [3420]
    [overflow] = facts("outbox.overflow")
    assert (overflow.cause, overflow.dropped, overflow.waiting) == ("closed", 3, 3)
    assert pool.size == 0


@virtual
async def test_whoever_waits_in_line_learns_of_the_end():
    visit, _ = await meet(SEND={"deadline": 5})
    tell(visit, "queue", "a", "b")
    tell(visit, "wait", "c")
    await settle()

    await visit.ended()

    assert visit.notes == [
        [SendOutcome.QUEUED] * 2,
        [SendOutcome.CLOSED],
        ("gave up", 3420),
    ]
    assert pool.size == 0


@virtual
async def test_a_sender_that_gives_up_its_place_holds_up_nobody():
    visit, buffer = await meet()
    tell(visit, "queue", "a", "b")
    await settle()
    waiting = asyncio.ensure_future(visit.consumer.send("c"))
    await settle()

    waiting.cancel()
    tell(visit, "queue", "d")
    await settle()
    buffer.open.set()
    await settle()

    assert visit.texts == ["a", "b", "d"]
    await visit.leave()


@virtual
async def test_senders_that_give_up_leave_nothing_in_the_line():
    """Symptom: with a time limit around each send to a client that did not read, the process
    grew with every one that had run out."""
    visit, buffer = await meet()
    tell(visit, "queue", "a", "b")
    await settle()
    line = visit.consumer._resilient_driver.gate.line
    waiting = len(line._box)

    for _ in range(100):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(visit.consumer.send("c"), 0.01)

    assert len(line._box) == waiting
    buffer.open.set()
    await settle()
    assert visit.texts == ["a", "b"]
    await visit.leave()


@pytest.mark.parametrize("server", [Buffer, Wall])
@both_colours
@virtual
async def test_a_client_that_talks_and_does_not_read_is_closed_within_two_deadlines(colour, server):
    """Symptom: everything it said was a sign of life, and ``close()`` did not return."""
    consumer = build(Talker, colour, SEND={"deadline": 2.0})
    visit = await open_visit(consumer, on_send=server())
    tell(visit, "queue", "a", "b")
    tell(visit, "close")
    began = now()

    while "closed" not in visit.notes:
        visit.client_sends(json.dumps({"how": "queue", "texts": []}))
        await settle(0.5)
        assert now() - began < 2 * 2.0 + 1

    assert visit.texts == []
    await visit.leave()


@virtual
async def test_a_key_without_a_queue_is_refused():
    visit, _ = await meet()

    with pytest.raises(ValueError, match="wait=False"):
        await visit.consumer.safe_send("text", key="a")
    with pytest.raises(TypeError, match="key must be a str"):
        await visit.consumer.safe_send("text", wait=False, key=7)
    await visit.leave()


# --- broadcasts ------------------------------------------------------------------------------


@both_colours
@virtual
async def test_a_stalled_member_delays_nobody_and_ends_within_the_deadline(colour, hub, facts):
    stalled = await open_visit(build(Chat, colour, SEND={"deadline": 5}), on_send=Buffer())
    other = await open_visit(build(Chat, colour))
    began = now()

    for number in range(50):
        await say(number)
        await settle(0.2)

    assert other.texts == [str(number) for number in range(50)]
    await stalled.ended()
    assert stalled.closes == [3420]
    assert facts("connection.closed")[0].duration <= 5 + 1
    assert now() - began == pytest.approx(50 * 0.21, abs=1)
    await other.leave()


@virtual
async def test_frames_wait_beside_a_handler_that_has_nothing_to_do_with_them(hub):
    """Symptom: while a client did not read, its consumer handled no message either."""
    visit = await open_visit(build(Talker), on_send=(buffer := Buffer()))
    await visit.consumer.channel_layer.group_add("room", visit.consumer.channel_name)
    for number in range(3):
        await broadcast("room", number, type="chat.message")
    await settle()

    tell(visit, "queue", "from a handler")
    await settle()

    assert visit.notes == [[SendOutcome.QUEUED]]
    buffer.open.set()
    await settle()
    assert visit.texts == ["0", "1", "2", "from a handler"]
    await visit.leave()


@virtual
async def test_of_broadcasts_with_a_key_the_latest_arrives(hub):
    buffer = Buffer()
    slow = await open_visit(build(Chat, OUTBOX={"overflow": "coalesce"}), on_send=buffer)
    quick = await open_visit(build(Chat))

    for number in range(10):
        await broadcast("room", number, type="chat.message", key="price")
        await settle()
    buffer.open.set()
    await settle()

    assert quick.texts == [str(number) for number in range(10)]
    assert slow.texts == ["0", "9"]
    await leave_all(slow, quick)


@virtual
async def test_a_process_gives_up_the_slowest_when_too_much_waits_in_all(hub, facts, settings):
    """The one that everything waits for, and not the one whose frame was the last."""
    settings.RESILIENT_CHANNELS = {"OUTBOX": {"process_bytes": 1000}}
    worst = await open_visit(build(Talker), on_send=Buffer())
    tell(worst, "queue", "first", "x" * 900)
    await settle()
    slow, buffer = await meet()

    tell(slow, "queue", "first", "y" * 60, "z" * 60)
    await settle()

    await worst.ended()
    assert worst.closes == [3420]
    assert slow.notes == [[SendOutcome.QUEUED] * 3]
    assert pool.size == 120
    buffer.open.set()
    await settle()
    assert slow.texts == ["first", "y" * 60, "z" * 60]
    assert pool.size == 0
    await slow.leave()


@virtual
async def test_a_server_that_keeps_who_waited_for_the_lost_keeps_nothing_else():
    """Symptom: on Granian, which keeps these tasks for ever, one of 50 connections that were reset
    in the middle of a broadcast stayed in memory."""
    kept = []

    async def keep(message):
        if message["type"] == "websocket.send":
            kept.append(asyncio.current_task())
            await asyncio.get_running_loop().create_future()

    visit = await open_visit(build(Talker), on_send=keep)
    tell(visit, "queue", "a", "b")
    await settle()
    assert len(kept) == 1
    consumer = weakref.ref(visit.consumer)

    visit.client_closes(1006)
    await visit.ended()
    del visit
    await settle()
    gc.collect()

    assert consumer() is None


@virtual
async def test_a_client_that_leaves_takes_what_waits_with_it(hub):
    visit = await open_visit(build(Chat), on_send=Buffer())
    for number in range(20):
        await say(number)
    assert pool.size > 0

    visit.client_vanishes()
    await visit.ended()

    assert pool.size == 0
    assert not pool._lines  # and through it the connection, with all that it holds
