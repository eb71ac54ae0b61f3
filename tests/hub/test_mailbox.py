"""What waits in one channel: bounded, in order, for one receiver each, on any loop."""

import asyncio
import threading

import pytest

from resilient_channels.layers.mailbox import Mailbox
from support.couriers import until
from support.loop import virtual


def take(box):
    return asyncio.ensure_future(box.get())


async def settle():
    await asyncio.sleep(0.001)


@virtual
async def test_events_come_in_order():
    box = Mailbox(10, 60)
    for number in range(3):
        assert box.put({"n": number})

    assert [(await box.get())["n"] for _ in range(3)] == [0, 1, 2]


@virtual
async def test_beyond_its_capacity_the_newest_is_refused():
    box = Mailbox(2, 60)

    assert [box.put({"n": number}) for number in range(4)] == [True, True, False, False]

    assert [(await box.get())["n"] for _ in range(2)] == [0, 1]
    assert box.put({"n": 4})


@virtual
async def test_what_nobody_received_in_time_is_gone_and_makes_room():
    box = Mailbox(2, 60)
    box.put({"n": 0})
    await asyncio.sleep(59)
    box.put({"n": 1})
    await asyncio.sleep(2)

    assert box.put({"n": 2})
    assert [(await box.get())["n"] for _ in range(2)] == [1, 2]
    assert box.is_idle


@virtual
async def test_each_event_is_for_one_receiver():
    box = Mailbox(10, 60)
    receivers = [take(box) for _ in range(3)]
    await settle()

    for number in range(3):
        box.put({"n": number})
    got = [(await receiver)["n"] for receiver in receivers]

    assert got == [0, 1, 2]
    assert box.is_idle


@virtual
async def test_a_receiver_that_gives_up_takes_nothing():
    box = Mailbox(10, 60)
    receiver = take(box)
    await settle()
    receiver.cancel()
    await settle()

    box.put({"n": 0})

    assert (await box.get())["n"] == 0


@pytest.mark.parametrize("order", ["put first", "cancel first"])
@virtual
async def test_a_receiver_that_gives_up_when_it_was_just_woken_wakes_the_next(order):
    box = Mailbox(10, 60)
    first, second = take(box), take(box)
    await settle()

    if order == "put first":
        box.put({"n": 0})
        first.cancel()
    else:
        first.cancel()
        box.put({"n": 0})

    async with asyncio.timeout(1):
        assert (await second)["n"] == 0
    assert first.cancelled()


@virtual
async def test_a_late_receiver_may_overtake_and_nobody_waits_for_ever():
    box = Mailbox(10, 60)
    waiting = take(box)
    await settle()
    box.put({"n": 0})
    fast = await box.get()  # before the one who was woken comes to it
    box.put({"n": 1})

    async with asyncio.timeout(1):
        assert [fast["n"], (await waiting)["n"]] == [0, 1]


@virtual
async def test_it_is_unused_when_nobody_has_asked_for_long():
    box = Mailbox(10, 60)
    assert not box.is_unused(10)
    await asyncio.sleep(11)
    assert box.is_unused(10)

    receiver = take(box)
    await asyncio.sleep(100)
    assert not box.is_unused(10)
    receiver.cancel()
    await settle()

    assert box.is_unused(10)  # since it asked
    box.put({})
    assert box.is_unused(10)  # for nobody
    assert not box.is_idle


@virtual
async def test_of_a_finished_frame_it_takes_the_event():
    box, event = Mailbox(10, 60), {"type": "news"}

    assert box.put_frame("text", event)

    got = await box.get()
    assert got == event
    assert got is not event


async def test_a_receiver_is_woken_from_any_thread():
    box = Mailbox(1000, 60)
    got = []

    async def receive():
        while len(got) < 400:
            got.append((await box.get())["n"])

    receiving = asyncio.ensure_future(receive())
    threads = [
        threading.Thread(target=lambda: [box.put({"n": number}) for number in range(100)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()

    async with asyncio.timeout(10):
        await receiving
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(list(range(100)) * 4)


async def test_a_receiver_on_another_loop_is_woken_there():
    box, got = Mailbox(10, 60), []
    thread = threading.Thread(target=lambda: got.append(asyncio.run(box.get())))
    thread.start()
    await until(lambda: not box.is_idle)

    box.put({"n": 0})
    await asyncio.to_thread(thread.join)

    assert got == [{"n": 0}]


async def test_a_receiver_whose_loop_is_closed_is_passed_over():
    box = Mailbox(10, 60)
    loop = asyncio.new_event_loop()
    forgotten = loop.create_task(box.get())
    await asyncio.to_thread(loop.run_until_complete, asyncio.sleep(0))
    loop.close()
    here = take(box)
    await asyncio.sleep(0)

    box.put({"n": 0})

    async with asyncio.timeout(1):
        assert (await here)["n"] == 0
    forgotten._log_destroy_pending = False  # that is how such a loop leaves it
    forgotten.get_coro().close()
