"""On real servers: what cannot be edited has a heartbeat, bounds and one end all the same."""

import asyncio
import time

import pytest

from live.silence import BOUND, HEARTBEAT, LONG, check_given_up, vanish
from live.stage import do, echoes, on_every_server, reported, until
from tour.client import Refused
from tour.heart import PROTOCOL, Heart

pytestmark = pytest.mark.live

APPLICATION = "live.middleware_application"
STRANGERS = ["async", "sync", "bare"]
OPTIONS = {"HEARTBEAT": HEARTBEAT}


async def nothing_is_left(stage):
    state = await stage.looks(lambda state: not (state["connections"] or state["members"]))
    return (state["connections"], state["members"]) == (0, 0)


@on_every_server(application=APPLICATION, options=OPTIONS)
async def test_a_frozen_peer_is_found_in_time_and_the_application_is_told(stage):
    bystanders = [await stage.speaker(path) for path in STRANGERS]
    idle = [await stage.speaker(path) for path in STRANGERS]
    working = [await stage.speaker(path) for path in ("async", "sync")]
    flooded = await stage.speaker("async", receive_buffer=4096)
    frozen = [*idle, *working, flooded]

    for client in working:
        await do(client, "work", seconds=BOUND, answers=3)
        await stage.entry(client.key, "working")
    await do(flooded, "flood")
    await stage.entry(flooded.key, "flooding")
    since = {client.key: await vanish(client) for client in frozen}

    for client in frozen:
        limit = since[client.key] + BOUND + 1 - time.monotonic()
        closing = await stage.entry(client.key, "closing", limit)
        assert closing["code"] == 3408
        assert closing["at"] - since[client.key] <= BOUND
        left = await stage.entry(client.key, "disconnect", deadline=BOUND + 5)
        assert (left["code"], left["type"]) == (3408, "int")
        assert len(stage.entries(client.key, "disconnect")) == 1
    for client in bystanders:
        assert await echoes(client)
        await client.close(1000)
        await stage.entry(client.key, "disconnect")
    assert await nothing_is_left(stage)
    assert await until(lambda: stage.events()["heartbeat.timeout"] == len(frozen))
    assert "Traceback" not in stage.log()
    for client in (*frozen, *bystanders):
        await client.aclose()


@on_every_server(application=APPLICATION)
async def test_disconnect_runs_although_a_send_came_too_late(stage):
    """On plain Uvicorn the consumer is ended by the exception that such a send raises."""

    async def check(path, end, *told):
        client = await stage.connect(path)
        await do(client, "work", seconds=0.5, answers=5)
        await stage.entry(client.key, "working")
        await end(client)
        await stage.entry(client.key, "worked")
        left = await stage.entry(client.key, "disconnect")
        code = reported(stage.server.name, *told)["code"]
        assert (left["code"], left["type"]) == (code, "int"), (path, end)
        assert len(stage.entries(client.key, "disconnect")) == 1
        await client.aclose()

    for path in ("async", "sync"):
        await check(path, lambda client: client.rst(), 1006, "lost")
        await check(path, lambda client: client.close(4321), 4321, "client")
    assert await nothing_is_left(stage)
    assert "Traceback" not in stage.log()


@on_every_server(application=APPLICATION)
async def test_an_application_is_told_the_same_on_every_server(stage):
    ends = {
        (1000, "client"): lambda client: client.close(1000),
        (4321, "client"): lambda client: client.close(4321),
        (1005, "client"): lambda client: client.close(None),
        (1006, "lost"): lambda client: client.rst(),
    }
    for path in STRANGERS:
        for told, end in ends.items():
            client = await stage.connect(path)
            assert await echoes(client)
            await end(client)
            left = await stage.entry(client.key, "disconnect")
            code = reported(stage.server.name, *told)["code"]
            assert (left["code"], left["type"]) == (code, "int"), path
            await client.aclose()
    for path in ("async", "sync"):
        with pytest.raises(Refused):
            await stage.connect(path, key=f"refused-{path}", query={"refuse": "yes"})
        # What a refused handshake has for a code is the server's own affair.
        code = {"hypercorn": 1000, "granian": 1005}.get(stage.server.name, 1006)
        assert (await stage.entry(f"refused-{path}", "disconnect"))["code"] == code
    assert await nothing_is_left(stage)
    assert stage.events()["connection.refused"] == 2


@on_every_server(application=APPLICATION, options=OPTIONS)
async def test_the_application_sees_its_own_subprotocols_and_the_client_its_heartbeat(stage):
    offer, query = ["resilient.v1.chat", PROTOCOL, "old"], {"subprotocol": "chat"}

    client = await stage.connect(subprotocols=offer, query=query, heart=Heart())

    assert client.subprotocol == "resilient.v1.chat"
    assert (await stage.entry(client.key, "connect"))["subprotocols"] == ["chat", "old"]
    assert await until(lambda: len(client.heart.heard("ping")) >= 2)
    assert client.heart.frames[0]["type"] == "hello"
    assert await echoes(client)
    await client.aclose()


@on_every_server(application=APPLICATION, options={**OPTIONS, "TEARDOWN": {"timeout": 2.0}})
async def test_an_application_that_never_listens_keeps_its_client_and_ends_without_it(stage):
    client = await stage.speaker("bare")
    await do(client, "stream")
    await stage.entry(client.key, "streaming")

    given_up = time.monotonic() + LONG
    while time.monotonic() < given_up:
        await client.recv()
    assert client.heart.answered >= 2
    await client.rst()

    await stage.entry(client.key, "cancelled", deadline=3)
    assert await nothing_is_left(stage)
    assert stage.events()["handler.cut_off"] == 1
    assert stage.events()["heartbeat.timeout"] == 0
    assert "Traceback" not in stage.log()


@on_every_server(application=APPLICATION, options=OPTIONS)
async def test_a_resilient_consumer_inside_takes_over(stage):
    clients = [await stage.speaker(path) for path in ("inside", "hidden")]
    for client in clients:
        assert await until(lambda client=client: client.heart.answered >= 2, LONG)
        assert len(client.heart.heard("hello")) == 1
        numbers = [ping["n"] for ping in client.heart.heard("ping")]
        assert numbers == list(range(1, len(numbers) + 1))
        await do(client, "boom")
        assert await echoes(client)
        await do(client, "rtt")
        assert (await client.recv_json())["rtt"] < 1
    assert (await stage.look())["connections"] == 2

    frozen = {client.key: await vanish(client) for client in clients}

    await asyncio.gather(*(check_given_up(stage, client, frozen[client.key]) for client in clients))
    assert await nothing_is_left(stage)
    events = stage.events()
    assert events["connection.opened"] == events["connection.closed"] == 2
    assert events["heartbeat.timeout"] == 2
    for client in clients:
        await client.aclose()
