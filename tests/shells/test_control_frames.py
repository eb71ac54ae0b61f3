"""What clients say in control frames, and what hostile ones get from it: nothing."""

import asyncio
import json
from pathlib import Path

import pytest

from resilient_channels.core.wire import MARK
from shells.clients import Listener, WireClient, control, greeted, meet, pongs
from shells.visits import both_colours, build, settle
from support.loop import virtual
from support.servers import ALL_STYLES

GOLDEN = json.loads(
    (Path(__file__).parent.parent / "golden" / "wire-v1.json").read_text(encoding="utf-8")
)
# A mark that is doubled is the application's; see below.
IGNORED = {
    row["name"]: row["text"] for row in GOLDEN["ignored"] if not row["text"].startswith(MARK * 2)
}
HOSTILE = {
    **IGNORED,
    "a megabyte": MARK + "x" * 1_000_000,
    "a megabyte of brackets": MARK + "[" * 1_000_000,
    "a hello again": control(type="hello", version=1),
    "a ping of nobody": control(type="ping"),
    "a forged log line": MARK + "\nERROR root: all is lost\x1b[31m",
    "control characters": MARK + "\x00\x01\x7f\x9b",
    "half an emoji": MARK + '{"type":"\ud83d"}',
}


every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


# --- pings of the client ---------------------------------------------------------------------


@pytest.mark.parametrize("nonce", [1, 0, -7, 2**53 - 1, "", "tab-3", "ü \u2028 😀", "\ud83d"])
@both_colours
@virtual
async def test_a_ping_is_answered_with_its_nonce_and_not_dispatched(colour, nonce):
    client = await greeted(build(Listener, colour))

    client.client_sends(control(type="ping", n=nonce))
    await settle()

    assert pongs(client) == [nonce]
    assert client.notes == []
    await client.leave()


@both_colours
@virtual
async def test_a_ping_is_answered_while_a_handler_runs(colour):
    client = await greeted(build(Listener, colour))
    client.client_sends("work 20")

    for nonce in range(5):
        client.client_sends(control(type="ping", n=nonce))
        await settle(1)
        assert pongs(client)[-1] == nonce

    assert client.notes == ["work 20"]
    await client.leave()


@both_colours
@virtual
async def test_pings_and_frames_of_the_application_do_not_get_mixed_up(colour):
    client = await greeted(build(Listener, colour))

    for number in range(10):
        client.client_sends(f"frame {number}")
        client.client_sends(control(type="ping", n=number))
    await settle()

    assert client.notes == [f"frame {number}" for number in range(10)]
    assert pongs(client) == list(range(10))
    await client.leave()


@every_server
@virtual
async def test_a_ping_that_comes_after_our_close_is_not_answered(style, facts):
    class Late(type(style)):
        def own_close(self, server, message):
            return {"type": "websocket.receive", "text": control(type="ping", n=1)}

    client = await greeted(build(Listener), style=Late())

    client.client_sends("close 4000")
    assert await client.ended() is None

    assert {"text": control(type="ping", n=1), "type": "websocket.receive"} in client.received
    assert pongs(client) == []
    assert client.refused == []
    assert facts.alarms == []


@pytest.mark.parametrize("error", [ValueError("weird"), RuntimeError(), KeyError("x")], ids=repr)
@virtual
async def test_a_server_that_refuses_a_pong_makes_no_trouble(error, facts):
    def refuse(message):
        if '"pong"' in message.get("text", ""):
            raise error

    client = await greeted(build(Listener), on_send=refuse)

    client.client_sends(control(type="ping", n=1))
    client.client_sends("say still here")
    await settle()

    assert client.texts == ["still here"]
    assert facts.alarms == []
    await client.leave()


@virtual
async def test_who_pings_and_does_not_read_is_given_up_as_any_peer_that_does_not(facts):
    async def block(message):
        if '"pong"' in message.get("text", ""):
            await client.loop.create_future()

    client = await greeted(build(Listener), on_send=block)
    started = client.loop.time()

    for number in range(100):
        client.client_sends(control(type="ping", n=number))
    assert await client.ended() is None

    assert client.loop.time() - started <= 30 + 1
    assert client.closes[0] in (3408, 3420)
    assert facts.alarms == []


@virtual
async def test_while_a_pong_cannot_be_written_nobody_listens_so_nobody_is_silent():
    drained = asyncio.Event()

    async def full_buffer(message):
        if '"pong"' in message.get("text", ""):
            await drained.wait()

    heartbeat = {"interval": 2, "timeout": 3}
    client = await meet(WireClient(build(Listener, HEARTBEAT=heartbeat), on_send=full_buffer))
    await settle(10)

    client.client_sends(control(type="ping", n=1))
    await settle(20)
    drained.set()
    await settle(20)

    assert client.closes == []
    assert pongs(client) == [1]
    await client.leave()


# --- nonsense --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@virtual
async def test_nonsense_is_counted_and_comes_to_nothing(text, facts):
    client = await greeted(build(Listener, ERRORS={"mode": "close"}))

    client.client_sends(text)
    client.client_sends("still here")
    await settle()

    assert client.notes == ["still here"]
    assert client.controls[1:] == []
    assert facts.alarms == []
    [ignored] = facts("control.ignored")
    assert ignored.levelname == "INFO"
    assert ignored.cause in {"not json", "malformed", "unknown type", "too long", "unasked"}
    await client.leave()
    assert facts("connection.closed")[0].ignored == 1


@virtual
async def test_nonsense_is_told_once_per_connection_and_counted_each_time(facts):
    client = await greeted(build(Listener))

    for number in range(10):
        client.client_sends(MARK + "{" * number)
        await settle(1)
    await client.leave()

    assert len(facts("control.ignored")) == 1
    assert facts("connection.closed")[0].ignored == 10


@virtual
async def test_nothing_a_client_wrote_is_logged(facts, caplog):
    client = await greeted(build(Listener))

    client.client_sends(control(type="secret-type", n="secret-nonce"))
    client.client_sends(control(type="ping", n="secret-nonce"))
    client.client_sends(MARK + "secret-text")
    await settle()
    await client.leave()

    assert facts("control.ignored") != []
    assert not any("secret" in str(vars(record)) for record in caplog.records)


@virtual
async def test_nonsense_is_a_sign_of_life_all_the_same():
    client = await greeted(build(Listener), is_mute=True)

    for _ in range(20):
        await settle(19)
        client.client_sends(MARK + "{")

    assert client.closes == []
    await client.leave()


@virtual
async def test_a_second_hello_starts_nothing_anew():
    client = await greeted(build(Listener))

    client.client_sends(control(type="hello", version=1))
    client.client_sends(control(type="ping", n=1))
    await settle()

    assert client.control_types() == ["hello", "pong"]
    await client.leave()


# --- before the hello ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ping", "pong"])
@virtual
async def test_before_its_hello_a_client_is_not_answered(kind, facts):
    client = await meet(WireClient(build(Listener), latency=3600))

    client.client_sends(control(type=kind, n=1))
    await settle()

    assert client.control_types() == ["hello"]
    assert [ignored.cause for ignored in facts("control.ignored")] == ["before hello"]
    client.client_sends(control(type="hello", version=1))
    client.client_sends(control(type="ping", n=2))
    await settle()
    assert pongs(client) == [2]
    await client.leave()


@virtual
async def test_a_hello_of_another_version_is_none(facts):
    client = await meet(WireClient(build(Listener), latency=3600))

    client.client_sends(control(type="hello", version=2))
    client.client_sends(control(type="ping", n=1))
    await settle()

    assert pongs(client) == []
    await client.leave()
    assert facts("connection.closed")[0].ignored == 2


@virtual
async def test_frames_before_the_hello_are_signs_of_life():
    client = await meet(WireClient(build(Listener), latency=3600))

    for _ in range(20):
        await settle(19)
        client.client_sends(control(type="pong", n=1))

    assert client.closes == []
    await client.leave()
