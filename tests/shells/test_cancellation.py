"""An application that is cancelled, once or often, ends as every other."""

import asyncio

import pytest
from channels.layers import get_channel_layer

from resilient_channels import DisconnectKind
from resilient_channels.registry import registry
from shells.busy import TIMEOUT, Busy
from shells.visits import Visit, both_colours, build, note, now, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)


class SlowGoodbye(Busy):
    async def disconnect(self, code):
        await self.pause(2)
        note(self, "disconnect", code)


@pytest.mark.parametrize("times", [1, 2, 3, 10])
@every_server
@both_colours
@virtual
async def test_being_cancelled_again_while_cleaning_up_changes_nothing(colour, style, times):
    visit = await open_visit(build(SlowGoodbye, colour), style=style)
    started = now()

    for _ in range(times):
        visit.task.cancel()
        await settle(0.1)

    assert isinstance(await visit.ended(), asyncio.CancelledError)
    assert visit.notes == [DisconnectKind.CANCELLED, ("disconnect", 3512)]
    assert get_channel_layer().groups == {}
    assert now() - started < TIMEOUT


@both_colours
@virtual
async def test_a_cancellation_while_the_cleanup_of_a_client_that_left_runs_is_passed_on(colour):
    visit = await open_visit(build(SlowGoodbye, colour))
    visit.client_closes()
    await settle(0.5)

    visit.task.cancel()

    assert isinstance(await visit.ended(), asyncio.CancelledError)
    assert visit.notes == [DisconnectKind.CLIENT, ("disconnect", 1000)]


@both_colours
@virtual
async def test_a_cancellation_in_the_middle_of_a_handler_ends_it(colour):
    visit = await open_visit(build(Busy, colour))
    visit.client_sends("1000")
    await settle(1)
    started = now()

    visit.task.cancel()

    assert isinstance(await visit.ended(), asyncio.CancelledError)
    assert visit.notes == [DisconnectKind.CANCELLED, ("disconnect", 3512)]
    assert visit.closes == [3512]
    assert now() - started < TIMEOUT


@virtual
async def test_a_cancelled_application_ends_when_all_its_neighbours_are_cleaned_up():
    consumer = build(SlowGoodbye)
    visits = [await open_visit(consumer) for _ in range(5)]
    quick = await open_visit(build(Busy))

    for visit in [quick, *visits]:
        visit.task.cancel()
    await quick.ended()

    assert all(("disconnect", 3512) in visit.notes for visit in visits)
    for visit in visits:
        await visit.ended()


@both_colours
@virtual
async def test_being_cancelled_while_connecting_leaves_nothing(colour):
    class Slow(Busy):
        async def connect(self):
            await self.pause(5)
            await self.accept()

    visit = Visit(build(Slow, colour))
    await settle(1)

    visit.task.cancel()

    assert isinstance(await visit.ended(), asyncio.CancelledError)
    assert visit.notes == []
    assert get_channel_layer().groups == {}
    assert len(registry) == 0


@virtual
async def test_a_server_that_takes_no_close_frame_is_not_waited_for():
    async def block(message):
        if message["type"] == "websocket.close":
            await asyncio.get_running_loop().create_future()

    visit = await open_visit(build(Busy), on_send=block)
    started = now()

    visit.task.cancel()

    assert isinstance(await visit.ended(), asyncio.CancelledError)
    assert visit.notes == [DisconnectKind.CANCELLED, ("disconnect", 3512)]
    assert now() - started < TIMEOUT


@both_colours
@virtual
async def test_a_server_that_never_reports_the_end_of_our_own_close_is_not_waited_for(colour):
    class Closing(Busy):
        async def receive(self, text_data=None, bytes_data=None):
            await self.close(4000)

    visit = await open_visit(build(Closing, colour))
    visit.style = ALL_STYLES[0]
    visit.closed = True  # so that it feeds no disconnect
    started = now()

    visit.client_sends("go")

    assert await visit.ended() is None
    assert visit.notes == [DisconnectKind.SERVER, ("disconnect", 4000)]
    assert now() - started < TIMEOUT
