"""Control frames that make no sense, or are far too many, trouble nobody.

Never a handler call, never a traceback, no end of the connection or of a neighbour's.
"""

import asyncio
import json

import pytest

from live.stage import do, echoes, on_every_server, until
from tour import frames
from tour.client import Text
from tour.heart import MARK, PROTOCOL, Heart, control

pytestmark = pytest.mark.live

COLOURS = ["async", "sync"]
RAW = "raw-client-text"


OPTIONS = {"HEARTBEAT": {"interval": 1.0, "timeout": 2.0}}
everywhere = on_every_server(options=OPTIONS)
one_at_a_time = on_every_server(options=OPTIONS, at_once=False)


NONSENSE = {
    "nothing behind the mark": MARK,
    "no JSON": f"{MARK}{RAW}",
    "broken JSON": f'{MARK}{{"type":"ping","n":',
    "two objects": f'{MARK}{{"type":"ping","n":1}}{{"type":"ping","n":2}}',
    "a list": f'{MARK}["ping",1]',
    "a number": f"{MARK}1",
    "null": f"{MARK}null",
    "no type": f'{MARK}{{"n":1}}',
    "a type that is no text": f'{MARK}{{"type":{{"ping":1}},"n":1}}',
    "an unknown type": control(RAW, n=1),
    "a type of the server": control("bye", code=3513, reason=RAW, verdict="never", after_ms=0),
    "the type of an event handler": control("chat.message", text=RAW),
    "the wrong case": control("PING", n=1),
    "a ping without a nonce": control("ping"),
    "a nonce that is a list": control("ping", n=[1]),
    "a nonce that is an object": control("ping", n={"n": 1}),
    "a nonce that is a fraction": control("ping", n=1.5),
    "a nonce that is true": control("ping", n=True),
    "a nonce that is null": control("ping", n=None),
    "a nonce of 65 characters": control("ping", n="x" * 65),
    "a nonce of a megabyte": control("ping", n="x" * 900_000),
    "a nonce of 500 digits": f'{MARK}{{"type":"ping","n":{"9" * 500}}}',
    "a nonce of 5,000 digits": f'{MARK}{{"type":"ping","n":{"9" * 5000}}}',
    "a nonce that is not a number": f'{MARK}{{"type":"ping","n":NaN}}',
    "a nonce that is infinite": f'{MARK}{{"type":"ping","n":1e999}}',
    "too long a frame": control("ping", n=1, pad="x" * 1024),
    "deep JSON": MARK + "[" * 1000,
    "very deep JSON": MARK + "[" * 100_000,
    "a hello without a version": control("hello"),
    "a hello of no version": control("hello", version="one"),
    "a second hello": control("hello", version=1),
    "a pong that nobody asked for": control("pong", n=987_654_321),
    "a pong without a nonce": control("pong"),
    "a pong with a text for a nonce": control("pong", n="1"),
    "a surrogate": f'{MARK}{{"type":"\\ud800","n":"\\ud800"}}',
}


async def check_untouched(stage, client, calls):
    """The connection lives, its heartbeat goes on, and no handler was called but by us."""
    assert await echoes(client)
    await do(client, "calls")
    assert await client.recv_json() == {"calls": calls + 2}
    pings = client.heart.answered
    assert await until(lambda: client.heart.answered > pings, 3.0)
    log = stage.log()
    assert RAW not in log
    assert "Traceback" not in log
    events = stage.events()
    assert (events["handler.error"], events["input.rejected"]) == (0, 0)
    assert (events["event.unhandled"], events["heartbeat.timeout"]) == (0, 0)
    assert stage.entries(client.key, "closing") == []


@everywhere
async def test_nonsense_is_ignored_and_counted(stage):
    clients = [await stage.speaker(colour) for colour in COLOURS]
    neighbour = await stage.speaker()

    for text in NONSENSE.values():
        for client in clients:
            await client.send_text(text)
        # Within the limit of what is read at all.
        await asyncio.sleep(0.06)

    for client in (*clients, neighbour):
        await check_untouched(stage, client, calls=0)
        assert client.heart.heard("pong") == []
    assert stage.events()["control.ignored"] == len(clients)
    for client in clients:
        await client.close()
    assert await until(lambda: stage.log().count(f"ignored={len(NONSENSE)}") == len(clients))
    for client in (*clients, neighbour):
        await client.aclose()


NONCES = [0, -1, 17, 2**53 - 1, "", "x" * 64, "\x1e", '"}', "\u00e9", "\U0001f600"]


@everywhere
async def test_a_ping_that_makes_sense_is_answered_with_its_nonce(stage):
    client = await stage.speaker()

    for nonce in NONCES:
        await client.send_text(control("ping", n=nonce))

    await until(lambda: len(client.heart.heard("pong")) == len(NONCES))
    assert client.heart.heard("pong") == [{"type": "pong", "n": nonce} for nonce in NONCES]
    await client.aclose()


@everywhere
async def test_before_its_hello_a_client_is_not_answered_but_lives(stage):
    client = await stage.connect(subprotocols=[PROTOCOL])
    hello = await client.recv()
    assert json.loads(hello.data[1:])["type"] == "hello"

    for number in range(3):
        await client.send_text(control("ping", n=number))
        await client.send_text(control("pong", n=number))
    await do(client, "echo", n=1)
    before, _ = await client.until(lambda received: received == Text('{"echo": 1}'))
    assert not any('"pong"' in received.data for received in before)
    assert await until(lambda: stage.events()["control.ignored"] == 1)

    await client.send_text(control("hello", version=1))
    await client.send_text(control("ping", n=7))
    await client.until(lambda received: received == Text(control("pong", n=7)))
    await client.aclose()


FLOODS = [control("ping", n=1), control("pong", n=1), f"{MARK}{RAW}", control("ping", n="x" * 900)]


@one_at_a_time
async def test_ten_thousand_at_once_hold_nobody_up(stage):
    neighbour = await stage.speaker()
    loop = asyncio.get_running_loop()
    clients = [(await stage.speaker(colour), text) for colour in COLOURS for text in FLOODS]

    for client, text in clients:
        await client.send_raw(frames.encode(frames.TEXT, text.encode()) * 10_000)
        for _ in range(5):
            began = loop.time()
            assert await echoes(neighbour)
            assert loop.time() - began < 2.0

    for client, _ in clients:
        await check_untouched(stage, client, calls=0)
        assert len(client.heart.heard("pong")) < 200
    assert stage.events()["control.ignored"] == len(clients)
    for client, _ in clients:
        await client.aclose()
    await neighbour.aclose()


@one_at_a_time
async def test_ten_thousand_a_second_for_a_while_hold_nobody_up(stage):
    """The heartbeat of the flooding client goes on, and so does all that its neighbours do."""
    client = await stage.speaker()
    neighbour = await stage.speaker()
    burst = frames.encode(frames.TEXT, control("ping", n=1).encode()) * 1000
    loop = asyncio.get_running_loop()
    until_when = loop.time() + 4

    while loop.time() < until_when:
        began = loop.time()
        await client.send_raw(burst)
        assert await echoes(neighbour, deadline=1.0)
        await asyncio.sleep(max(0, began + 0.1 - loop.time()))

    await check_untouched(stage, client, calls=0)
    assert len(client.heart.heard("pong")) <= 20 * 10
    await client.aclose()
    await neighbour.aclose()


@everywhere
async def test_a_fragmented_or_binary_control_frame_is_what_its_kind_says(stage):
    """Fragments are one text; bytes are the application's, whatever they begin with."""
    client = await stage.speaker()
    text = control("ping", n="in two").encode()

    await client.send_frame(frames.TEXT, text[:9], fin=False)
    await client.send_frame(frames.CONTINUATION, text[9:])
    assert await until(lambda: client.heart.heard("pong"))
    assert client.heart.heard("pong") == [{"type": "pong", "n": "in two"}]

    await client.send_bytes(text)
    assert await until(lambda: stage.events()["input.rejected"] == 1)
    assert await echoes(client)
    await client.aclose()


@everywhere
async def test_the_text_of_a_naked_client_is_the_applications_whatever_it_begins_with(stage):
    client = await stage.connect()

    await client.send_text(control("ping", n=1))

    # It is no JSON for a JSON consumer, as it was before.
    assert await until(lambda: stage.events()["input.rejected"] == 1)
    assert stage.events()["control.ignored"] == 0
    await do(client, "calls")
    assert await client.recv_json() == {"calls": 2}
    await client.aclose()


@on_every_server(options={"HEARTBEAT": {"mode": "off"}})
async def test_without_heartbeats_there_is_a_greeting_and_every_pong_is_unasked(stage):
    client = await stage.connect(subprotocols=[PROTOCOL], heart=Heart())
    await until(lambda: client.heart.heard("hello"))
    assert client.heart.frames[0]["interval_ms"] is None
    assert client.heart.frames[0]["timeout_ms"] is None

    await client.send_text(control("pong", n=1))

    assert await echoes(client)
    assert await until(lambda: stage.events()["control.ignored"] == 1)
    await client.aclose()
