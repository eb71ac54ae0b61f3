"""A server that takes whatever it is given (Daphne): no more is under way than may be."""

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import SendOutcome, on_disconnect
from resilient_channels.intake import FAIR_SHARE
from shells.clients import BOUND, TextClient, WireClient, is_control, meet
from shells.mounts import mount, plain
from shells.visits import build, note, now, settle
from support.loop import virtual
from support.servers import UVICORN

LIMIT = 1000
OUTBOX = {"bytes": LIMIT, "messages": 10}


class Flood(AsyncWebsocketConsumer):
    """ "plain 50", "queue 50": sends so many frames of a hundred characters."""

    async def receive(self, text_data=None, bytes_data=None):
        how, _, count = text_data.partition(" ")
        for number in range(int(count)):
            text = f"{number:0100}"
            if how == "plain":
                await self.send(text)
            else:
                outcome = await self.safe_send(text, wait=False)
        note(self, "sent" if how == "plain" else outcome)

    @on_disconnect
    async def ended(self, info):
        note(self, info.kind.value, info.code)


class Slow(WireClient):
    """Reads, and answers pings, in order, at so many characters a second."""

    def __init__(self, consumer, *, speed, **kwargs):
        self.speed = speed
        self.busy_until = 0.0
        self.behind = self.most_behind = 0
        super().__init__(consumer, **kwargs)

    def reads(self, text):
        if self.is_frozen:
            return
        size = len(text or "")
        loop = asyncio.get_running_loop()
        self.behind += size
        self.most_behind = max(self.most_behind, self.behind)
        self.busy_until = max(self.busy_until, loop.time()) + size / self.speed
        loop.call_at(self.busy_until, self.has_read, text, size)

    def has_read(self, text, size):
        self.behind -= size
        super().reads(text)


@pytest.mark.parametrize("how", ["plain", "queue"])
@virtual
async def test_a_frozen_client_is_written_to_no_more_than_the_window_and_then_ended(how):
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX)))
    client.freeze()
    began = now()

    client.client_sends(f"{how} 15")
    await client.ended()

    assert len(client.texts) == LIMIT // 100
    assert now() - began <= BOUND + 8
    assert client.notes[-1] == ("timeout", 3408)


@virtual
async def test_what_would_wait_beyond_the_bound_ends_a_frozen_client_at_once():
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX)))
    client.freeze()
    began = now()

    client.client_sends("queue 100")
    await client.ended()

    assert now() - began < 8
    assert len(client.texts) == LIMIT // 100
    assert client.notes == [SendOutcome.CLOSED, ("timeout", 3420)]


@virtual
async def test_a_slow_client_gets_everything_in_order_and_is_never_far_behind():
    client = await meet(Slow(build(Flood, OUTBOX=OUTBOX), speed=1000.0))

    client.client_sends("plain 200")
    await settle(60)

    assert client.texts == [f"{number:0100}" for number in range(200)]
    assert client.notes == ["sent"]
    # The window, what is asked in it, and one frame in hand.
    assert client.most_behind <= LIMIT + 300
    await client.leave()


@virtual
async def test_a_client_that_sends_faster_than_it_is_answered_gets_its_answers():
    """Symptom: the handler waited for a pong, which was behind what the full inbox kept from
    being read; no answer came any more, and after 300 seconds the connection was closed."""
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX, INBOX={"frames": 4})))

    for _ in range(60):
        client.client_sends("plain 7")
    while client.notes != ["sent"] * 60:
        await settle(0.1)
        assert now() < 10

    assert len(client.texts) == 420
    await client.leave()


@virtual
async def test_a_wait_that_has_begun_reads_on_in_a_full_inbox():
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX, INBOX={"frames": 4}), latency=5))
    client.client_sends("plain 15")
    await settle(1)
    assert len(client.texts) == LIMIT // 100

    for _ in range(9):
        client.client_sends("plain 0")
    await settle(10)

    assert len(client.texts) == 15
    await client.leave()


@virtual
async def test_who_sends_and_never_reads_is_written_no_more_than_the_window_and_is_ended():
    """Symptom: behind a full inbox the window did not count, and what it sent were signs of
    life: Daphne's memory grew for as long as it liked."""
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX, INBOX={"frames": 4})))
    client.freeze()
    began = now()

    while not client.closes:
        client.client_sends("plain 5")
        await settle(1)
        assert now() - began < 400

    assert len(client.texts) == LIMIT // 100
    assert client.closes == [3420]


@virtual
async def test_whoever_reads_on_lets_others_have_their_turn():
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX, INBOX={"frames": 4})))
    client.freeze()
    client.client_sends("plain 15")
    await settle()
    for _ in range(500):
        client.client_sends("plain 0")

    most, left = 0, client.inbound.qsize()
    while left:
        await asyncio.sleep(0)
        most, left = max(most, left - client.inbound.qsize()), client.inbound.qsize()

    assert most <= 2 * FAIR_SHARE
    client.client_closes(1006)
    await client.ended()


class Reporter(AsyncWebsocketConsumer):
    """Works in the thread that all share, and tells its client how far it is."""

    async def receive(self, text_data=None, bytes_data=None):
        await sync_to_async(self.work)(int(text_data.split()[1]))

    def work(self, count):
        for number in range(count):
            async_to_sync(self.send)(f"{number:0100}")


SHARED = {
    "a synchronous consumer": lambda: build(Flood, "sync", OUTBOX=OUTBOX),
    "one behind the middleware": lambda: mount(plain(Flood, "sync"), OUTBOX=OUTBOX),
    "work of an asynchronous one": lambda: build(Reporter, OUTBOX=OUTBOX),
}


@pytest.mark.parametrize("whose", SHARED)
@virtual
async def test_the_thread_that_all_share_waits_for_no_client(whose):
    """Symptom: one frozen client, and no synchronous code of the process ran for 45 seconds."""
    client = await meet(WireClient(SHARED[whose]()))
    other = await meet(WireClient(build(Flood, "sync")))
    client.freeze()

    client.client_sends("plain 50")
    other.client_sends("plain 1")
    await settle()

    assert len(client.texts) == 50
    assert len(other.texts) == 1
    await client.leave()
    await other.leave()


@virtual
async def test_the_answers_of_a_fast_client_are_all_heard():
    """Symptom: of pongs that were not written as expected all beyond 20 a second were ignored, and
    the transfer stood still until the next heartbeat."""
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX), latency=0.001))
    began = now()

    client.client_sends("plain 2000")
    while "sent" not in client.notes:
        await settle(0.1)

    assert now() - began < 2
    assert len(client.pings) > 100
    await client.leave()


@virtual
async def test_the_window_asks_by_itself_and_does_not_wait_for_the_next_beat():
    """Symptom: a transfer stood still for the rest of a heartbeat's interval."""
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX)))
    began = now()

    client.client_sends("plain 500")
    while "sent" not in client.notes:
        await settle(0.1)

    assert now() - began < 500 * 100 / LIMIT * client.latency * 3
    await client.leave()


@virtual
async def test_a_frame_larger_than_the_window_is_written_when_nothing_else_is_under_way():
    client = await meet(WireClient(build(Flood, OUTBOX={"bytes": 50})))

    client.client_sends("plain 3")
    await settle(2)

    assert len(client.texts) == 3
    await client.leave()


@virtual
async def test_an_answer_that_never_comes_ends_a_client_that_reads_nothing():
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX), is_mute=True))
    began = now()

    client.client_sends("plain 15")
    await client.ended()

    assert now() - began <= BOUND + 8
    assert client.notes[-1] == ("timeout", 3408)


@virtual
async def test_other_servers_wait_by_themselves_and_are_asked_nothing_more():
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX), style=UVICORN))
    pings = len(client.pings)

    client.client_sends("plain 50")
    await settle(0.5)

    assert len(client.texts) == 50
    assert len(client.pings) == pings
    await client.leave()


@virtual
async def test_a_client_that_does_not_speak_the_protocol_gets_everything_at_once():
    client = await meet(TextClient(build(Flood, OUTBOX=OUTBOX)))

    client.client_sends("plain 50")
    await settle()

    assert len(client.texts) == 50
    await client.leave()


@virtual
async def test_without_heartbeats_nothing_is_held_back():
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX, HEARTBEAT={"mode": "off"})))

    client.client_sends("plain 50")
    await settle()

    assert len(client.texts) == 50
    await client.leave()


@pytest.mark.parametrize("how", ["plain", "queue"])
@virtual
async def test_half_of_the_window_is_enough_to_ask_whoever_sends(how):
    """Symptom: plain sends asked only when the whole window was used, and had to wait then."""
    client = await meet(WireClient(build(Flood, OUTBOX=OUTBOX)))
    pings = len(client.pings)

    client.client_sends(f"{how} 4")
    await settle(0.5)
    assert len(client.pings) == pings
    client.client_sends(f"{how} 3")
    await settle(0.5)

    assert len(client.pings) == pings + 1
    await client.leave()


@pytest.mark.parametrize("how", ["plain", "queue"])
@virtual
async def test_a_ping_goes_out_behind_what_its_answer_confirms(how):
    """Symptom: a frame of any size counted as read because a ping before it was answered."""
    client = await meet(WireClient(build(Flood, OUTBOX={"bytes": 50})))

    client.client_sends(f"{how} 3")
    await settle(2)

    sent = [message["text"] for message in client.sent_of_type("websocket.send")]
    kinds = ["ping" if is_control(text) else "frame" for text in sent[sent.index(f"{0:0100}") :]]
    assert kinds == ["frame", "ping", "frame", "ping", "frame"]
    await client.leave()
