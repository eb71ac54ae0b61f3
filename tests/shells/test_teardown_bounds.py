"""The end of a connection takes its time, and no more than that."""

import asyncio

import pytest
from channels.layers import get_channel_layer

from resilient_channels import DisconnectKind, on_disconnect
from resilient_channels.registry import registry
from shells.busy import END, TIMEOUT, Busy, HangingDisconnect, HangingHook
from shells.visits import both_colours, build, note, now, open_visit, settle
from support.loop import virtual


async def leave_during_handler(consumer, text, **kwargs):
    visit = await open_visit(consumer, **kwargs)
    visit.client_sends(text)
    await settle(1)
    visit.client_closes()
    started = now()
    assert await visit.ended() is None
    return visit, now() - started


# --- a handler that runs on ------------------------------------------------------------------


@both_colours
@virtual
async def test_a_handler_may_finish_in_three_quarters_of_the_time(colour, facts):
    visit, took = await leave_during_handler(build(Busy, colour), "6.5")

    assert visit.notes == ["finished", *END]
    assert took == pytest.approx(5.5, abs=0.1)
    assert facts.alarms == []


@both_colours
@virtual
async def test_a_handler_that_takes_longer_is_cut_off(colour, facts):
    visit, took = await leave_during_handler(build(Busy, colour), "1000")

    assert visit.notes == END
    assert took == pytest.approx(6, abs=0.1)
    (cut_off,) = facts("handler.cut_off")
    assert (cut_off.handler, cut_off.after) == ("websocket.receive", 6.0)
    assert get_channel_layer().groups == {}


@both_colours
@virtual
async def test_the_time_is_the_consumers_own(colour):
    consumer = build(Busy, colour, TEARDOWN={"timeout": 2})

    visit, took = await leave_during_handler(consumer, "1000")

    assert visit.notes == END
    assert took == pytest.approx(1.5, abs=0.1)


@both_colours
@virtual
async def test_frames_that_wait_behind_a_handler_that_is_cut_off_are_not_handled(colour):
    visit = await open_visit(build(Busy, colour))
    for seconds in ("1000", "0", "0"):
        visit.client_sends(seconds)
    await settle(1)

    await visit.leave()

    assert visit.notes == END


@both_colours
@virtual
async def test_many_handlers_share_the_time(colour):
    visit = await open_visit(build(Busy, colour))
    for _ in range(8):
        visit.client_sends("2.5")
    started = now()

    await visit.leave()

    assert visit.notes == ["finished"] * 2 + END
    assert now() - started < TIMEOUT


@virtual
async def test_a_handler_that_swallows_its_cancellation_is_left_behind(facts):
    class Stubborn(Busy):
        async def receive(self, text_data=None, bytes_data=None):
            while now() < 60:
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    note(self, "no")
            note(self, "at last")

    visit = await open_visit(build(Stubborn))
    visit.client_sends("go")
    await settle(1)
    visit.client_closes()

    await settle(TIMEOUT)

    assert visit.notes == ["no", *END]
    assert get_channel_layer().groups == {}
    assert len(registry) == 0
    assert [closed.kind for closed in facts("connection.closed")] == ["client"]
    assert await visit.ended() is None
    assert visit.notes == ["no", *END, "at last"]


@virtual
async def test_a_handler_that_turns_its_cancellation_into_an_error_ends_as_usual():
    class Converting(Busy):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError as error:
                raise LookupError from error

    visit, took = await leave_during_handler(build(Converting), "go")

    assert visit.notes == END
    assert took < TIMEOUT


@virtual
async def test_a_handler_that_is_slow_to_clean_up_delays_the_end_within_bounds():
    class Tidy(Busy):
        async def receive(self, text_data=None, bytes_data=None):
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(0.5)
                note(self, "tidied")

    visit, took = await leave_during_handler(build(Tidy), "go")

    assert visit.notes == ["tidied", *END]
    assert took == pytest.approx(6.5, abs=0.1)


@both_colours
@virtual
async def test_a_handler_that_runs_on_after_our_own_close_is_cut_off_too(colour):
    class Dawdling(Busy):
        async def receive(self, text_data=None, bytes_data=None):
            await self.close(4000)
            await self.pause(1000)

    visit = await open_visit(build(Dawdling, colour))
    started = now()

    visit.client_sends("go")

    assert await visit.ended() is None
    assert visit.notes == [DisconnectKind.SERVER, ("disconnect", 4000)]
    assert now() - started < TIMEOUT


# --- hooks that misbehave --------------------------------------------------------------------


class FailingHook(Busy):
    @on_disconnect
    async def ended(self, info):
        raise LookupError


class FailingDisconnect(Busy):
    async def disconnect(self, code):
        raise LookupError


@virtual
async def test_a_hook_that_hangs_does_not_keep_disconnect_from_running(facts):
    visit, took = await leave_during_handler(build(HangingHook), "0")

    assert visit.notes == ["finished", ("disconnect", 1000)]
    assert took < TIMEOUT
    assert [(failed.step, failed.error) for failed in facts("teardown.error")] == [
        ("ended", "TimeoutError")
    ]
    assert get_channel_layer().groups == {}


@virtual
async def test_a_disconnect_that_hangs_does_not_keep_the_groups(facts):
    visit, took = await leave_during_handler(build(HangingDisconnect), "0")

    assert visit.notes == ["finished", *END]
    assert took < TIMEOUT
    assert [failed.step for failed in facts("teardown.error")] == ["disconnect"]
    assert get_channel_layer().groups == {}


@virtual
async def test_a_handler_and_a_hook_that_both_take_too_long_share_the_time():
    visit, took = await leave_during_handler(build(HangingHook), "1000")

    assert visit.notes == [("disconnect", 1000)]
    assert took <= TIMEOUT
    assert get_channel_layer().groups == {}


@pytest.mark.parametrize(
    ("consumer", "step", "notes"),
    [
        (FailingHook, "ended", [("disconnect", 1000)]),
        (FailingDisconnect, "disconnect", [DisconnectKind.CLIENT]),
    ],
)
@both_colours
@virtual
async def test_a_hook_that_fails_is_logged_and_the_rest_runs(colour, consumer, step, notes, facts):
    visit = await open_visit(build(consumer, colour))

    await visit.leave()

    assert visit.notes == notes
    assert [(failed.step, failed.error) for failed in facts("teardown.error")] == [
        (step, "LookupError")
    ]
    assert get_channel_layer().groups == {}
    assert len(facts("connection.closed")) == 1


@virtual
async def test_a_hook_that_runs_into_a_cancellation_does_not_stop_the_rest():
    class Cancelled(Busy):
        @on_disconnect
        async def ended(self, info):
            raise asyncio.CancelledError

    visit = await open_visit(build(Cancelled))

    await visit.leave()

    assert visit.notes == [("disconnect", 1000)]
    assert get_channel_layer().groups == {}


async def refuse_to_end(notes):
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        notes.append("not yet")
        await asyncio.sleep(20)


@virtual
async def test_a_background_task_that_will_not_end_does_not_keep_the_groups():
    class Spawning(Busy):
        async def connect(self):
            await self.accept()
            self.resilient.spawn(refuse_to_end(self.scope["notes"]))

    visit = await open_visit(build(Spawning))
    started = now()

    await visit.leave()

    assert now() - started <= TIMEOUT
    assert visit.notes == [*END, "not yet"]
    assert get_channel_layer().groups == {}
    await settle(20)
