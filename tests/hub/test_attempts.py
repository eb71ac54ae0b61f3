"""One call to a layer: tried again, given up in time, or the caller's own fault."""

import asyncio
import threading

import pytest
from channels.exceptions import ChannelFull

from hub.doubles import Calls, Watch
from resilient_channels import LayerUnavailable
from resilient_channels.layers.attempts import FAILURES_IN_A_CROWD, attempt
from resilient_channels.layers.membership import CONCURRENCY
from support.loop import virtual

ERROR = ConnectionError("refused")


async def never():
    await asyncio.get_running_loop().create_future()


def now():
    return asyncio.get_running_loop().time()


async def try_for(watch, call, seconds=5.0, *args, **kwargs):
    await attempt(watch, "group_send", now() + seconds, call, *args, **kwargs)


@virtual
async def test_a_call_that_succeeds_asks_nobody():
    watch, call = Watch(), Calls()

    await try_for(watch, call)

    assert len(call.times) == 1
    assert (watch.asked, watch.alarms, watch.attempts) == (0, 0, 0)


@virtual
async def test_a_first_failure_is_tried_again_at_once():
    watch, call = Watch(), Calls(ERROR)

    await try_for(watch, call)

    assert call.times == [0.0, 0.0]
    assert watch.asked == 0


@virtual
async def test_what_fails_beside_a_layer_that_answers_is_the_callers():
    watch, call = Watch(), Calls(*[ERROR] * 10)

    with pytest.raises(ConnectionError, match="refused"):
        await try_for(watch, call)

    assert call.times == [0.0] * 3
    assert watch.attempts == 0


@virtual
async def test_in_a_crowd_it_is_tried_more_often_with_pauses():
    """Symptom: a thousand at once emptied a pool of connections, and each of them was told so."""
    watch, call = Watch(), Calls(*[ERROR] * 10)
    watch.attempts = CONCURRENCY

    with pytest.raises(ConnectionError, match="refused"):
        await try_for(watch, call)

    assert len(call.times) == FAILURES_IN_A_CROWD + 1
    assert 0.2 < call.times[-1] < 5


@virtual
async def test_what_fails_beside_a_layer_that_does_not_answer_waits_for_its_return():
    watch, call = Watch(answers=False), Calls(ERROR, ERROR)
    asyncio.get_running_loop().call_later(3, watch.come_up)

    await try_for(watch, call)

    assert 3 <= call.times[-1] < 3.1
    assert len(call.times) == 3


@pytest.mark.parametrize("known", [True, False])
@virtual
async def test_time_is_up_at_the_limit_and_the_last_cause_is_told(known):
    watch, call = Watch(answers=not known), Calls(*[ERROR] * 100)
    if not known:
        watch.answers = False

    with pytest.raises(LayerUnavailable) as told:
        await try_for(watch, call, 2.0)

    assert now() == 2.0
    assert told.value.waited == 2.0
    assert told.value.__cause__ is ERROR
    assert (told.value.alias, told.value.operation) == ("default", "group_send")
    assert (watch.alarms, watch.attempts) == (1, 0)


@virtual
async def test_a_call_that_hangs_is_given_up_and_the_watch_is_alarmed():
    watch = Watch()

    with pytest.raises(LayerUnavailable):
        await try_for(watch, never, 2.0)

    assert now() == 2.0
    assert watch.alarms == 1


@virtual
async def test_a_time_limit_of_the_layers_own_is_a_failure_like_any():
    watch, call = Watch(), Calls(*[TimeoutError("read")] * 10)

    with pytest.raises(TimeoutError, match="read"):
        await try_for(watch, call)

    assert len(call.times) == 3


@virtual
async def test_a_full_channel_is_told_at_once():
    watch, call = Watch(), Calls(ChannelFull())

    with pytest.raises(ChannelFull):
        await try_for(watch, call)

    assert len(call.times) == 1


@pytest.mark.parametrize("is_down", [True, False])
@virtual
async def test_what_cannot_be_put_into_bytes_is_told_whatever_the_layer_does(is_down):
    class Layer:
        def serialize(self, message):
            raise TypeError("cannot pickle")

    watch, call = Watch(answers=not is_down), Calls(*[ERROR] * 10)
    watch.layer = Layer()

    with pytest.raises(TypeError, match="cannot pickle"):
        await try_for(watch, call, 5.0, "room", {"x": threading.Lock()})

    assert now() == 0
    assert len(call.times) == (0 if is_down else 1)
    assert watch.attempts == 0


@virtual
async def test_a_cancelled_call_is_cancelled():
    watch = Watch()
    calling = asyncio.ensure_future(try_for(watch, never))
    await asyncio.sleep(1)
    assert watch.attempts == 1

    calling.cancel()
    await asyncio.wait({calling})

    assert calling.cancelled()
    assert watch.attempts == 0


@virtual
async def test_a_call_that_answers_a_cancellation_with_an_error_of_its_own_is_cancelled_too():
    """Symptom: a broker's client lost the cancellation, and the call was made again."""

    async def loses_it():
        try:
            await never()
        except asyncio.CancelledError:
            raise RuntimeError("connection in use") from None

    calling = asyncio.ensure_future(try_for(Watch(), loses_it))
    await asyncio.sleep(1)

    calling.cancel()
    await asyncio.wait({calling})

    assert calling.cancelled()


# --- in an outage ----------------------------------------------------------------------------


@virtual
async def test_in_a_known_outage_the_members_here_are_served_before_the_first_try():
    watch, served = Watch(answers=False), []

    def call():
        assert served == [0.0]
        return done()

    async def done():
        return None

    await try_for(watch, call, in_outage=lambda: served.append(now()))

    assert served == [0.0]


@pytest.mark.parametrize("fails", [True, False])
@virtual
async def test_an_outage_that_the_call_finds_serves_them_once(fails):
    watch, served = Watch(), []
    watch.answers = False
    call = Calls(*[ERROR] * 100) if fails else never
    if not fails:
        asyncio.get_running_loop().call_later(1, watch.go_down)

    with pytest.raises(LayerUnavailable):
        await try_for(watch, call, 3.0, in_outage=lambda: served.append(now()))

    assert len(served) == 1


@virtual
async def test_without_an_outage_they_are_not_served():
    served = []
    await try_for(Watch(), Calls(ERROR), in_outage=lambda: served.append(1))
    with pytest.raises(ConnectionError):
        await try_for(Watch(), Calls(*[ERROR] * 9), in_outage=lambda: served.append(1))
    with pytest.raises(LayerUnavailable):
        await try_for(Watch(), never, 1.0, in_outage=lambda: served.append(1))

    assert served == []


@virtual
async def test_more_than_may_wait_are_given_up_at_once():
    watch = Watch(answers=False, pending=2)
    waiting = [asyncio.ensure_future(try_for(watch, Calls(*[ERROR] * 99))) for _ in range(2)]
    await asyncio.sleep(0.1)
    call = Calls()

    with pytest.raises(LayerUnavailable) as told:
        await try_for(watch, call)

    assert (told.value.waited, call.times) == (0.0, [])
    watch.come_up()
    for calling in waiting:
        with pytest.raises((ConnectionError, LayerUnavailable)):
            await calling
    assert watch.attempts == 0


@virtual
async def test_calls_that_find_the_outage_together_are_counted_too():
    watch = Watch(pending=3)
    watch.answers = False
    calls = [asyncio.ensure_future(try_for(watch, Calls(*[ERROR] * 99))) for _ in range(10)]

    await asyncio.sleep(1)
    early = [call for call in calls if call.done()]
    await asyncio.wait(calls)

    assert len(early) == 7
    assert all(isinstance(call.exception(), LayerUnavailable) for call in calls)


@virtual
async def test_those_who_waited_go_on_in_a_spread():
    watch = Watch(answers=False)
    calls = [Calls(ERROR, ERROR) for _ in range(100)]
    waiting = [asyncio.ensure_future(try_for(watch, call)) for call in calls]
    await asyncio.sleep(2)

    watch.come_up()
    await asyncio.gather(*waiting)

    times = sorted(call.times[-1] for call in calls)
    assert 0.2 < times[-1] - times[0] < 1
    assert times[-1] < 5
