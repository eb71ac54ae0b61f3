"""Every frame a client can send ends in an answer or a clear close code, and in cleanup."""

from contextlib import suppress

import pytest

from live.stage import SERVERS, do, echoes, serve, until
from tour import frames
from tour.client import Close

pytestmark = pytest.mark.live

RAW = "raw-client-text"


@pytest.fixture(params=SERVERS)
async def stage(request, tmp_path):
    async with serve(request.param, tmp_path) as stage:
        yield stage


ILLEGAL = {
    "a reserved opcode": lambda: frames.encode(0x3, RAW.encode()),
    "a reserved control opcode": lambda: frames.encode(0xB, RAW.encode()),
    "invalid UTF-8": lambda: frames.encode(frames.TEXT, RAW.encode() + b"\xff\xfe"),
    "an unmasked frame": lambda: frames.encode(frames.TEXT, RAW.encode(), masked=False),
    "a reserved bit": lambda: frames.encode(frames.TEXT, RAW.encode(), rsv=4),
    "a continuation of nothing": lambda: frames.encode(frames.CONTINUATION, RAW.encode()),
    "a fragmented ping": lambda: frames.encode(frames.PING, RAW.encode(), fin=False),
    "a long ping": lambda: frames.encode(frames.PING, b"x" * 126),
    "close code 999": lambda: frames.encode(frames.CLOSE, (999).to_bytes(2)),
    "close code 1005": lambda: frames.encode(frames.CLOSE, (1005).to_bytes(2)),
    "close code 1006": lambda: frames.encode(frames.CLOSE, (1006).to_bytes(2)),
    "close code 5000": lambda: frames.encode(frames.CLOSE, (5000).to_bytes(2)),
    "a close frame of one byte": lambda: frames.encode(frames.CLOSE, b"\x03"),
    "a close reason that is not UTF-8": lambda: frames.encode(frames.CLOSE, b"\x03\xe8\xff"),
}

# A frame that the server passes on, and how often it counts as input that cannot be read.
UNREADABLE = {
    "malformed JSON": frames.encode(frames.TEXT, f"{{{RAW}".encode()),
    "no JSON at all": frames.encode(frames.TEXT, RAW.encode()),
    "deep JSON": frames.encode(frames.TEXT, b"[" * 100_000),
    "a 5,000-digit integer": frames.encode(frames.TEXT, b"9" * 5000),
    "a binary frame": frames.encode(frames.BINARY, RAW.encode()),
    "an empty binary frame": frames.encode(frames.BINARY, b""),
}


async def test_an_illegal_frame_ends_one_connection_with_a_record_and_cleanup(stage):
    for name, frame in ILLEGAL.items():
        client = await stage.connect()

        await client.send_raw(frame())
        ending = await client.ended()

        left = await stage.entry(client.key, "disconnect")
        # Granian's close frame has no code.
        assert ending.close is None or ending.close.code in (None, 1002, 1007), name
        assert left["code"] in (1002, 1006, 1007), name
        assert len(stage.entries(client.key, "disconnect")) == 1, name
        await client.aclose()
    state = await stage.looks(lambda state: not state["connections"])
    assert (state["connections"], state["members"]) == (0, 0)
    assert RAW not in stage.log()
    assert stage.events()["connection.closed"] == len(ILLEGAL)


@pytest.mark.parametrize("colour", ["async", "sync"])
async def test_what_cannot_be_read_is_one_record_and_no_end(stage, colour):
    for name, frame in UNREADABLE.items():
        client = await stage.connect(colour)
        before = stage.events()["input.rejected"]

        await client.send_raw(frame)

        assert await echoes(client), name
        assert stage.events()["input.rejected"] == before + 1, name
        await client.close()
        await client.aclose()
    assert RAW not in stage.log()
    assert "Traceback" not in stage.log()


async def test_an_empty_text_frame_is_no_end(stage):
    client = await stage.connect()

    await client.send_raw(frames.encode(frames.TEXT, b""))

    assert await echoes(client)
    await client.aclose()


async def test_nan_reaches_the_handler_as_it_always_did(stage):
    client = await stage.connect()

    await client.send_text('{"do": "echo", "n": NaN}')
    received = await client.recv()

    assert received.data == '{"echo": NaN}'
    await client.aclose()


async def test_half_a_frame_and_then_silence_keeps_nobody(stage):
    client = await stage.connect()

    await client.send_raw(frames.encode(frames.TEXT, b"x" * 10, announced=1000))
    await client.fin()

    left = await stage.entry(client.key, "disconnect")
    assert left["code"] == 1006
    await client.aclose()


async def test_ten_thousand_pings_are_answered_by_the_server_alone(stage):
    client = await stage.connect()

    for _ in range(100):
        await client.send_raw(frames.encode(frames.PING, b"p") * 100)
    await client.ponged(10_000, deadline=20)

    assert await echoes(client)
    await client.aclose()


async def test_ten_megabytes_of_text_end_in_an_answer_or_a_clear_code(stage):
    client = await stage.connect()

    with suppress(OSError):  # Daphne's own limit is one megabyte, and it does not read on
        await client.send_text("x" * 10_000_000)

    if stage.server.name == "daphne":
        left = await stage.entry(client.key, "disconnect")
        assert left["code"] == 1006
    else:
        # Within the server's limit: read, and found to be no JSON.
        assert await echoes(client, 10)
        assert stage.events()["input.rejected"] == 1
    await client.aclose()


async def test_one_error_too_many_is_a_clear_code(stage):
    client = await stage.connect()

    for _ in range(6):
        await client.send_text(RAW)
    ending = await client.ended()

    assert isinstance(ending.close, Close)
    assert ending.close.code == 3400
    await stage.entry(client.key, "disconnect")
    assert RAW not in stage.log()
    await client.aclose()


async def test_a_client_that_leaves_right_behind_its_last_message_is_still_answered_for(stage):
    client = await stage.connect()

    await do(client, "echo", n=1)
    await do(client, "work", seconds=0)
    await client.close(1000)

    await stage.entry(client.key, "worked")
    await stage.entry(client.key, "disconnect")
    await client.aclose()


@pytest.mark.parametrize("name", [name for name in SERVERS if name != "daphne"])
async def test_a_client_that_does_not_read_is_given_up(name, tmp_path):
    """On Daphne no send ever waits; there it is the heartbeat's matter."""
    async with serve(name, tmp_path, options={"SEND": {"deadline": 1.0}}) as stage:
        client = await stage.connect(receive_buffer=4096)
        await client.stop_reading()

        await do(client, "stream")

        ended = await stage.entry(client.key, "ended", deadline=10)
        assert (ended["code"], ended["kind"]) == (3420, "timeout")
        streamed = await stage.entry(client.key, "streamed")
        assert streamed["outcome"] == "timed out"
        assert await until(lambda: stage.events()["send.timeout"] == 1)
        state = await stage.looks(lambda state: not state["connections"])
        assert (state["connections"], state["members"]) == (0, 0)
        await client.aclose()
