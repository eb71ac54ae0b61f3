"""Channels that several processes receive from, as ``runworker`` does: one gets each event."""

import asyncio

import pytest

from shells.members import FAILURES, break_down
from shells.visits import now, settle
from support.faults import FREEZE, HANG
from support.hubs import around, on_hubs
from support.loop import virtual

pytestmark = on_hubs
every_failure = pytest.mark.parametrize("fault", FAILURES, ids=repr)


class Worker:
    """Receives from a plain channel for as long as it is told.

    Attributes:
        heard: what it got.
        task: raises what ``receive`` raised.
    """

    def __init__(self, layer, channel="thumbnails"):
        self.heard = []
        self.task = asyncio.ensure_future(self.work(layer, channel))

    async def work(self, layer, channel):
        while True:
            self.heard.append((await layer.receive(channel))["type"])

    async def stop(self):
        self.task.cancel()
        await asyncio.wait({self.task})


async def send(layer, *kinds):
    for kind in kinds:
        await layer.send("thumbnails", {"type": kind})
    await settle()


async def at_rest():
    """Until a hub without anybody has gone to sleep."""
    await settle(20)


# --- on a good day ---------------------------------------------------------------------------


@virtual
async def test_a_worker_gets_events_in_order_from_any_process(layer):
    hub = around(layer)
    worker = Worker(hub)
    await settle(1)

    await send(layer.neighbour(), "one", "two")
    await send(hub, "three")

    assert worker.heard == ["one", "two", "three"]
    await worker.stop()
    await at_rest()


@virtual
async def test_what_was_sent_before_anybody_received_is_received(layer):
    await send(layer, "early")

    worker = Worker(around(layer))
    await settle(1)

    assert worker.heard == ["early"]
    await worker.stop()
    await at_rest()


@virtual
async def test_nothing_is_read_ahead_of_a_worker_that_is_busy(layer):
    hub = around(layer)
    await send(layer, "one", "two")
    event = await hub.receive("thumbnails")
    await settle(10)

    other = Worker(layer.neighbour())
    await settle(1)

    assert event["type"] == "one"
    assert other.heard == ["two"]
    await other.stop()
    await at_rest()


@virtual
async def test_a_worker_that_is_cancelled_takes_nothing_with_it(layer):
    hub = around(layer)
    worker = Worker(hub)
    await settle(1)

    await layer.send("thumbnails", {"type": "just then"})  # under way when it is cancelled
    await worker.stop()
    second = Worker(hub)
    await settle(1)

    assert worker.heard + second.heard == ["just then"]
    await second.stop()
    await at_rest()


@pytest.mark.parametrize("turns", range(8))
@virtual
async def test_cancelled_at_any_moment_it_loses_no_event(turns, layer):
    hub = around(layer)
    receiving = asyncio.ensure_future(hub.receive("thumbnails"))
    await settle(1)
    await layer.send("thumbnails", {"type": "just then"})
    for _ in range(turns):
        await asyncio.sleep(0)

    receiving.cancel()
    await asyncio.wait({receiving})
    got = [] if receiving.cancelled() else [receiving.result()["type"]]
    second = Worker(hub)
    await settle(2)

    assert got + second.heard == ["just then"]
    await second.stop()
    await at_rest()


@virtual
async def test_a_receive_with_a_time_limit_may_be_repeated(layer):
    hub = around(layer)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await hub.receive("thumbnails")

    await send(layer, "at last")

    assert (await hub.receive("thumbnails"))["type"] == "at last"
    await at_rest()


@virtual
async def test_without_a_worker_the_hub_goes_to_sleep(layer):
    worker = Worker(around(layer))
    await settle(30)
    await worker.stop()
    await at_rest()

    calls = layer.calls.copy()
    await settle(600)

    assert layer.calls == calls
    assert layer.all_groups == {}


# --- on a bad one ----------------------------------------------------------------------------


@every_failure
@virtual
async def test_a_worker_outlives_an_outage(fault, layer):
    worker = Worker(around(layer))
    await settle(1)
    break_down(layer, fault)
    await settle(60)

    layer.heal()
    await settle(20)
    await send(layer.neighbour(), "after it")

    assert worker.heard == ["after it"]
    await worker.stop()
    await at_rest()


@every_failure
@virtual
async def test_a_worker_that_comes_in_an_outage_works_after_it(fault, layer):
    break_down(layer, fault)
    worker = Worker(around(layer))
    await settle(30)

    layer.heal()
    await settle(20)
    await send(layer.neighbour(), "after it")

    assert worker.heard == ["after it"]
    await worker.stop()
    await at_rest()


@virtual
async def test_a_frozen_layer_that_goes_on_gives_a_worker_everything(layer):
    worker = Worker(around(layer))
    await settle(1)
    layer.break_down(FREEZE)
    await settle(30)

    await send(layer.neighbour(), "meanwhile")
    layer.heal()
    await settle(20)

    assert worker.heard == ["meanwhile"]
    await worker.stop()
    await at_rest()


@virtual
async def test_a_worker_whose_link_died_in_silence_begins_anew(layer):
    worker = Worker(around(layer))
    await settle(7)

    layer.interrupt_receivers(HANG)
    await settle(30)
    await send(layer.neighbour(), "after it")

    assert worker.heard == ["after it"]
    await worker.stop()
    await at_rest()


@virtual
async def test_an_idle_receive_that_fails_now_and_then_is_silent(layer, facts):
    worker = Worker(around(layer))

    for _ in range(100):
        layer.interrupt_receivers(TimeoutError("read"))
        await settle(5)
    await send(layer, "still there")

    assert worker.heard == ["still there"]
    assert facts.alarms == []
    await worker.stop()
    await at_rest()


@virtual
async def test_what_a_layer_fails_to_clean_up_is_complained_of_by_nobody(layer, facts):
    """Symptom: "Task exception was never retrieved", whenever a broker went away after a job."""
    worker = Worker(around(layer))
    await settle(1)
    if "clean" in layer.operations:
        layer.fail("clean", ConnectionError("gone"), 3)

    await send(layer, "one", "two", "three", "four")

    assert worker.heard == ["one", "two", "three", "four"]
    assert facts.alarms == []
    await worker.stop()
    await at_rest()


@virtual
async def test_a_channel_that_a_healthy_layer_refuses_is_told(layer):
    hub = around(layer)
    receive = layer.receive

    async def refuse(channel):
        if channel == "thumbnails":
            raise RuntimeError("WRONGTYPE")
        return await receive(channel)

    layer.receive = refuse
    started = now()

    with pytest.raises(RuntimeError, match="WRONGTYPE"):
        await hub.receive("thumbnails")

    assert now() - started < 10
    await at_rest()


@virtual
async def test_a_bad_channel_name_is_a_type_error_at_once(layer):
    started = now()

    with pytest.raises(TypeError):
        await around(layer).receive("not a name!")

    assert now() == started


@virtual
async def test_a_worker_may_stop_in_an_outage(layer):
    worker = Worker(around(layer))
    await settle(1)
    layer.break_down(ConnectionError("refused"))
    await settle(20)
    started = now()

    await worker.stop()

    assert now() - started <= 1
    layer.heal()
    await settle(60)
    layer.lose_groups()
