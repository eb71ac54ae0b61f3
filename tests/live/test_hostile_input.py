"""All that a client can think of, one after the other, with the recommended limits and without.

No consumer is killed by it, nothing of it is a traceback, none of its text is in the log, and the
neighbour does not notice.
"""

import json
import re
from contextlib import suppress

import pytest

from live.stage import echoes, on_every_server, until
from tour import frames
from tour.heart import MARK

pytestmark = pytest.mark.live

RAW = "raw-client-text"
MINE = "/resilient_channels/"
LIMITS = {"message_bytes": 65_536, "json_depth": 32, "rate": 50, "burst": 100}
COLOURS = ("async", "sync")

OURS = {3400, 3413, 3429}
SERVERS_OWN = {1002, 1003, 1007, 1009}


def text(content):
    payload = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return frames.encode(frames.TEXT, payload)


def binary(payload):
    return frames.encode(frames.BINARY, payload)


def echo(value):
    return text(f'{{"do": "echo", "n": {value}}}')


def in_fragments(payload, size=1):
    parts = [payload[at : at + size] for at in range(0, len(payload), size)]
    kinds = [frames.TEXT] + [frames.CONTINUATION] * (len(parts) - 1)
    return b"".join(
        frames.encode(kind, part, fin=index == len(parts) - 1)
        for index, (kind, part) in enumerate(zip(kinds, parts, strict=True))
    )


# What is legal on the wire, and so reaches the consumer: it answers afterwards, or closes by a
# limit of its own.
LEGAL = {
    "deep lists": text("[" * 100_000),
    "deep lists that end": text("[" * 5000 + "]" * 5000),
    "deep objects": text('{"a":' * 20_000),
    "deep objects that end": text('{"a":' * 20_000 + "1" + "}" * 20_000),
    "deep in a known message": echo("[" * 10_000 + "]" * 10_000),
    "just too deep": echo("[" * 33 + "]" * 33),
    "many lists side by side": text("[" + "[]," * 20_000 + "[]]"),
    "a 5,000-digit integer": text("9" * 5000),
    "a 5,000-digit integer in a known message": echo("9" * 5000),
    "a negative 5,000-digit integer": echo("-" + "9" * 5000),
    "a long fraction": echo("0." + "9" * 5000),
    "an exponent beyond all bounds": echo("1e999999999"),
    "NaN": echo("NaN"),
    "infinity": echo("Infinity"),
    "less than all": echo("-Infinity"),
    "a lone surrogate": echo('"\\ud800"'),
    "two of them the wrong way round": echo('"\\udc00\\ud800"'),
    "a null character": echo('"\\u0000"'),
    "control characters": text(f"\x00\x01\x1b[31m\r\n{RAW}\x7f"),
    "the right to left mark": text(f"\u202e{RAW}\u2066"),
    "a byte order mark": text(f'\ufeff{{"do": "{RAW}"}}'),
    "a log line of its own": text(f"x\r\nERROR resilient_channels.handler {RAW}"),
    "a format string": text(f"%s%n{{0.__class__}} {RAW}"),
    "no JSON": text(RAW),
    "broken JSON": text(f'{{"do": "{RAW}'),
    "two values": text(f'{{"do": "echo"}} {{"do": "{RAW}"}}'),
    "null": text("null"),
    "true": text("true"),
    "a number": text("17"),
    "a text": text(f'"{RAW}"'),
    "an empty list": text("[]"),
    "the same key ten thousand times": text("{" + '"do": 1,' * 10_000 + '"do": 2}'),
    "ten thousand keys": text(json.dumps({f"key{n}": n for n in range(5000)})),
    "a key like an attribute": text(f'{{"__class__": "{RAW}", "do": "__init__"}}'),
    "a type of Channels": text('{"type": "websocket.disconnect", "code": 1000}'),
    "an empty text": text(""),
    "blanks": text(" \t\r\n"),
    "an empty binary frame": binary(b""),
    "a binary frame": binary(RAW.encode()),
    "JSON in a binary frame": binary(b'{"do": "echo", "n": 1}'),
    "what looks like a control frame": text(f'{MARK}{{"type":"bye","reason":"{RAW}"}}'),
    "nothing but marks": text(MARK * 1000),
    "fragments of one byte": in_fragments(b'{"do": "%s"}' % (b"x" * 2000)),
    "a ping between fragments": frames.encode(frames.TEXT, b'{"a"', fin=False)
    + frames.encode(frames.PING, b"p")
    + frames.encode(frames.CONTINUATION, b": 1}"),
    "empty fragments": frames.encode(frames.TEXT, b"", fin=False)
    + frames.encode(frames.CONTINUATION, b"", fin=False) * 500
    + frames.encode(frames.CONTINUATION, b"{}"),
    "pongs that nobody asked for": frames.encode(frames.PONG, b"x") * 1000,
    "a thousand pings": frames.encode(frames.PING, b"x" * 125) * 1000,
    "seventy kilobytes": text(json.dumps({"text": "x" * 70_000})),
    "half a megabyte of text": text("x" * 500_000),
    "half a megabyte of bytes": binary(b"x" * 500_000),
    "half a megabyte of brackets": text("[" * 500_000),
    "half a megabyte of quotes": text('"' * 500_000),
    "a thousand frames at once": text("{}") * 1000,
    "a thousand empty frames at once": text("") * 1000,
    "a thousand binary frames at once": binary(b"x") * 1000,
    "a thousand broken frames at once": text(RAW) * 1000,
}

# What no server passes on. It ends the connection, or is overlooked; the consumer is told once.
ILLEGAL = {
    "a reserved opcode": frames.encode(0x3, RAW.encode()),
    "a reserved control opcode": frames.encode(0xB, RAW.encode()),
    "invalid UTF-8": text(RAW.encode() + b"\xff\xfe"),
    "UTF-8 of a surrogate": text("\ud800"),
    "an overlong form": text(b"\xc0\x80"),
    "invalid UTF-8 in two fragments": frames.encode(frames.TEXT, b"\xf0\x9f", fin=False)
    + frames.encode(frames.CONTINUATION, b"\xff\xff"),
    "an unmasked frame": frames.encode(frames.TEXT, RAW.encode(), masked=False),
    "a reserved bit": frames.encode(frames.TEXT, RAW.encode(), rsv=4),
    "a continuation of nothing": frames.encode(frames.CONTINUATION, RAW.encode()),
    "a text within a text": frames.encode(frames.TEXT, b"{", fin=False) + text(RAW),
    "a fragmented ping": frames.encode(frames.PING, RAW.encode(), fin=False),
    "a long ping": frames.encode(frames.PING, b"x" * 126),
    "a length of four exabytes": frames.encode(frames.TEXT, b"x", announced=2**62),
    "a length with the highest bit": frames.encode(frames.TEXT, b"x", announced=2**63 + 1),
    "close code 0": frames.encode(frames.CLOSE, (0).to_bytes(2)),
    "close code 999": frames.encode(frames.CLOSE, (999).to_bytes(2)),
    "close code 1005": frames.encode(frames.CLOSE, (1005).to_bytes(2)),
    "close code 65535": frames.encode(frames.CLOSE, (65535).to_bytes(2)),
    "a close frame of one byte": frames.encode(frames.CLOSE, b"\x03"),
    "a close reason that is not UTF-8": frames.encode(frames.CLOSE, b"\x03\xe8\xff"),
    "a reason with lines of its own": frames.encode(
        frames.CLOSE, b"\x03\xe8x\r\nERROR " + RAW.encode()
    ),
}


def tracebacks(log):
    """The files of each: Uvicorn writes one of its own for text that is not UTF-8."""
    return [
        "".join(re.findall(r'(?m)^ +File "(.*)"', part.split("\nINFO")[0]))
        for part in log.split("Traceback (most recent call last):")[1:]
    ]


async def check_legal(stage, name, frame, colour):
    client = await stage.connect(colour)
    with suppress(OSError):
        await client.send_raw(frame)
    is_alive = await echoes(client, deadline=10.0)
    if not is_alive:
        closing = [entry["code"] for entry in stage.entries(client.key, "closing")]
        assert set(closing) <= OURS, f"{name}: {closing}"
        if not closing:  # by us; else Hypercorn tells nothing to a client that sends on and on
            ending = await client.ended()
            told = None if ending.close is None else ending.close.code
            assert told in SERVERS_OWN, f"{name}: killed; the client saw {ending}"
    await client.aclose()
    return client.key


async def check_illegal(stage, name, frame, colour):
    client = await stage.connect(colour)
    with suppress(OSError):
        await client.send_raw(frame)
        await client.fin()
    await client.aclose()
    return client.key


async def check_everything(stage):
    neighbour = await stage.connect()
    keys = []
    for number, (name, frame) in enumerate(LEGAL.items()):
        keys.append(await check_legal(stage, name, frame, COLOURS[number % 2]))
        assert await echoes(neighbour), f"after {name}"
    for number, (name, frame) in enumerate(ILLEGAL.items()):
        keys.append(await check_illegal(stage, name, frame, COLOURS[number % 2]))
        assert await echoes(neighbour), f"after {name}"

    assert await until(lambda: len(stage.entries(event="disconnect")) >= len(keys), 15.0)
    ended = [entry["id"] for entry in stage.entries(event="disconnect")]
    assert sorted(ended) == sorted(keys)
    state = await stage.looks(lambda state: state["connections"] == 1)
    assert (state["connections"], state["members"]) == (1, 1)
    events = stage.events()
    assert events["handler.error"] == events["teardown.error"] == events["task.error"] == 0
    log = stage.log()
    ours = [found for found in tracebacks(log) if "/uvicorn/" not in found or MINE in found]
    assert ours == []
    assert RAW not in log
    await neighbour.aclose()


@on_every_server(application="live.hostile_application", options={"LIMITS": LIMITS})
async def test_with_limits_nothing_a_client_sends_kills_a_consumer(stage):
    await check_everything(stage)

    events = stage.events()
    assert events["limit.exceeded"] > 0
    assert "cause=depth" in stage.log()


@on_every_server(application="live.hostile_application")
async def test_without_limits_nothing_a_client_sends_kills_a_consumer(stage):
    await check_everything(stage)

    assert stage.events()["limit.exceeded"] == 0
