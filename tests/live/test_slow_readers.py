"""A client that does not read costs its own connection, and nobody else anything."""

import asyncio
import json
import re
import time

import pytest

from live.stage import do, echoes, on_every_server, serve, until
from tour.client import Text
from tour.heart import PROTOCOL, Heart
from tour.servers import NAMES

pytestmark = pytest.mark.live

MB = 1024 * 1024
HUB = {"BACKEND": "resilient_channels.layers.ResilientChannelLayer"}
DEADLINE, INTERVAL, TIMEOUT = 2.0, 1.0, 1.5
IMPATIENT = {
    "SEND": {"deadline": DEADLINE},
    "HEARTBEAT": {"interval": INTERVAL, "timeout": TIMEOUT},
}
# What comes on top of the outbox: the servers' own buffers, and what the allocator keeps.
SLACK = 12 * MB
READERS = 20
STUCK = 0.5

on_each_server = pytest.mark.parametrize("name", NAMES)


def slow(name, tmp_path, **options):
    return serve(
        name, tmp_path, layer=HUB, options=options, application="live.slow_readers_application"
    )


async def join(stage, **options):
    """A client as it can be bounded on that server: on Daphne it has to answer heartbeats."""
    if stage.server.name == "daphne":
        options = {"subprotocols": [PROTOCOL], "heart": Heart(), **options}
    return await stage.connect("reader", **options)


async def stall(stage, client):
    """Let *client* stop reading, and send to it until nothing more fits on the way; since when."""
    await client.stop_reading()
    await do(client, "fill")
    return await stage.entry(client.key, "filled", 15)


async def read_until(client, number, deadline=30.0):
    """The numbers that come, up to that one."""

    def read(received):
        return json.loads(received.data).get("n") if isinstance(received, Text) else None

    before, last = await client.until(lambda received: read(received) == number, deadline)
    numbers = [read(received) for received in [*before, last]]
    return [number for number in numbers if number is not None]


def counted(stage, code):
    """What was sent and what was not, on the connections that ended with that code."""
    lines = [line for line in stage.log().splitlines() if " connection.closed" in line]
    found = [dict(re.findall(r"(\w+)=(\S+)", line)) for line in lines]
    return [
        (int(fields["sent"]), int(fields["unsent"]))
        for fields in found
        if fields["code"] == str(code)
    ]


@on_each_server
async def test_a_stalled_reader_is_gone_in_time_and_the_others_hear_everything(name, tmp_path):
    code = 3408 if name == "daphne" else 3420
    async with slow(name, tmp_path, **IMPATIENT) as stage:
        readers = [await join(stage) for _ in range(READERS)]
        stalled = await join(stage, receive_buffer=4096)

        stopped = time.monotonic()
        filled = await stall(stage, stalled)
        await do(readers[0], "tell", count=80, size=4096, pause=0.05)
        heard = await asyncio.gather(*(read_until(reader, 79) for reader in readers))

        assert heard == [list(range(80))] * READERS
        ended = await stage.entry(stalled.key, "ended")
        assert (ended["code"], ended["kind"]) == (code, "timeout")
        if name == "daphne":
            assert ended["at"] - stopped <= INTERVAL + TIMEOUT + 1
        else:
            # Its buffers were found to be full STUCK after the send that it did not let through.
            assert DEADLINE - 1.5 * STUCK <= ended["at"] - filled["at"] <= DEADLINE + 1
            assert stage.events()["send.timeout"] == 1
        assert len(stage.entries(stalled.key, "ended")) == 1
        freed = await stage.entry(stalled.key, "freed")
        assert freed["outcome"] in ("timed out", "closed")
        state = await stage.looks(lambda state: state["members"] == READERS)
        assert (state["members"], state["connections"]) == (READERS, READERS)
        assert (state["waiting"], state["lines"]) == (0, 0)
        assert "Traceback" not in stage.log()
        for client in (*readers, stalled):
            await client.aclose()


@on_each_server
async def test_a_flood_that_waits_for_nobody_ends_at_the_bound(name, tmp_path):
    async with slow(name, tmp_path) as stage:
        bystander = await join(stage)
        stalled = await join(stage, receive_buffer=4096)
        before = await stage.look()

        since = time.monotonic()
        await stalled.stop_reading()
        await do(stalled, "flood", count=1000, size=65_536)

        flooded = await stage.entry(stalled.key, "flooded", 10)
        outcomes = [outcome for outcome, _ in flooded["runs"]]
        assert outcomes[-2:] == ["queued", "closed"]
        assert outcomes.count("closed") == 1
        ended = await stage.entry(stalled.key, "ended", deadline=12)
        assert (ended["code"], ended["kind"]) == (3420, "timeout")
        # Long before a heartbeat or the deadline of a send.
        assert ended["at"] - since < 15
        # 64 MB were to be sent. One outbox waits, and on Daphne as much is in its buffer.
        after = await stage.looks(lambda state: state["connections"] == 1)
        assert after["most_memory"] - before["memory"] < 2 * MB + SLACK
        assert (after["waiting"], after["lines"]) == (0, 0)
        assert stage.events()["outbox.overflow"] == 1
        (sent, unsent), *more = counted(stage, 3420)
        assert (sent + unsent, more) == (1000, [])
        assert await echoes(bystander)
        for client in (bystander, stalled):
            await client.aclose()


@on_each_server
async def test_a_client_that_reads_on_gets_the_newest_of_what_was_too_much(name, tmp_path):
    options = {"OUTBOX": {"overflow": "drop_oldest", "messages": 50, "bytes": MB}}
    async with slow(name, tmp_path, **options) as stage:
        client = await join(stage, receive_buffer=4096)
        before = await stage.look()

        await client.stop_reading()
        await do(client, "flood", count=1000, size=65_536)
        flooded = await stage.entry(client.key, "flooded", 15)
        client.read_on()
        numbers = await read_until(client, 999)

        assert set(flooded["outcomes"]) <= {"sent", "queued"}
        assert numbers == sorted(set(numbers))
        assert len(numbers) < 1000
        newest = MB // 65_600
        assert numbers[-newest:] == list(range(1000 - newest, 1000))
        assert await echoes(client)
        after = await stage.look()
        assert after["most_memory"] - before["memory"] < 2 * MB + SLACK
        assert (after["waiting"], after["lines"]) == (0, 0)
        await client.close(4000)
        await stage.entry(client.key, "ended")
        assert stage.events()["outbox.overflow"] >= 1
        assert await until(lambda: " connection.closed" in stage.log())
        line = next(line for line in stage.log().splitlines() if " connection.closed" in line)
        fields = dict(re.findall(r"(\w+)=(\S+)", line))
        assert int(fields["sent"]) == len(numbers) + 1
        assert int(fields["unsent"]) == 1000 - len(numbers)
        await client.aclose()


@on_each_server
async def test_a_client_that_reads_on_gets_the_latest_of_what_has_a_key(name, tmp_path):
    options = {"OUTBOX": {"overflow": "coalesce", "bytes": MB}}
    async with slow(name, tmp_path, **options) as stage:
        quick = await join(stage)
        slowly = await join(stage, receive_buffer=4096)
        await stall(stage, slowly)

        # Ten times what may wait, if it were not for the key.
        await do(quick, "tell", count=1000, size=10_240, pause=0.001, key="price")
        numbers = await read_until(quick, 999)
        slowly.read_on()
        latest = await read_until(slowly, 999)

        assert numbers == sorted(set(numbers))
        assert len(numbers) > 100
        # One may have been in the hands of the server when the next one came.
        assert latest in ([999], [0, 999])
        assert await echoes(slowly)
        assert (await stage.look())["waiting"] == 0
        for client in (quick, slowly):
            await client.aclose()


@on_each_server
async def test_nothing_is_left_of_those_that_are_lost_while_frames_wait_for_them(name, tmp_path):
    """What Granian keeps of one in fifty is met by thousands only: see the benchmarks."""
    async with slow(name, tmp_path) as stage:
        teller = await join(stage)
        stalled = [await join(stage, receive_buffer=4096) for _ in range(5)]
        await asyncio.gather(*(stall(stage, client) for client in stalled))
        await do(teller, "tell", count=5, size=10_240, pause=0)
        await read_until(teller, 4)
        assert (await stage.look())["consumers"] == 6

        for client in stalled:
            await client.rst()

        state = await stage.looks(lambda state: state["consumers"] == 1, 15)
        assert (state["connections"], state["waiting"], state["consumers"]) == (1, 0, 1)
        await teller.aclose()


async def test_on_daphne_what_a_client_without_heartbeats_does_not_read_is_the_servers(tmp_path):
    async with slow("daphne", tmp_path) as stage:
        client = await stage.connect("reader", receive_buffer=4096)
        await client.stop_reading()

        await do(client, "flood", count=400, size=65_536)
        flooded = await stage.entry(client.key, "flooded", 10)

        assert set(flooded["outcomes"]) <= {"sent", "queued"}
        state = await stage.looks(lambda state: not state["waiting"])
        assert (state["waiting"], state["connections"]) == (0, 1)
        await client.aclose()


@on_every_server()
async def test_who_sends_on_while_it_is_answered_gets_every_answer(stage):
    """Symptom: on Daphne a third of them came, and then none; a synchronous consumer's handler
    kept all others waiting meanwhile."""
    for colour in ("async", "sync"):
        client, other = await stage.speaker(colour), await stage.speaker("sync")

        sending = asyncio.create_task(send_echoes(client, 48))
        numbers = await read_echoes(client, 48)
        await sending

        assert numbers == [*range(48)]
        assert await echoes(other)
        for each in (client, other):
            await each.aclose()


async def send_echoes(client, count):
    for number in range(count):
        await do(client, "echo", n=f"{number} {'x' * 65_000}")


async def read_echoes(client, count):
    numbers = []
    while len(numbers) < count:
        _, received = await client.until(lambda received: isinstance(received, Text), 15)
        numbers.append(int(json.loads(received.data)["echo"].split()[0]))
    return numbers
