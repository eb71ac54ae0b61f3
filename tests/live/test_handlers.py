"""Handlers that take too long, on real servers: ended, told of, and named. And one that errs."""

import asyncio
import os
import signal

import pytest

from live.stage import do, echoes, on_every_server, until

pytestmark = pytest.mark.live

everywhere = on_every_server(options={"HANDLER": {"deadline": 1.0, "stall_after": 0.5}})


@everywhere
async def test_a_handler_beyond_its_deadline_ends_and_the_connection_goes_on(stage):
    client = await stage.connect()

    await do(client, "work", seconds=60)

    assert await echoes(client)
    assert stage.entries(client.key, "worked") == []
    assert stage.events()["handler.error"] == 1
    log = stage.log()
    assert "error=TimeoutError" in log
    assert 'await asyncio.sleep(content["seconds"])' in log
    await client.aclose()


@everywhere
async def test_a_synchronous_one_is_told_of_and_ends_by_itself(stage):
    client = await stage.connect("sync")

    await do(client, "work", seconds=2.5)

    await stage.entry(client.key, "worked")
    assert await echoes(client)
    events = stage.events()
    assert (events["handler.overdue"], events["handler.stalled"], events["handler.error"]) == (
        *(1, 1, 0),
    )
    assert 'where="sync thread"' in stage.log()
    await client.aclose()


@everywhere
async def test_whoever_blocks_the_event_loop_is_named_while_it_does(stage):
    client, neighbour = await stage.connect(), await stage.speaker()

    await do(client, "block", seconds=3.0)

    assert await until(lambda: stage.events()["handler.stalled"] == 1, 4.0)
    assert stage.entries(client.key, "blocked") == []
    log = stage.log()
    assert 'handler=websocket.receive where="event loop"' in log
    assert 'time.sleep(content["seconds"])' in log
    await stage.entry(client.key, "blocked")
    assert await echoes(neighbour)
    assert stage.events()["handler.stalled"] == 1
    for one in (client, neighbour):
        await one.aclose()


@on_every_server()
async def test_a_second_accept_is_the_handlers_mistake_and_ends_no_connection(stage):
    for colour in ("async", "sync"):
        client = await stage.connect(colour)

        for _ in range(3):
            await do(client, "accept")

        assert await echoes(client), colour
        assert stage.entries(client.key, "ended") == []
        await client.aclose()
    assert stage.events()["handler.error"] == 6


@on_every_server(options={"HANDLER": {"stall_after": 2.0}})
async def test_a_process_that_was_stopped_has_nobody_to_blame(stage):
    client = await stage.connect()
    await do(client, "block", seconds=1.0)
    await stage.entry(client.key, "blocking")

    os.kill(stage.server.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(4)
    finally:
        os.kill(stage.server.pid, signal.SIGCONT)

    await stage.entry(client.key, "blocked")
    assert await echoes(client)
    assert stage.events()["handler.stalled"] == 0
    await client.aclose()
