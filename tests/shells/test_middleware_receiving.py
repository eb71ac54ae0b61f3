"""Applications behind the middleware that call ``receive()`` when, and as often as, they like."""

import asyncio

import pytest

from resilient_channels.registry import registry
from shells.mounts import ACCEPT, mount, nothing_is_left
from shells.visits import Visit, now, open_visit, settle
from support.loop import virtual
from support.servers import ALL_STYLES

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)

TEARDOWN = 8.0


@every_server
@virtual
async def test_who_asks_after_the_end_is_told_again(style):
    async def application(scope, receive, send):
        await receive()
        await send(ACCEPT)
        for _ in range(4):
            scope["notes"].append(await receive())

    visit = await open_visit(mount(application), style=style)
    visit.client_closes(4001)
    left = now()

    assert await visit.ended() is None
    assert [(end["type"], end["code"]) for end in visit.notes] == [
        ("websocket.disconnect", 4001)
    ] * 4
    assert now() - left < 1


@virtual
async def test_who_asks_for_ever_stops_nobody_and_ends(facts):
    """Symptom: a loop that knew frames only kept the event loop to itself, for good."""

    async def application(scope, receive, send):
        while True:
            message = await receive()
            if message["type"] == "websocket.connect":
                await send(ACCEPT)
            scope["notes"].append(message["type"])

    visit = await open_visit(mount(application))
    visit.client_closes()
    left = now()

    assert await visit.ended() is None
    assert now() - left < TEARDOWN
    assert len(visit.notes) < 100
    assert facts.names[-2:] == ["handler.cut_off", "connection.closed"]
    assert nothing_is_left()


@virtual
async def test_polling_loses_nothing_and_keeps_nothing():
    """Symptom: one future was kept for each look, as long as the client was silent."""

    async def application(scope, receive, send):
        while True:
            try:
                message = await asyncio.wait_for(receive(), 0.25)
            except TimeoutError:
                continue
            scope["notes"].append(message.get("text", message["type"]))
            if message["type"] == "websocket.connect":
                await send(ACCEPT)
            if message["type"] == "websocket.disconnect":
                return

    visit = await open_visit(mount(application))
    for number in range(300):
        visit.client_sends(str(number))
        await settle(0.125)
    await settle(1000)
    (passage,) = registry
    assert len(passage.intake._waiters) < 5

    await visit.leave()
    frames = [str(number) for number in range(300)]
    assert visit.notes == ["websocket.connect", *frames, "websocket.disconnect"]


@virtual
async def test_two_tasks_may_wait_at_once():
    async def application(scope, receive, send):
        async def reader(name):
            while (message := await receive())["type"] != "websocket.disconnect":
                scope["notes"].append(message["text"])
            scope["notes"].append(name)

        await receive()
        await send(ACCEPT)
        await asyncio.gather(reader("one"), reader("two"))

    visit = await open_visit(mount(application))
    for number in range(20):
        visit.client_sends(str(number))
    await settle(1)
    await visit.leave()

    assert sorted(visit.notes[:20], key=int) == list(map(str, range(20)))
    assert sorted(visit.notes[20:]) == ["one", "two"]


@pytest.mark.parametrize("fails", [True, False])
@virtual
async def test_a_task_that_outlives_the_application_is_told_too(fails):
    """Symptom: it waited for ever, and nobody knew of it."""
    left_behind = []

    async def application(scope, receive, send):
        async def straggler():
            return await receive()

        await receive()
        await send(ACCEPT)
        left_behind.append(asyncio.ensure_future(straggler()))
        await asyncio.sleep(1)
        if fails:
            raise LookupError

    visit = await open_visit(mount(application))
    await visit.ended()

    message = await asyncio.wait_for(left_behind[0], 5)
    assert message["type"] == "websocket.disconnect"
    assert message["code"] == (1011 if fails else 1000)
    assert nothing_is_left()


@virtual
async def test_who_asks_for_the_first_time_when_all_is_over_is_told():
    asked = []

    async def application(scope, receive, send):
        asked.append(receive)
        raise LookupError

    visit = Visit(mount(application))
    await visit.ended()

    assert (await asyncio.wait_for(asked[0](), 5))["type"] == "websocket.disconnect"
    assert visit.received == []
    assert nothing_is_left()
