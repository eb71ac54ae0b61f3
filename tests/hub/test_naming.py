"""A channel's name, from a layer that may be slow or down."""

import asyncio

import pytest

from hub.doubles import Watch
from resilient_channels import LayerUnavailable
from resilient_channels.layers.naming import Naming
from support.faults import HANG
from support.layers import ScriptedLayer
from support.loop import virtual


def now():
    return asyncio.get_running_loop().time()


@virtual
async def test_a_name_that_comes_in_time_is_kept():
    layer = ScriptedLayer()
    naming = Naming(layer, Watch())
    assert not naming.has_begun

    channel = await naming.try_for(1.0)

    assert channel == naming.channel == await naming.get()
    assert naming.has_begun
    assert layer.calls["new_channel"] == 1


@pytest.mark.parametrize("fault", [OSError("x"), HANG])
@virtual
async def test_one_that_does_not_come_in_time_is_none_yet(fault):
    layer = ScriptedLayer()
    layer.fail("new_channel", fault)
    naming = Naming(layer, Watch())

    assert await naming.try_for(1.0) is None

    assert now() == (1.0 if fault == HANG else 0.0)
    assert naming.channel is None
    naming.stop()


@virtual
async def test_a_name_that_comes_late_is_taken_when_it_is_asked_for():
    layer = ScriptedLayer()

    async def slowly(*args):
        await asyncio.sleep(3)
        return "specific.late!x"

    layer.new_channel = slowly
    naming = Naming(layer, Watch())
    assert await naming.try_for(1.0) is None

    assert await naming.get() == "specific.late!x"
    assert now() == 3


@virtual
async def test_after_a_failure_it_asks_again_when_the_layer_is_up():
    layer, watch = ScriptedLayer(), Watch(answers=False)
    layer.fail("new_channel", OSError("x"))
    naming = Naming(layer, watch)
    await naming.try_for(1.0)
    asyncio.get_running_loop().call_later(10, watch.come_up)

    channel = await naming.get()

    assert channel == naming.channel
    assert now() == 10
    assert layer.calls["new_channel"] == 2


@virtual
async def test_an_attempt_that_hangs_is_given_up_and_the_next_is_a_new_one():
    layer = ScriptedLayer()
    layer.fail("new_channel", HANG)
    naming = Naming(layer, Watch())
    with pytest.raises(LayerUnavailable):
        await naming.get()
    assert now() == 5

    assert await naming.get() == naming.channel
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtual
async def test_an_error_is_raised_and_may_be_asked_past():
    layer = ScriptedLayer()
    layer.fail("new_channel", OSError("x"))
    naming = Naming(layer, Watch())
    with pytest.raises(OSError, match="x"):
        await naming.get()

    assert await naming.get() == naming.channel


@virtual
async def test_stopped_it_leaves_no_task():
    layer = ScriptedLayer()
    layer.break_down(HANG, "new_channel")
    naming = Naming(layer, Watch())
    await naming.try_for(0.1)

    naming.stop()
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == {asyncio.current_task()}
    Naming(layer, Watch()).stop()
