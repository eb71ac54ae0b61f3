"""A handler that takes longer than it may: cancelled, or told of where it cannot be."""

import asyncio
import traceback

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from resilient_channels import DisconnectKind, on_disconnect
from resilient_channels.dispatching import dispatch_as_channels
from resilient_channels.guarding import _Term
from resilient_channels.wheel import get_wheel
from shells.test_stalls import stall
from shells.visits import Visit, both_colours, build, note, now, open_visit, settle
from support.loop import virtual

DEADLINE = 10.0


class Worker(AsyncWebsocketConsumer):
    """Works for as many seconds as it is asked to."""

    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        try:
            await self.pause(float(text_data))
        except asyncio.CancelledError:
            note(self, "cancelled")
            raise
        note(self, "worked", text_data)

    async def news(self, event):
        await self.pause(event["seconds"])
        note(self, "worked")

    @on_disconnect
    async def ended(self, info):
        note(self, info.code, info.kind)


class OwnCall(Worker):
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)


class Hooked(Worker):
    async def on_error(self, error, message):
        note(self, type(error), message["type"])


def in_time(consumer=Worker, colour="async", deadline=DEADLINE, **options):
    return build(consumer, colour, HANDLER={"deadline": deadline}, **options)


def task_of(visit):
    return visit.task


# --- cancelled -------------------------------------------------------------------------------


@pytest.mark.parametrize("consumer", [Worker, OwnCall])
@virtual
async def test_a_handler_is_cancelled_at_its_deadline_and_the_connection_goes_on(consumer, facts):
    visit = await open_visit(in_time(consumer))

    visit.client_sends("60")
    visit.client_sends("1")
    await settle(DEADLINE + 2)

    assert visit.notes == ["cancelled", ("worked", "1")]
    [failed] = facts("handler.error")
    assert (failed.error, failed.handler, failed.closes) == (
        "TimeoutError",
        "websocket.receive",
        False,
    )
    assert visit.closes == []
    assert task_of(visit).cancelling() == 0
    await visit.leave()
    assert len(get_wheel(asyncio.get_running_loop())) == 0


@virtual
async def test_the_record_shows_where_the_handler_was(facts):
    visit = await open_visit(in_time())

    visit.client_sends("60")
    await settle(DEADLINE + 1)

    [failed] = facts("handler.error")
    told = "".join(traceback.format_exception(failed.exc_info[1]))
    assert "await self.pause(float(text_data))" in told
    assert f"not done within {DEADLINE} s" in told
    await visit.leave()


@virtual
async def test_a_handler_that_is_done_in_time_is_left_alone(facts):
    visit = await open_visit(in_time())

    for _ in range(5):
        visit.client_sends("9.9")
    await settle(60)

    assert visit.notes == [("worked", "9.9")] * 5
    assert facts.alarms == []
    await visit.leave()


@virtual
async def test_it_counts_against_the_budget(facts):
    visit = await open_visit(in_time(deadline=1.0))

    for _ in range(6):
        visit.client_sends("60")

    assert await visit.ended() is None
    assert visit.closes == [3500]
    assert visit.notes == ["cancelled"] * 6 + [(3500, DisconnectKind.ERROR)]


@virtual
async def test_the_hook_hears_of_it():
    visit = await open_visit(in_time(Hooked))

    visit.client_sends("60")
    await settle(DEADLINE + 1)

    assert visit.notes == ["cancelled", (TimeoutError, "websocket.receive")]
    await visit.leave()


@virtual
async def test_handlers_of_the_layers_events_have_the_same_time(facts):
    visit = await open_visit(in_time())

    await get_channel_layer().group_send("room", {"type": "news", "seconds": 60})
    await settle(DEADLINE + 1)

    assert [failed.handler for failed in facts("handler.error")] == ["news"]
    assert visit.notes == []
    await visit.leave()


@virtual
async def test_connect_has_it_too(facts):
    class Slow(Worker):
        async def connect(self):
            await self.pause(20)

    visit = Visit(in_time(Slow))
    started = now()

    assert await visit.ended() is None
    assert DEADLINE <= now() - started < DEADLINE + 3
    assert not visit.accepted
    [refused] = facts("connection.refused")
    assert refused.cause == "error"
    assert [failed.error for failed in facts("handler.error")] == ["TimeoutError"]


@virtual
async def test_disconnect_has_the_time_of_the_cleanup(facts):
    class Careful(Worker):
        async def disconnect(self, code):
            await self.pause(3)
            note(self, "saved")

    visit = await open_visit(in_time(Careful, deadline=1.0))

    await visit.leave()

    assert "saved" in visit.notes
    assert facts.alarms == []


@virtual
async def test_a_stall_of_the_loop_is_not_the_handlers_time(facts):
    visit = await open_visit(in_time())
    visit.client_sends("9")
    await settle(5)

    stall(3600)
    await settle(6)

    assert visit.notes == [("worked", "9")]
    assert facts("handler.error") == []
    await visit.leave()


# --- and nobody else's business --------------------------------------------------------------


class Patient(Worker):
    """Has limits of its own, and copes."""

    async def receive(self, text_data=None, bytes_data=None):
        try:
            await asyncio.wait_for(asyncio.sleep(60), float(text_data))
        except TimeoutError:
            note(self, "my own limit")
        await asyncio.sleep(1)
        note(self, "done")


@virtual
async def test_a_handler_with_a_limit_of_its_own_sees_its_own_and_no_other(facts):
    visit = await open_visit(in_time(Patient))

    visit.client_sends("5")
    await settle(20)
    assert visit.notes == ["my own limit", "done"]
    assert facts.alarms == []

    visit.client_sends("20")
    await settle(20)

    assert visit.notes == ["my own limit", "done"]
    assert [failed.error for failed in facts("handler.error")] == ["TimeoutError"]
    await visit.leave()


@pytest.mark.parametrize("offset", [-0.3, -0.01, 0.0, 0.01, 0.3])
@virtual
async def test_two_limits_at_the_same_moment_end_in_one_of_both(offset, facts):
    visit = await open_visit(in_time(Patient))

    visit.client_sends(str(DEADLINE + offset))
    await settle(30)

    was_ours = [failed.error for failed in facts("handler.error")] == ["TimeoutError"]
    assert was_ours or visit.notes[0] == "my own limit"
    assert task_of(visit).cancelling() == 0
    visit.client_sends("1")
    await settle(5)
    assert visit.notes[-2:] == ["my own limit", "done"]
    await visit.leave()


@virtual
async def test_a_handler_that_turns_its_cancellation_into_an_answer_has_answered(facts):
    class Stubborn(Worker):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await self.send("sorry")

    visit = await open_visit(in_time(Stubborn))

    visit.client_sends("go")
    await settle(DEADLINE + 1)

    assert visit.texts == ["sorry"]
    assert facts("handler.error") == []
    assert task_of(visit).cancelling() == 0
    await visit.leave()


@virtual
async def test_a_handler_that_swallows_its_cancellation_does_not_hide_that_it_took_too_long(facts):
    class Swallows(Worker):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await asyncio.sleep(60)
            except BaseException:  # noqa: BLE001  # as people write it
                note(self, "swallowed")

    visit = await open_visit(in_time(Swallows))

    visit.client_sends("go")
    await settle(DEADLINE + 1)

    assert visit.notes == ["swallowed"]
    [overdue] = facts("handler.overdue")
    assert (overdue.handler, overdue.deadline) == ("websocket.receive", DEADLINE)
    assert facts.alarms == ["handler.overdue"]
    await visit.leave()


@virtual
async def test_one_that_fails_when_it_is_cancelled_is_told_of_by_its_failure_alone(facts):
    class Fails(Worker):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise LookupError from None

    visit = await open_visit(in_time(Fails))

    visit.client_sends("go")
    await settle(DEADLINE + 1)

    assert [failed.error for failed in facts("handler.error")] == ["LookupError"]
    assert facts("handler.overdue") == []
    await visit.leave()


@pytest.mark.parametrize("longer", [0.5, 1.5, 5.0])
@virtual
async def test_one_that_goes_on_for_a_while_is_told_of_once(longer, facts):
    class Goes(Worker):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(longer * DEADLINE)
                note(self, "done")

    visit = await open_visit(in_time(Goes))

    visit.client_sends("go")
    await settle(100)

    assert visit.notes == ["done"]
    assert facts.alarms == ["handler.overdue"]
    await visit.leave()


@virtual
async def test_one_that_ignores_its_cancellation_is_told_of_once(facts):
    class Deaf(Worker):
        async def receive(self, text_data=None, bytes_data=None):
            for _ in range(2):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    note(self, "so what")

    visit = await open_visit(in_time(Deaf))

    visit.client_sends("go")
    await settle(100)

    [overdue] = facts("handler.overdue")
    assert (overdue.handler, overdue.deadline) == ("websocket.receive", DEADLINE)
    assert overdue.levelname == "WARNING"
    assert visit.notes == ["so what"]
    await visit.leave()


@pytest.mark.parametrize("after", [1.0, DEADLINE - 0.01, DEADLINE, DEADLINE + 0.1, DEADLINE + 0.2])
@virtual
async def test_a_server_that_cancels_the_application_is_heard_whenever_it_does(after):
    visit = await open_visit(in_time())
    visit.client_sends("60")
    await settle(after)

    await visit.leave_at_once()

    assert visit.notes == ["cancelled", (3512, DisconnectKind.CANCELLED)]


@pytest.mark.parametrize("is_first", [True, False])
@virtual
async def test_both_cancellations_in_one_moment_are_two(is_first, monkeypatch):
    terms = []
    begin = _Term.__init__

    def noted(term, driver):
        terms.append(term)
        begin(term, driver)

    monkeypatch.setattr(_Term, "__init__", noted)
    visit = await open_visit(in_time())
    visit.client_sends("60")
    await settle(1)

    if is_first:
        terms[-1]._expire()
    visit.task.cancel()
    if not is_first:
        terms[-1]._expire()

    assert isinstance(await visit.ended(), asyncio.CancelledError)
    assert visit.notes == ["cancelled", (3512, DisconnectKind.CANCELLED)]


@virtual
async def test_a_handler_whose_client_has_left_is_cut_off_as_before(facts):
    visit = await open_visit(in_time(deadline=7.0))
    visit.client_sends("60")
    await settle(1)

    visit.client_closes()

    assert await visit.ended() is None
    assert visit.notes == ["cancelled", (1000, DisconnectKind.CLIENT)]
    assert task_of(visit).cancelling() == 0


# --- synchronous handlers --------------------------------------------------------------------


@virtual
async def test_a_synchronous_handler_is_told_of_once_and_goes_on(facts):
    visit = await open_visit(in_time(colour="sync"))

    visit.client_sends("60")
    await settle(100)

    assert visit.notes == [("worked", "60")]
    [overdue] = facts("handler.overdue")
    assert (overdue.handler, overdue.deadline) == ("websocket.receive", DEADLINE)
    assert facts.alarms == ["handler.overdue"]
    await visit.leave()


@virtual
async def test_a_synchronous_handler_that_is_done_in_time_is_not_told_of(facts):
    visit = await open_visit(in_time(colour="sync"))

    for _ in range(5):
        visit.client_sends("9")
    await settle(60)

    assert visit.notes == [("worked", "9")] * 5
    assert facts.alarms == []
    await visit.leave()


@virtual
async def test_who_waits_for_the_thread_is_not_the_one_to_blame(facts):
    class Hog(Worker):
        pass

    busy = await open_visit(in_time(Hog, "sync"))
    idle = await open_visit(in_time(Worker, "sync"))
    busy.client_sends("60")
    await settle(1)
    idle.client_sends("1")
    await settle(100)

    assert idle.notes == [("worked", "1")]
    assert [told.consumer.rpartition(".")[2] for told in facts("handler.overdue")] == ["Hog"]
    await busy.leave()
    await idle.leave()


# --- off -------------------------------------------------------------------------------------


@both_colours
@virtual
async def test_without_a_deadline_nothing_stands_between_a_message_and_its_handler(colour):
    visit = await open_visit(build(Worker, colour))

    dispatch = visit.consumer._resilient_driver._dispatch

    if colour == "async":
        assert dispatch is dispatch_as_channels
    assert "guarding" not in dispatch.__module__
    await visit.leave()
