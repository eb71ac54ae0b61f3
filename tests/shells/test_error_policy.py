"""What follows from an error, as the settings have it: a close, an exception, a reply."""

import asyncio

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from resilient_channels import DisconnectKind, on_disconnect
from shells.visits import both_colours, build, note, now, open_visit, settle
from support.loop import virtual

SECRET = "the password is 1234"


class Fragile(AsyncJsonWebsocketConsumer):
    """Fails when asked to, in a frame or in an event of the layer."""

    groups = ["room"]

    async def receive_json(self, content):
        if content == "fail":
            raise LookupError(SECRET)
        await self.send_json(content)

    async def news(self, event):
        raise LookupError(SECRET)

    @on_disconnect
    async def ended(self, info):
        note(self, info.code, info.kind)


def feed_frame(visit, frame):
    visit.feed({"type": "websocket.receive", **frame})


# --- the budget ------------------------------------------------------------------------------


@both_colours
@virtual
async def test_five_errors_are_survived_and_the_sixth_closes_with_3500(colour, facts):
    visit = await open_visit(build(Fragile, colour))
    for _ in range(5):
        visit.client_sends('"fail"')
    await settle()
    assert visit.closes == []

    visit.client_sends('"fail"')

    assert await visit.ended() is None
    assert visit.closes == [3500]
    assert visit.notes == [(3500, DisconnectKind.ERROR)]
    assert [failed.closes for failed in facts("handler.error")] == [False] * 5 + [True]


@both_colours
@virtual
async def test_five_bad_frames_are_survived_and_the_sixth_closes_with_3400(colour):
    visit = await open_visit(build(Fragile, colour))
    for _ in range(5):
        visit.client_sends("{")
    await settle()
    assert visit.closes == []

    visit.client_sends("{")

    assert await visit.ended() is None
    assert visit.closes == [3400]
    assert visit.notes == [(3400, DisconnectKind.ERROR)]


@both_colours
@virtual
async def test_failing_event_handlers_spend_the_budget_too(colour):
    visit = await open_visit(build(Fragile, colour))

    for _ in range(6):
        await get_channel_layer().group_send("room", {"type": "news"})

    assert await visit.ended() is None
    assert visit.closes == [3500]


@virtual
async def test_errors_are_forgotten_after_the_window():
    visit = await open_visit(build(Fragile))

    for _ in range(100):
        visit.client_sends('"fail"')
        await settle(12.1)

    assert visit.closes == []
    await visit.leave()


@virtual
async def test_the_window_slides():
    visit = await open_visit(build(Fragile))
    started = now()

    for _ in range(6):
        visit.client_sends('"fail"')
        await settle(11.9)

    assert visit.closes == [3500]
    assert await visit.ended() is None
    assert now() - started < 75


@both_colours
@virtual
async def test_budget_and_window_are_the_consumers_own(colour):
    errors = {"budget": 1, "window": 10}
    visit = await open_visit(build(Fragile, colour, ERRORS=errors))
    visit.client_sends('"fail"')
    await settle(11)
    visit.client_sends('"fail"')
    await settle(1)
    assert visit.closes == []

    visit.client_sends('"fail"')

    assert await visit.ended() is None
    assert visit.closes == [3500]


@pytest.mark.parametrize("waiting", [3, 30, 300])
@both_colours
@virtual
async def test_frames_that_wait_behind_the_last_error_are_not_handled(colour, waiting):
    class Counting(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            note(self, text_data)
            raise LookupError

    visit = await open_visit(build(Counting, colour, ERRORS={"budget": 0}))

    for number in range(waiting):
        visit.client_sends(str(number))

    assert await visit.ended() is None
    assert visit.closes == [3500]
    assert visit.notes == ["0"]


@both_colours
@virtual
async def test_frames_that_come_while_the_close_is_written_are_not_handled(colour):
    class Counting(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            note(self, text_data)
            raise LookupError

    async def slow_close(message):
        if message["type"] == "websocket.close":
            await asyncio.sleep(1)

    visit = await open_visit(build(Counting, colour, ERRORS={"budget": 0}), on_send=slow_close)

    for number in range(30):
        visit.client_sends(str(number))

    assert await visit.ended() is None
    assert visit.closes == [3500]
    assert visit.notes == ["0"]


# --- modes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("frame", "code"), [('"fail"', 3500), ("{", 3400)])
@both_colours
@virtual
async def test_in_mode_close_the_first_error_closes(colour, frame, code):
    visit = await open_visit(build(Fragile, colour, ERRORS={"mode": "close"}))

    visit.client_sends(frame)

    assert await visit.ended() is None
    assert visit.closes == [code]
    assert visit.notes == [(code, DisconnectKind.ERROR)]


@pytest.mark.parametrize(
    ("frame", "error"), [('"fail"', LookupError), ("{", ValueError), ("", ValueError)]
)
@both_colours
@virtual
async def test_in_mode_raise_the_error_leaves_the_application_after_the_cleanup(
    colour, frame, error
):
    visit = await open_visit(build(Fragile, colour, ERRORS={"mode": "raise"}))

    visit.client_sends(frame)

    assert isinstance(await visit.ended(), error)
    assert visit.closes == []
    assert visit.notes == [(1011, DisconnectKind.ERROR)]
    assert get_channel_layer().groups == {}


@both_colours
@virtual
async def test_in_mode_raise_an_unknown_event_raises_as_in_channels(colour):
    visit = await open_visit(build(Fragile, colour, ERRORS={"mode": "raise"}))

    await get_channel_layer().group_send("room", {"type": "nobody.knows"})

    assert "No handler for message type nobody.knows" in str(await visit.ended())


@both_colours
@virtual
async def test_in_mode_raise_an_error_in_disconnect_leaves_the_application_too(colour):
    class Late(AsyncWebsocketConsumer):
        async def disconnect(self, code):
            raise LookupError

    visit = await open_visit(build(Late, colour, ERRORS={"mode": "raise"}))

    visit.client_closes()

    assert isinstance(await visit.ended(), LookupError)


# --- what the client is told -----------------------------------------------------------------


@both_colours
@virtual
async def test_the_client_is_told_the_fixed_texts_and_nothing_else(colour):
    errors = {"bad_input_reply": "what?", "error_reply": "sorry"}
    visit = await open_visit(build(Fragile, colour, ERRORS=errors))

    visit.client_sends("{")
    visit.client_sends('"fail"')
    feed_frame(visit, {"bytes": b"\x00"})
    await settle()

    assert visit.texts == ["what?", "sorry", "what?"]
    await visit.leave()


@both_colours
@virtual
async def test_a_failing_event_handler_is_not_the_clients_business(colour):
    visit = await open_visit(build(Fragile, colour, ERRORS={"error_reply": "sorry"}))

    await get_channel_layer().group_send("room", {"type": "news"})
    await settle()

    assert visit.texts == []
    await visit.leave()


@both_colours
@virtual
async def test_the_reply_comes_before_the_close(colour):
    errors = {"mode": "close", "error_reply": "sorry"}
    visit = await open_visit(build(Fragile, colour, ERRORS=errors))

    visit.client_sends('"fail"')

    assert await visit.ended() is None
    assert [sent["type"] for sent in visit.sent[1:]] == ["websocket.send", "websocket.close"]


@both_colours
@virtual
async def test_a_reply_that_the_server_refuses_changes_nothing(colour):
    def refuse(message):
        if message.get("text") == "sorry":
            raise ValueError("not that")

    errors = {"error_reply": "sorry"}
    visit = await open_visit(build(Fragile, colour, ERRORS=errors), on_send=refuse)

    visit.client_sends('"fail"')
    visit.client_sends('"go on"')
    await settle()

    assert visit.texts == ['"go on"']
    await visit.leave()


@pytest.mark.parametrize("mode", ["isolate", "close", "raise"])
@both_colours
@virtual
async def test_no_text_of_an_exception_reaches_the_client(colour, mode):
    visit = await open_visit(build(Fragile, colour, ERRORS={"mode": mode}))

    for _ in range(6):
        visit.client_sends('"fail"')
    await visit.ended()

    assert SECRET not in repr(visit.sent)


@both_colours
@virtual
async def test_what_a_client_wrote_is_not_in_a_warning_about_it(colour, facts):
    visit = await open_visit(build(Fragile, colour))

    visit.client_sends('{"token": "p4ssw0rd"')
    await settle()

    (rejected,) = facts("input.rejected")
    assert "p4ssw0rd" not in repr(vars(rejected))
    assert rejected.size == len('{"token": "p4ssw0rd"')
    await visit.leave()
