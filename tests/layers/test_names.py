"""Names: what the grammar forbids is a TypeError, from every method, before anything is done."""

import pytest

from support.layers_contract import in_world

EVENT = {"type": "letter"}
LONGEST = 99
BAD_ANYWHERE = {
    "empty": "",
    "a blank": "no spaces",
    "a slash": "a/b",
    "a colon": "a:b",
    "a letter that is not ASCII": "caf\u00e9",
    "too long": "n" * (LONGEST + 1),
    "much too long": "n" * 100_000,
    "nothing": None,
    "a number": 5,
    "bytes": b"inbox",
}
# They differ from one another by one character only, where they can.
GOOD = ["a", "A", "A.", "A-", "A_", "A0", "-", ".", "_", "0", "n" * LONGEST, "n" * (LONGEST - 1)]
BAD_CHANNELS = BAD_ANYWHERE | {"two marks": "a!b!c", "only a mark": "!", "a mark first": "!a"}
BAD_GROUPS = BAD_ANYWHERE | {"a mark": "group!member"}

CHANNEL_CALLS = {
    "send": lambda layer, name: layer.send(name, EVENT),
    "receive": lambda layer, name: layer.receive(name),
    "group_add": lambda layer, name: layer.group_add("room", name),
    "group_discard": lambda layer, name: layer.group_discard("room", name),
}
GROUP_CALLS = {
    "group_add": lambda layer, name, channel: layer.group_add(name, channel),
    "group_discard": lambda layer, name, channel: layer.group_discard(name, channel),
    "group_send": lambda layer, name, channel: layer.group_send(name, EVENT),
}


@pytest.mark.parametrize("method", CHANNEL_CALLS)
@in_world
async def test_a_bad_channel_name_is_a_type_error(world, method):
    layer = world.layer()

    verdicts = await world.verdicts(
        {why: CHANNEL_CALLS[method](layer, name) for why, name in BAD_CHANNELS.items()}
    )

    assert verdicts == dict.fromkeys(BAD_CHANNELS, "TypeError")


@pytest.mark.parametrize("method", GROUP_CALLS)
@in_world
async def test_a_bad_group_name_is_a_type_error(world, method):
    layer = world.layer()
    channel = await layer.new_channel()

    verdicts = await world.verdicts(
        {why: GROUP_CALLS[method](layer, name, channel) for why, name in BAD_GROUPS.items()}
    )

    assert verdicts == dict.fromkeys(BAD_GROUPS, "TypeError")


@in_world
async def test_after_bad_names_the_layer_works(world):
    layer = world.layer()
    channel = await layer.new_channel()
    for why, name in BAD_GROUPS.items():
        assert await world.verdict(layer.group_add(name, channel)) == "TypeError", why

    await layer.group_add("room", channel)
    await layer.group_send("room", EVENT)

    assert await world.hears(layer, channel) == EVENT


@in_world
async def test_a_good_name_is_good_for_a_channel(world):
    layer = world.layer()

    for name in GOOD:
        await layer.send(name, {"type": "letter", "to": name})

    for name in GOOD:
        assert (await world.hears(layer, name))["to"] == name


@in_world
async def test_a_good_name_is_good_for_a_group(world):
    layer = world.layer()
    members = {name: await layer.new_channel() for name in GOOD}
    for name, channel in members.items():
        await layer.group_add(name, channel)

    for name in GOOD:
        await layer.group_send(name, {"type": "letter", "to": name})

    for name, channel in members.items():
        assert (await world.hears(layer, channel))["to"] == name
        await layer.group_discard(name, channel)


@in_world
async def test_groups_and_channels_of_one_name_do_not_mix(world):
    layer = world.layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)

    await layer.send("room", {"type": "direct"})
    await layer.group_send("room", {"type": "grouped"})

    assert await world.hears_types(layer, channel, 1) == ["grouped"]
    assert await world.hears_types(layer, "room", 1) == ["direct"]
