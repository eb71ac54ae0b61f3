"""Floods of control frames, and text of the application that only looks like one."""

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer

from resilient_channels.core import wire
from resilient_channels.core.wire import MARK
from shells.clients import Listener, WireClient, control, greeted, meet, pongs
from shells.visits import both_colours, build, note, open_visit, settle
from support.loop import virtual

# --- floods ----------------------------------------------------------------------------------


@both_colours
@virtual
async def test_of_a_flood_twenty_frames_a_second_are_answered(colour, facts):
    client = await greeted(build(Listener, colour))
    await settle(2)

    for number in range(10_000):
        client.client_sends(control(type="ping", n=number))
    client.client_sends("still here")
    await settle()

    assert pongs(client) == list(range(20))
    assert client.notes == ["still here"]
    assert [ignored.cause for ignored in facts("control.ignored")] == ["too many"]
    await client.leave()
    assert facts("connection.closed")[0].ignored == 9980
    assert facts("connection.closed")[0].received == 1


@virtual
async def test_a_flood_of_nonsense_is_not_even_parsed(monkeypatch):
    client = await greeted(build(Listener))
    await settle(2)
    parsed, decode = [], wire.decode
    monkeypatch.setattr(wire, "decode", lambda text: parsed.append(text) or decode(text))

    for _ in range(1000):
        client.client_sends(MARK + "[" * 1000)
    await settle()

    assert len(parsed) == 20
    await client.leave()


@virtual
async def test_after_the_flood_a_ping_is_answered_as_before():
    client = await greeted(build(Listener))
    await settle(2)
    for number in range(1000):
        client.client_sends(control(type="ping", n=number))
    await settle(1.5)

    client.client_sends(control(type="ping", n="after"))
    await settle()

    assert pongs(client)[-1] == "after"
    await client.leave()


@virtual
async def test_a_flood_that_never_ends_does_not_stop_the_heartbeat_of_others():
    """The reader of one connection lets the others have their turn."""
    flooding, calm = await greeted(build(Listener)), await meet(WireClient(build(Listener)))

    for _ in range(100):
        for number in range(200):
            flooding.client_sends(control(type="ping", n=number))
        await settle(1)

    assert len(calm.pings) >= 4
    assert calm.closes == flooding.closes == []
    assert len(pongs(flooding)) <= 20 * 102
    await flooding.leave()
    await calm.leave()


# --- the application's own text --------------------------------------------------------------

OWN = [MARK * 2, MARK * 2 + '{"type":"ping","n":1}', MARK * 3 + "x", MARK * 5]


@pytest.mark.parametrize("text", OWN, ids=ascii)
@both_colours
@virtual
async def test_a_text_that_looks_like_a_control_frame_reaches_the_application(colour, text):
    client = await greeted(build(Listener, colour))

    client.client_sends(text)
    await settle()

    assert client.notes == [text[1:]]
    assert client.control_types() == ["hello"]
    await client.leave()


@pytest.mark.parametrize("text", [MARK, MARK + '{"type":"bye"}', MARK * 4 + "x"], ids=ascii)
@both_colours
@virtual
async def test_a_text_of_the_application_never_looks_like_a_control_frame(colour, text):
    class Sends(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.send(text_data)
            note(self, await self.safe_send(text_data))

    client = await greeted(build(Sends, colour))

    client.client_sends(MARK + text)
    await settle()

    assert client.texts == [MARK + text] * 2
    assert client.control_types() == ["hello"]
    await client.leave()


@virtual
async def test_a_fixed_reply_never_looks_like_a_control_frame():
    class Json(AsyncJsonWebsocketConsumer):
        pass

    client = await greeted(build(Json, ERRORS={"bad_input_reply": MARK + "bad"}))

    client.client_sends("{")
    await settle()

    assert client.texts == [MARK * 2 + "bad"]
    await client.leave()


@pytest.mark.parametrize(
    "data", [b"\x1e", b'\x1e{"type":"ping","n":1}', "", " ", "\x1d", " \x1e{}"]
)
@both_colours
@virtual
async def test_any_other_frame_is_the_applications(colour, data):
    client = await greeted(build(Listener, colour))

    client.client_sends(data)
    await settle()

    assert client.notes == [data]
    assert client.control_types() == ["hello"]
    await client.leave()


@pytest.mark.parametrize("text", [*OWN, MARK, control(type="ping", n=1)], ids=ascii)
@both_colours
@virtual
async def test_to_an_ordinary_client_a_mark_is_a_letter_like_any_other(colour, text):
    visit = await open_visit(build(Listener, colour))

    visit.client_sends(text)
    visit.client_sends(f"say {text}")
    await settle()

    assert visit.notes == [text, f"say {text}"]
    assert visit.texts == [text]
    await visit.leave()
