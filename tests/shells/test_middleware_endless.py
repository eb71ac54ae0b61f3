"""Applications behind the middleware that send for ever, or do not let themselves be ended."""

import asyncio

import pytest

from resilient_channels import ConnectionClosed
from shells.clients import BOUND, WireClient, come_to_an_end, meet
from shells.mounts import ACCEPT, Resilient, mount, nothing_is_left, plain
from shells.visits import Visit, both_colours, build, note, now, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES, UVICORN

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)

TEXT = {"type": "websocket.send", "text": "x"}
TEARDOWN = 8.0


# --- never calls receive() ---------------------------------------------------------------------


async def ticker(scope, receive, send):
    await send(ACCEPT)
    try:
        while True:
            await send(TEXT)
            await asyncio.sleep(1)
    except asyncio.CancelledError:
        scope["notes"].append("cancelled")
        raise


@virtual
async def test_a_live_client_of_an_application_that_never_listens_lives():
    """Symptom: nobody read its pongs, so it was given up with 3408."""
    client = await meet(WireClient(mount(ticker, LIFETIME={"idle_timeout": 100})))

    await settle(1000)

    assert client.closes == []
    assert len(client.pings) >= 40
    assert len(client.texts) == pytest.approx(1000, abs=2)
    client.client_closes()
    assert await client.ended() is None


@virtual
async def test_a_frozen_client_of_an_application_that_never_listens_is_found(facts):
    client = await meet(WireClient(mount(ticker)))
    await settle(100)
    client.freeze()
    frozen = now()

    assert await client.ended() is None

    assert client.closes == [3408]
    assert now() - frozen <= 25 + 20 + 1 + TEARDOWN
    assert facts.names[-2:] == ["handler.cut_off", "connection.closed"]
    assert nothing_is_left()


# --- sends for ever ------------------------------------------------------------------------------


async def flood_at_once(scope, receive, send):
    await receive()
    await send(ACCEPT)
    while True:
        await send(TEXT)


async def flood_with_pauses(scope, receive, send):
    await receive()
    await send(ACCEPT)
    while True:
        await send(TEXT)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("application", [ticker, flood_with_pauses])
@every_server
@virtual
async def test_an_application_that_sends_for_ever_ends_soon_after_its_client(
    style, application, facts
):
    visit = await open_visit(mount(application), style=style)
    await settle(3)

    visit.client_vanishes()
    left = now()

    assert await visit.ended() is None
    assert now() - left < TEARDOWN
    (cut_off,) = facts("handler.cut_off")
    assert (cut_off.handler, cut_off.after) == ("application", 6.0)
    (closed,) = facts("connection.closed")
    assert (closed.code, closed.kind) == (1006, "lost")
    assert closed.unsent > 0
    assert nothing_is_left()


@virtual
async def test_not_even_a_flood_holds_the_loop_once_its_client_has_gone(facts):
    """Nothing waits for a server any more; but every turn of it is one of everybody's."""

    async def breathe(message):
        await asyncio.sleep(0)

    visit = Visit(mount(flood_at_once), on_send=breathe)
    for _ in range(100):  # it is never idle, so the clock stands still
        await asyncio.sleep(0)
    assert len(visit.texts) > 20

    visit.client_vanishes()
    for _ in range(1000):
        await asyncio.sleep(0)
    visit.task.cancel()

    assert isinstance(await visit.ended(), asyncio.CancelledError)
    assert 900 < facts("connection.closed")[0].unsent < 1100


@virtual
async def test_a_send_after_the_application_was_told_raises():
    async def application(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await receive()
        try:
            await send(TEXT)
        except ConnectionClosed as error:
            scope["notes"].append((isinstance(error, OSError), error.info.code))

    visit = await open_visit(mount(application))
    visit.client_closes(4001)

    assert await visit.ended() is None
    assert visit.notes == [(True, 4001)]


async def told_and_still_sending(scope, receive, send):
    await receive()
    await send(ACCEPT)
    await receive()
    await send(TEXT)


async def telling_by_a_task(scope, receive, send):
    async def talk():
        while True:
            await send(TEXT)
            await asyncio.sleep(1)

    await receive()
    await send(ACCEPT)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(talk())
        await receive()


@pytest.mark.parametrize("application", [told_and_still_sending, telling_by_a_task])
@virtual
async def test_an_application_that_ends_by_a_late_send_has_not_failed(application, facts):
    """Symptom: a traceback in the server's log for every client that merely left."""
    visit = await open_visit(mount(application), style=UVICORN)
    await settle(3)

    visit.client_closes(1000)

    assert await visit.ended() is None
    assert facts.alarms == []
    (closed,) = facts("connection.closed")
    assert (closed.code, closed.kind) == (1000, "client")


@virtual
async def test_somebody_elses_closed_connection_is_a_failure():
    """It says nothing about the application's own, which is open."""
    foreign = ConnectionClosed(None)

    async def application(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await asyncio.sleep(1)
        raise foreign

    visit = await open_visit(mount(application))

    assert await visit.ended() is foreign


# --- ignores its cancellation --------------------------------------------------------------------


@every_server
@virtual
async def test_an_application_that_ignores_its_cancellation_is_cleaned_up_without(style, facts):
    async def application(scope, receive, send):
        await receive()
        await send(ACCEPT)
        ends = now() + 100
        while now() < ends:
            try:
                await asyncio.sleep(ends - now())
            except asyncio.CancelledError:
                scope["notes"].append("ignored")
        try:
            await send(TEXT)
        except ConnectionClosed:
            scope["notes"].append("too late")

    visit = await open_visit(mount(application), style=style)
    visit.client_closes()
    await settle(TEARDOWN)

    assert nothing_is_left()
    assert visit.notes == ["ignored"]
    assert not visit.task.done()
    assert facts.names == ["connection.opened", "handler.cut_off", "connection.closed"]
    assert await visit.ended() is None
    assert visit.notes == ["ignored", "too late"]
    assert visit.texts == []


@virtual
async def test_an_application_that_fails_when_cancelled_has_failed():
    async def application(scope, receive, send):
        await receive()
        await send(ACCEPT)
        try:
            await asyncio.sleep(100)
        finally:
            raise LookupError("in its cleanup")

    visit = await open_visit(mount(application))
    visit.client_closes()

    assert repr(await visit.ended()) == "LookupError('in its cleanup')"
    assert nothing_is_left()


# --- is stuck in a send --------------------------------------------------------------------------


class Ticks(Resilient):
    async def receive(self, text_data=None, bytes_data=None):
        for _ in range(18):
            await self.send("tick")
            await self.pause(1)
        await self.send("last")
        note(self, "done")


@pytest.mark.parametrize("inside", ["plain", "mixin"])
@both_colours
@virtual
async def test_a_sender_that_is_stuck_when_its_client_is_given_up_is_told_of_the_end(
    colour, inside, facts
):
    """Symptom: the buffers had filled up late, so it was cancelled before its own deadline came."""
    consumer = plain(Ticks, colour) if inside == "plain" else build(Ticks, colour).as_asgi()

    async def block_in_the_end(message):
        if message.get("text") == "last":
            await asyncio.get_running_loop().create_future()

    client = await meet(WireClient(mount(consumer), on_send=block_in_the_end, style=UVICORN))
    await settle(100)
    client.client_sends("go")
    await settle(0.5)
    client.freeze()

    assert await come_to_an_end(client) <= BOUND
    hooks = [] if inside == "plain" else [("gave up", 3408)]
    assert client.notes == ["done", *hooks, ("disconnect", 3408)]
    assert facts("handler.cut_off") == []
    assert nothing_is_left()
