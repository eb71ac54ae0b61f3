"""The probe: a message to ourselves, and what it says about the layer when it does not come."""

import asyncio

import pytest

from resilient_channels import compat
from resilient_channels.layers.canary import ARRIVAL_TIMEOUT, Canary, Health, OwnEar
from support.faults import FREEZE, HANG
from support.layers import ScriptedLayer
from support.loop import virtual

FINE, FORGOTTEN, FAILING = Health.FINE, Health.FORGOTTEN, Health.FAILING
DEADLINE = 5.0


def make(layer):
    return Canary(layer, OwnEar(layer))


def now():
    return asyncio.get_running_loop().time()


@virtual
async def test_a_message_that_comes_back_is_fine():
    layer = ScriptedLayer()
    canary = make(layer)

    assert [await canary.probe(DEADLINE) for _ in range(3)] == [FINE] * 3

    assert layer.calls["group_add"] == 1
    assert layer.groups == {}, "its group is none of the project's"
    assert now() < 0.1
    await canary.stop(1)


@virtual
async def test_a_message_that_does_not_come_back_was_forgotten():
    layer = ScriptedLayer()
    canary = make(layer)
    await canary.probe(DEADLINE)

    layer.lose_groups()
    started = now()

    assert await canary.probe(DEADLINE) is FORGOTTEN
    assert now() - started == pytest.approx(ARRIVAL_TIMEOUT)
    assert await canary.probe(DEADLINE, join=True) is FINE
    await canary.stop(1)


@pytest.mark.parametrize("operation", ["new_channel", "group_add", "group_send"])
@pytest.mark.parametrize("fault", [ConnectionError("x"), AttributeError("x"), HANG])
@virtual
async def test_a_layer_that_raises_or_hangs_is_failing_and_what_it_raised_is_kept(operation, fault):
    layer = ScriptedLayer()
    canary = make(layer)
    layer.break_down(fault, operation)

    assert await canary.probe(DEADLINE) is FAILING

    assert type(canary.error) is (TimeoutError if fault == HANG else type(fault))
    assert now() <= DEADLINE
    layer.heal()
    assert await canary.probe(DEADLINE) is FINE
    await canary.stop(1)


@virtual
async def test_it_listens_on_though_receive_fails():
    layer = ScriptedLayer()
    canary = make(layer)
    await canary.probe(DEADLINE)

    layer.interrupt_receivers(ConnectionError("idle"))

    assert await canary.probe(DEADLINE) is FINE
    await canary.stop(1)


@virtual
async def test_a_listener_that_hangs_is_forgotten_until_it_is_begun_anew():
    layer = ScriptedLayer()
    canary = make(layer)
    await canary.probe(DEADLINE)
    layer.interrupt_receivers(HANG)
    assert await canary.probe(DEADLINE) is FORGOTTEN

    canary.restart()

    assert await canary.probe(DEADLINE) is FINE
    await canary.stop(1)


@virtual
async def test_the_answer_to_an_earlier_probe_is_none_to_this_one():
    layer = ScriptedLayer()
    canary = make(layer)
    await canary.probe(DEADLINE)
    group, channel = canary._groups[0], canary._channel
    layer.lose_groups()
    await canary.probe(DEADLINE)

    await layer.send(channel, {"type": "rc.probe", "group": group, "n": 1})
    assert await canary.probe(DEADLINE) is FORGOTTEN
    probing = asyncio.ensure_future(canary.probe(DEADLINE))
    await asyncio.sleep(1)
    await layer.send(channel, {"type": "rc.probe", "group": group, "n": canary._sent})

    assert await probing is FINE
    await canary.stop(1)


@pytest.mark.parametrize(
    "event", [{}, {"type": "news"}, {"group": 7, "n": 1}, {"group": "x", "n": "1"}], ids=repr
)
@virtual
async def test_nonsense_in_its_channel_is_no_answer(event):
    layer = ScriptedLayer()
    canary = make(layer)
    await canary.probe(DEADLINE)
    layer.lose_groups()

    await layer.send(canary._channel, event)

    assert await canary.probe(DEADLINE) is FORGOTTEN
    await canary.stop(1)


@virtual
async def test_where_groups_are_spread_over_hosts_each_host_is_probed(monkeypatch):
    names = ("rc.on-one", "rc.on-two")
    monkeypatch.setattr(compat, "name_a_group_per_host", lambda layer, make: names)
    layer = ScriptedLayer()
    canary = make(layer)
    assert await canary.probe(DEADLINE) is FINE
    assert set(layer.all_groups) == set(names)

    layer.lose_group("rc.on-two")

    assert await canary.probe(DEADLINE) is FORGOTTEN
    assert await canary.probe(DEADLINE, join=True) is FINE
    assert await canary.stop(1) == {}
    assert layer.all_groups == {}


@virtual
async def test_it_leaves_its_group_and_listens_no_more():
    layer = ScriptedLayer()
    canary = make(layer)
    await canary.probe(DEADLINE)

    assert await canary.stop(1) == {}

    assert layer.all_groups == {}
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("fault", [ConnectionError("x"), HANG, FREEZE])
@virtual
async def test_what_it_could_not_leave_in_time_is_handed_over(fault):
    layer = ScriptedLayer()
    canary = make(layer)
    await canary.probe(DEADLINE)
    layer.break_down(fault, "group_discard")
    started = now()

    left = await canary.stop(1)

    assert left == {(canary._groups[0], canary._channel): None}
    assert now() - started <= 1
    layer.heal()


@virtual
async def test_what_was_never_placed_has_nothing_to_leave():
    layer = ScriptedLayer()
    layer.break_down(ConnectionError("x"))
    canary = make(layer)
    await canary.probe(DEADLINE)

    assert not canary.is_placed
    assert await canary.stop(1) == {}
    assert layer.calls["group_discard"] == 0


@virtual
async def test_to_speak_needs_no_ear():
    layer = ScriptedLayer()
    canary = make(layer)

    await canary.speak()

    assert layer.calls == {"group_send": 1}
    layer.break_down(ConnectionError("x"))
    with pytest.raises(ConnectionError):
        await canary.speak()
