"""What one client may send, on real servers: each limit with its code, its record, and a bye."""

import asyncio
import json

import pytest

from live.stage import do, echoes, hears, on_every_server, until
from tour import frames
from tour.client import Close, Reset
from tour.heart import MARK, control

pytestmark = pytest.mark.live

COLOURS = ["async", "sync"]
RAW = "raw-client-text"
OPTIONS = {
    "LIMITS": {"message_bytes": 1000, "json_depth": 8, "rate": 20, "burst": 40},
    "HEARTBEAT": {"interval": 1.0, "timeout": 2.0},
}

everywhere = on_every_server(options=OPTIONS)
behind_the_middleware = on_every_server(options=OPTIONS, application="live.middleware_application")


async def check_told(stage, client, code):
    """The client gets the code; in a flood not from every server.

    Hypercorn tells nothing to a client that sends on and on. Granian ends the connection with
    what it has not read, and TCP may then take back the close frame.
    """
    closing = await stage.entry(client.key, "closing")
    assert closing["code"] == code
    if stage.server.name != "hypercorn" or code != 3429:
        ending = await client.ended()
        if stage.server.name == "granian" and code == 3429 and isinstance(ending.last, Reset):
            return
        assert isinstance(ending.close, Close), ending
        assert ending.close.code == code


async def check_closed(stage, client, code, cause):
    """The client is told the code, the consumer too, and the log says why."""
    await check_told(stage, client, code)
    left = await stage.entry(client.key, "disconnect")
    # A server may not say what it has sent itself; our own consumers know.
    if stage.entries(client.key, "ended"):
        ended = await stage.entry(client.key, "ended")
        assert (left["code"], ended["code"], ended["kind"]) == (code, code, "error")
    log = stage.log()
    assert f"cause={cause} code={code}" in log
    assert RAW not in log
    assert "Traceback" not in log


TOO_LONG = {
    "text": frames.encode(frames.TEXT, RAW.encode() * 70),
    "bytes": frames.encode(frames.BINARY, RAW.encode() * 70),
    "fragments": frames.encode(frames.TEXT, RAW.encode() * 40, fin=False)
    + frames.encode(frames.CONTINUATION, RAW.encode() * 40),
}


@everywhere
async def test_a_frame_too_long_is_3413(stage):
    neighbour = await stage.connect()
    for colour in COLOURS:
        for frame in TOO_LONG.values():
            client = await stage.connect(colour)
            assert await echoes(client)

            await client.send_raw(frame)

            await check_closed(stage, client, 3413, '"message size"')
            await client.aclose()
    assert stage.events()["limit.exceeded"] == len(COLOURS) * len(TOO_LONG)
    assert await echoes(neighbour)
    await neighbour.aclose()


@everywhere
async def test_ten_thousand_frames_at_once_are_3429_and_hold_nobody_up(stage):
    neighbour = await stage.connect()
    for colour in COLOURS:
        client = await stage.connect(colour)
        flood = frames.encode(frames.TEXT, json.dumps({"do": "calls"}).encode()) * 10_000

        sending = asyncio.create_task(client.send_raw(flood))
        # Daphne takes some seconds to parse them where all servers share two cores.
        assert await echoes(neighbour, deadline=10.0)

        await check_closed(stage, client, 3429, "rate")
        sending.cancel()
        await asyncio.wait({sending})
        await client.aclose()
    assert stage.events()["limit.exceeded"] == len(COLOURS)
    await neighbour.aclose()


@everywhere
async def test_clients_of_the_protocol_are_told_before(stage):
    for text, code, reason in (
        ("x" * 1001, 3413, "too_big"),
        (control("ping", n="x" * 1001), 3413, "too_big"),
        (json.dumps({"do": "echo", "n": 1}), 3429, "rate_limited"),
    ):
        client = await stage.speaker()

        times = 100 if code == 3429 else 1
        await client.send_raw(frames.encode(frames.TEXT, text.encode()) * times)

        await check_told(stage, client, code)
        await until(lambda: client.heart.heard("bye"))  # noqa: B023  # at once
        [bye] = client.heart.heard("bye")
        assert (bye["code"], bye["reason"], bye["verdict"]) == (code, reason, "backoff")
        await client.aclose()


@everywhere
async def test_a_flood_of_control_frames_is_3429(stage):
    client = await stage.speaker()

    await client.send_raw(frames.encode(frames.TEXT, control("ping", n=1).encode()) * 1000)

    await check_told(stage, client, 3429)
    await client.aclose()


@everywhere
async def test_json_too_deep_is_bad_input_and_six_times_3400(stage):
    for colour in COLOURS:
        client = await stage.connect(colour)
        for _ in range(5):
            await client.send_text("[" * 9 + "]" * 9)
        assert await echoes(client)

        await client.send_text("[" * 900)

        ending = await client.ended()
        assert ending.close.code == 3400
        await stage.entry(client.key, "disconnect")
        await client.aclose()
    log = stage.log()
    assert log.count("cause=depth") == 6 * len(COLOURS)
    assert "Traceback" not in log


@everywhere
async def test_who_keeps_to_the_limits_is_not_closed_for_pauses_of_ours(stage):
    """Neither for a handler that is slow, nor for an event loop that stands still."""
    slow, stalled = await stage.connect(), await stage.speaker()
    await do(slow, "work", seconds=4.0)
    blocker = await stage.connect()
    await do(blocker, "block", seconds=3.0)

    # About sixteen a second, twenty being allowed.
    for number in range(5 * 16):
        for client in (slow, stalled):
            await do(client, "echo", n=number)
        await asyncio.sleep(1 / 16)

    for client in (slow, stalled):
        assert await hears(client, {"echo": 5 * 16 - 1}, 10.0)
        assert stage.entries(client.key, "closing") == []
        await client.aclose()
    assert stage.events()["limit.exceeded"] == 0
    await blocker.aclose()


@everywhere
async def test_answers_to_heartbeats_are_free(stage):
    client = await stage.speaker()
    for _ in range(38):
        await do(client, "calls")

    assert await until(lambda: client.heart.answered >= 3, 10.0)

    assert await echoes(client)
    await client.aclose()


@behind_the_middleware
async def test_an_application_behind_the_middleware_is_guarded_too(stage):
    for colour in (*COLOURS, "bare"):
        client = await stage.connect(colour)
        assert await echoes(client)
        await client.send_text("x" * 1001)
        await check_closed(stage, client, 3413, '"message size"')
        await client.aclose()

        client = await stage.connect(colour)
        assert await echoes(client)
        await client.send_raw(frames.encode(frames.TEXT, b'{"do": "echo", "n": 1}') * 200)
        await check_closed(stage, client, 3429, "rate")
        await client.aclose()


@everywhere
async def test_text_that_only_looks_like_a_control_frame_counts_like_any_other(stage):
    client = await stage.connect()

    await client.send_text(MARK + RAW * 100)

    await check_closed(stage, client, 3413, '"message size"')
    await client.aclose()
