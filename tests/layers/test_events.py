"""Events: dicts that arrive as they were sent, one copy for each member."""

import math

import pytest

from layers.conftest import on_shared_brokers
from support.layers_contract import in_world

# Everything the specification allows in a message.
RICH = {
    "type": "rich",
    "bytes": b"\x00\xff binary",
    "text": "caf\u00e9 \u2603 \U0001f600 \x00 \u202e",
    "empty": ["", b"", [], {}],
    "int": [0, -1, 2**31, 2**63 - 1, -(2**63)],
    "float": [0.1, -1e308, 5e-324, math.inf],
    "bool": [True, False],
    "none": None,
    "nested": {"list": [1, [2, [3, {"deep": [None]}]]], "\u00fc key": {"": 1}},
    "channel": "a!b",
    "payload": {"type": "inner"},
}
NOT_DICTS = {"text": "letter", "list": ["letter"], "nothing": None, "number": 5, "bytes": b"x"}


def sized(count):
    return {"type": "big", "data": "x" * count}


@in_world
async def test_every_kind_of_value_survives_a_channel(world):
    layer = world.layer()
    channel = await layer.new_channel()

    await layer.send(channel, RICH)

    assert await world.hears(layer, channel) == RICH


@in_world
async def test_every_kind_of_value_survives_a_group(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)

    await layer.group_send("room", RICH)

    assert await world.hears(layer, channel) == RICH


@in_world
async def test_an_event_without_a_type_and_an_empty_one_arrive(world):
    layer = world.layer()
    channel = await layer.new_channel()

    await layer.send(channel, {"text": "no type"})
    await layer.send(channel, {})

    assert await world.hears(layer, channel) == {"text": "no type"}
    assert await world.hears(layer, channel) == {}


@pytest.mark.parametrize("size", [1_000_000, 10_000_000], ids=["1 MB", "10 MB"])
@in_world
async def test_a_big_event_arrives(world, size):
    layer = world.layer()
    channel, member = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("room", member)

    await layer.send(channel, sized(size))
    await layer.group_send("room", sized(size))

    assert await world.hears(layer, channel) == sized(size)
    assert await world.hears(layer, member) == sized(size)


@in_world
async def test_what_is_not_a_dict_cannot_be_sent(world):
    layer = world.layer()
    channel = await layer.new_channel()

    verdicts = await world.verdicts(
        {why: layer.send(channel, event) for why, event in NOT_DICTS.items()}
    )

    assert set(verdicts.values()) <= {"TypeError", "AssertionError"}, verdicts
    await layer.send(channel, {"type": "letter"})
    assert await world.hears_types(layer, channel, 1) == ["letter"]


@in_world
async def test_what_is_not_a_dict_cannot_be_sent_to_a_group(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)

    verdicts = await world.verdicts(
        {why: layer.group_send("room", event) for why, event in NOT_DICTS.items()}
    )

    assert set(verdicts.values()) <= {"TypeError", "AssertionError"}, verdicts
    await layer.group_send("room", {"type": "letter"})
    assert await world.hears_types(layer, channel, 1) == ["letter"]


@in_world
async def test_the_key_that_layers_reserve_cannot_be_sent(world):
    layer = world.layer()
    channel = await layer.new_channel()

    with pytest.raises(AssertionError):
        await layer.send(channel, {"type": "letter", "__asgi_channel__": "other!1"})


@on_shared_brokers
@in_world
async def test_an_event_that_cannot_be_serialized_is_the_callers_error(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)

    with pytest.raises(TypeError):
        await layer.send(channel, {"type": "letter", "what": object()})
    with pytest.raises(TypeError):
        await layer.group_send("room", {"type": "letter", "what": {1, 2}})
    with pytest.raises(OverflowError):
        await layer.group_send("room", {"type": "letter", "what": 2**64})

    await layer.group_send("room", {"type": "letter"})
    assert await world.hears(layer, channel) == {"type": "letter"}


@on_shared_brokers
@in_world
async def test_an_event_that_cannot_be_read_again_hurts_no_other(world):
    layer = world.layer()
    channel, other = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("room", channel)
    await layer.group_add("room", other)

    # msgpack writes keys that are no strings, and refuses to read them.
    try:
        await layer.group_send("room", {"type": "poison", "map": {1: 2}})
        await layer.send(channel, {"type": "poison", "map": {(1, 2): 3}})
    except (TypeError, ValueError):
        pass  # refusing it is as good
    await layer.group_send("room", {"type": "letter"})

    assert await world.hears(layer, channel) == {"type": "letter"}
    assert await world.hears(layer, other) == {"type": "letter"}


# Copies


@in_world
async def test_the_sender_may_change_its_event_afterwards(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    event = {"type": "letter", "text": "as sent"}

    await layer.send(channel, event)
    event["text"] = "changed"
    assert (await world.hears(layer, channel))["text"] == "as sent"
    await layer.group_send("room", event)
    event["text"] = "changed again"

    assert (await world.hears(layer, channel))["text"] == "changed"


@in_world
async def test_sending_leaves_the_senders_event_alone(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    event = {"type": "letter", "list": [1]}

    await layer.send(channel, event)
    await layer.group_send("room", event)
    for _ in range(2):
        (await world.hears(layer, channel))["text"] = "added by the reader"

    assert event == {"type": "letter", "list": [1]}


@in_world
async def test_each_member_has_an_event_of_its_own(world):
    layer = world.layer()
    members = [await layer.new_channel() for _ in range(3)]
    for member in members:
        await layer.group_add("room", member)

    await layer.group_send("room", {"type": "letter", "text": "as sent"})
    for member in members:
        event = await world.hears(layer, member)
        assert event == {"type": "letter", "text": "as sent"}
        event["text"] = "changed by a member"
        event["more"] = 1
        del event["type"]


@in_world
async def test_each_member_has_nested_values_of_its_own(world):
    layer = world.layer()
    members = [await layer.new_channel() for _ in range(2)]
    for member in members:
        await layer.group_add("room", member)

    await layer.group_send("room", {"type": "letter", "list": [1]})
    (await world.hears(layer, members[0]))["list"].append(2)

    assert (await world.hears(layer, members[1]))["list"] == [1]
