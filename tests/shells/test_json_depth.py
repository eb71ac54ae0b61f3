"""JSON that is nested too deep is bad input, found before it is parsed."""

import json

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer

from resilient_channels import DisconnectKind, on_disconnect
from shells.visits import both_colours, build, note, open_visit, settle
from support.loop import virtual


class Json(AsyncJsonWebsocketConsumer):
    """Notes what was parsed and what was handled."""

    async def receive_json(self, content):
        note(self, content)

    @on_disconnect
    async def ended(self, info):
        note(self, "ended", info.code, info.kind)


class OwnCall(Json):
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)


def nested(depth, opening="[", closing="]"):
    return opening * depth + closing * depth


def limited(consumer=Json, colour="async", **options):
    return build(consumer, colour, LIMITS={"json_depth": 32}, **options)


TOO_DEEP = {
    "lists": nested(33),
    "objects": nested(33, '{"a":', "}").replace(":}", ":1}"),
    "not even JSON": "[" * 33,
    "a hundred thousand": "[" * 100_000,
    "after much else": json.dumps(["x" * 1000, "[" * 1000, {}])[:-1] + "," + nested(32) + "]",
}


@pytest.mark.parametrize("text", TOO_DEEP.values(), ids=TOO_DEEP)
@pytest.mark.parametrize("consumer", [Json, OwnCall])
@both_colours
@virtual
async def test_a_frame_too_deep_is_rejected_unparsed_and_closes_nothing(
    colour, consumer, text, facts, monkeypatch
):
    visit = await open_visit(limited(consumer, colour, ERRORS={"bad_input_reply": "bad"}))
    monkeypatch.setattr(json, "loads", None)

    visit.client_sends(text)
    await settle()

    monkeypatch.undo()
    visit.client_sends("[1]")
    await settle()
    [rejected] = facts("input.rejected")
    assert (rejected.cause, rejected.size, rejected.closes) == ("depth", len(text), False)
    assert facts.alarms == ["input.rejected"]
    assert visit.notes == [[1]]
    assert visit.texts == ["bad"]
    await visit.leave()


@both_colours
@virtual
async def test_a_frame_of_just_that_depth_is_handled(colour):
    visit = await open_visit(limited(colour=colour))

    visit.client_sends(nested(32))
    visit.client_sends(json.dumps({"text": "[" * 1000}))
    await settle()

    assert visit.notes == [json.loads(nested(32)), {"text": "[" * 1000}]
    await visit.leave()


@both_colours
@virtual
async def test_frames_too_deep_spend_the_budget_of_bad_input(colour):
    visit = await open_visit(limited(colour=colour))
    for _ in range(3):
        visit.client_sends(nested(40))
        visit.client_sends("{")

    assert await visit.ended() is None
    assert visit.closes == [3400]
    assert visit.notes == [("ended", 3400, DisconnectKind.ERROR)]


@virtual
async def test_in_mode_raise_it_is_raised():
    visit = await open_visit(limited(ERRORS={"mode": "raise"}))

    visit.client_sends(nested(40))

    assert isinstance(await visit.ended(), ValueError)


@both_colours
@virtual
async def test_text_of_a_consumer_that_reads_no_json_is_its_own_affair(colour):
    class Plain(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            note(self, text_data)

    visit = await open_visit(limited(Plain, colour))

    visit.client_sends(nested(100))
    await settle()

    assert visit.notes == [nested(100)]
    await visit.leave()


@both_colours
@virtual
async def test_without_a_limit_any_depth_is_left_to_the_parser(colour, facts):
    visit = await open_visit(build(Json, colour))

    visit.client_sends(nested(100))
    visit.client_sends("[" * 100_000)
    await settle()

    assert visit.notes == [json.loads(nested(100))]
    assert [rejected.cause for rejected in facts("input.rejected")] == ["json"]
    await visit.leave()
