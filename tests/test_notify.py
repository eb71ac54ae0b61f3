"""Synchronous code sends: from any thread, with one loop for all, and says what became of it."""

import asyncio
import threading

import pytest
from channels.layers import InMemoryChannelLayer

from resilient_channels import SendOutcome, notify, sending
from resilient_channels.layers import ResilientChannelLayer
from shells.members import Member
from shells.visits import build, open_visit
from support.couriers import LIMIT, own_courier, until
from support.faults import HANG
from support.layers import ScriptedLayer, installed
from test_sending import EVENT, MISTAKES


@pytest.fixture(autouse=True)
def _courier(monkeypatch):
    """One of its own for each test, which leaves no thread and no loop."""
    with own_courier() as courier:
        monkeypatch.setattr(sending, "courier", courier)
        yield


class Recording(InMemoryChannelLayer):
    """Notes on which event loop, and in which thread, something was sent.

    By class it lives in this process, but its consumers are on no loop.
    """

    def __init__(self):
        super().__init__()
        self.loops = []
        self.threads = set()
        self.sent = []

    async def group_send(self, group, message):
        self.loops.append(asyncio.get_running_loop())
        self.threads.add(threading.current_thread())
        self.sent.append((group, message))


def test_from_a_thread_without_a_loop_it_is_sent_when_it_returns():
    with installed(Recording()) as layer:
        assert notify("room", EVENT) is SendOutcome.SENT

    assert layer.sent == [("room", EVENT)]
    assert threading.current_thread() not in layer.threads


def test_a_hundred_calls_take_one_loop_and_one_thread():
    threads = []
    with installed(Recording()) as layer:
        for _ in range(50):
            notify("room", EVENT)
        for _ in range(50):
            threads.append(threading.Thread(target=notify, args=("room", EVENT)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    assert len(layer.sent) == 100
    assert len(set(layer.loops)) == 1
    assert len(layer.threads) == 1


def test_events_of_one_thread_keep_their_order():
    with installed(Recording()) as layer:
        for number in range(100):
            notify("room", {**EVENT, "number": number})

    assert [event["number"] for _, event in layer.sent] == list(range(100))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_raises_where_it_was_made(mistake):
    group, event, error = MISTAKES[mistake]
    with installed(Recording()) as layer, pytest.raises(error):
        notify(group, event)

    assert layer.sent == []


def test_an_error_of_the_layer_that_is_well_raises_where_it_was_called():
    class Refusing(Recording):
        async def group_send(self, group, message):
            raise LookupError("WRONGTYPE")

    with installed(Refusing()), pytest.raises(LookupError, match="WRONGTYPE"):
        notify("room", EVENT)


async def test_on_a_thread_with_a_running_loop_it_is_handed_over():
    gate = threading.Event()

    class Held(Recording):
        async def group_send(self, group, message):
            await asyncio.to_thread(gate.wait, LIMIT)
            await super().group_send(group, message)

    with installed(Held()) as layer:
        assert notify("room", EVENT) is SendOutcome.QUEUED
        assert layer.sent == []
        gate.set()
        await until(lambda: layer.sent)

    assert layer.sent == [("room", EVENT)]


async def test_in_a_thread_of_a_loop_it_waits():
    with installed(Recording()) as layer:
        assert await asyncio.to_thread(notify, "room", EVENT) is SendOutcome.SENT

    assert layer.sent == [("room", EVENT)]


async def test_receivers_of_the_plain_in_memory_layer_on_another_loop_are_woken():
    """Symptom: it lay in the queue of a loop that nobody had woken."""

    class Listener(Member):
        async def news(self, event):
            heard.set()

    heard = asyncio.Event()
    with installed(InMemoryChannelLayer()):
        visit = await open_visit(build(Listener))

        assert await asyncio.to_thread(notify, "room", EVENT) is SendOutcome.SENT
        async with asyncio.timeout(10):
            await heard.wait()

        await visit.leave()


async def test_members_of_a_hub_alone_on_another_loop_are_woken():
    class Listener(Member):
        async def news(self, event):
            heard.set()

    heard = asyncio.Event()
    with installed(ResilientChannelLayer()):
        visit = await open_visit(build(Listener))

        assert await asyncio.to_thread(notify, "room", EVENT) is SendOutcome.SENT
        async with asyncio.timeout(10):
            await heard.wait()

        await visit.leave()


def test_what_the_layer_does_not_take_in_time_has_timed_out(settings):
    settings.RESILIENT_CHANNELS = {"LAYER": {"deadline": 0.2}}
    layer = ScriptedLayer()
    layer.break_down(HANG, "group_send")

    with installed(layer):
        assert notify("room", EVENT) is SendOutcome.TIMED_OUT
