"""Reading from a layer for as long as somebody is there, however it fails."""

import asyncio

import pytest

from hub.doubles import Watch
from resilient_channels.layers.reading import read, read_anyway, wait_for
from support.loop import virtual

ERROR = ConnectionError("idle")


class Source:
    """Gives events and failures, in order, and then nothing.

    Attributes:
        times: when it was asked.
        got: what was handed on.
    """

    def __init__(self, *answers):
        self.answers = list(answers)
        self.times = []
        self.got = []

    async def receive(self):
        self.times.append(asyncio.get_running_loop().time())
        if not self.answers:
            await asyncio.get_running_loop().create_future()
        answer = self.answers.pop(0)
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            raise ERROR
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def put(self, event):
        self.got.append(event)

    @property
    def is_dry(self):
        return not self.answers


async def read_all(source, watch, **kwargs):
    await read(source.receive, source.put, watch=watch, until=lambda: source.is_dry, **kwargs)


@virtual
async def test_what_is_received_is_handed_on_in_order():
    source, watch = Source(1, 2, 3), Watch()

    await read_all(source, watch)

    assert source.got == [1, 2, 3]
    assert watch.asked == 0


@virtual
async def test_the_first_failure_is_a_reason_to_look_and_none_to_wait():
    source, watch = Source(1, ERROR, 2), Watch()

    await read_all(source, watch)

    assert source.got == [1, 2]
    assert source.times == [0.0] * 3
    assert watch.asked == 1


@virtual
async def test_failures_in_a_row_are_met_with_pauses():
    source, watch = Source(*[ERROR] * 20, 1), Watch()

    await read_all(source, watch)

    assert source.got == [1]
    assert 3 < source.times[-1] < 20
    assert watch.asked == 20


@virtual
async def test_a_read_that_fails_after_a_long_wait_is_a_first_failure():
    source, watch = Source(*[5.0] * 20, 1), Watch()

    await read_all(source, watch)

    assert source.times[-1] == 100.0, "no pause at all"


@virtual
async def test_an_outage_is_waited_for():
    source, watch = Source(ERROR, 1), Watch(answers=False)
    asyncio.get_running_loop().call_later(30, watch.come_up)

    await read_all(source, watch)

    assert source.times == [0.0, 30.0]


@virtual
async def test_it_reads_only_when_there_is_room():
    source, rooms = Source(1, 2), []

    async def room():
        rooms.append(len(source.got))
        await asyncio.sleep(1)

    await read_all(source, Watch(), room=room)

    assert rooms == [0, 1]
    assert source.times == [1.0, 2.0]


@virtual
async def test_handing_on_may_take_its_time():
    source, handed = Source(1, 2), []

    async def put(event):
        await asyncio.sleep(1)
        handed.append(event)

    await read(source.receive, put, watch=Watch(), until=lambda: source.is_dry)

    assert handed == [1, 2]


@pytest.mark.parametrize("anyway", [True, False])
@virtual
async def test_it_can_be_cancelled_while_it_waits_for_an_event(anyway):
    source = Source()
    reading = (
        read_anyway(source.receive, source.put, until=lambda: False)
        if anyway
        else read(source.receive, source.put, watch=Watch(), until=lambda: False)
    )
    task = asyncio.ensure_future(reading)
    await asyncio.sleep(1)

    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()


@pytest.mark.parametrize("anyway", [True, False])
@virtual
async def test_a_layer_that_answers_a_cancellation_with_an_error_of_its_own_keeps_nobody(anyway):
    """Symptom: the reader lost its cancellation, and read on for ever."""

    async def receive():
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            raise RuntimeError("connection in use") from None

    reading = (
        read_anyway(receive, print, until=lambda: False)
        if anyway
        else read(receive, print, watch=Watch(), until=lambda: False)
    )
    task = asyncio.ensure_future(reading)
    await asyncio.sleep(1)

    task.cancel()
    await asyncio.wait({task}, timeout=5)

    assert task.cancelled()


# --- for those who find out how the layer is -------------------------------------------------


@virtual
async def test_they_go_on_without_asking_and_tell_of_each_failure():
    source, told = Source(*[ERROR] * 10, 1), []

    await read_anyway(
        source.receive, source.put, until=lambda: source.is_dry, failed=lambda: told.append(1)
    )

    assert source.got == [1]
    assert len(told) == 10
    assert 1 < source.times[-1] < 10


@virtual
async def test_their_pauses_have_a_cap():
    source = Source(*[ERROR] * 100, 1)

    await read_anyway(source.receive, source.put, until=lambda: source.is_dry, cap=0.2)

    pauses = [later - sooner for sooner, later in zip(source.times, source.times[1:], strict=False)]
    assert max(pauses) <= 0.2


@virtual
async def test_their_pauses_can_be_cut_short():
    source, wake = Source(*[ERROR] * 100, 1), asyncio.Event()
    task = asyncio.ensure_future(
        read_anyway(source.receive, source.put, until=lambda: source.is_dry, wake=wake, cap=1000.0)
    )
    await asyncio.sleep(60)
    tried = len(source.times)

    wake.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)

    assert len(source.times) == tried + 1
    task.cancel()


@virtual
async def test_waiting_for_an_event_ends_in_time():
    event = asyncio.Event()

    assert await wait_for(event, 3) is False
    assert asyncio.get_running_loop().time() == 3
    asyncio.get_running_loop().call_later(1, event.set)
    assert await wait_for(event, 3) is True
    assert asyncio.get_running_loop().time() == 4
