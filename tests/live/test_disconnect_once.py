"""``disconnect()`` runs exactly once, whatever ends the connection, on real servers."""

import asyncio
import signal

import pytest

from live.stage import SERVERS, do, echoes, reported, serve, until

pytestmark = pytest.mark.live

COLOURS = ["async", "sync"]
OPTIONS = {"SEND": {"deadline": 1.5}, "ERRORS": {"budget": 2}}


@pytest.fixture(params=SERVERS)
async def stage(request, tmp_path):
    async with serve(request.param, tmp_path, options=OPTIONS) as stage:
        yield stage


async def client_closes(stage, client):
    await client.close(1000)
    return (1000, "client")


async def client_closes_with_an_application_code(stage, client):
    await client.close(4321)
    return (4321, "client")


async def client_closes_without_a_code(stage, client):
    await client.close(None)
    return (1005, "client")


async def fin(stage, client):
    await client.fin()
    return (1006, "lost")


async def rst(stage, client):
    await client.rst()
    return (1006, "lost")


async def rst_while_a_handler_is_about_to_answer(stage, client):
    await do(client, "work", seconds=0.5, answers=5)
    await stage.entry(client.key, "working")
    await client.rst()
    await stage.entry(client.key, "worked")
    return (1006, "lost")


async def close_while_a_handler_is_about_to_answer(stage, client):
    await do(client, "work", seconds=0.5, answers=5)
    await stage.entry(client.key, "working")
    await client.close(1000)
    await stage.entry(client.key, "worked")
    return (1000, "client")


async def handlers_fail_beyond_the_budget(stage, client):
    for _ in range(3):
        await do(client, "boom")
    ending = await client.ended()
    assert ending.close.code == 3500
    return (3500, "error")


async def bad_json_beyond_the_budget(stage, client):
    for _ in range(3):
        await client.send_text("{")
    ending = await client.ended()
    assert ending.close.code == 3400
    return (3400, "error")


async def the_application_closes(stage, client):
    await do(client, "close", code=4001)
    ending = await client.ended()
    assert ending.close.code == 4001
    return (4001, "server")


async def the_consumer_stops(stage, client):
    await do(client, "stop")
    ending = await client.ended()
    assert ending.close.code == 1000
    return (1000, "server")


async def the_server_cancels_the_application(stage, client):
    await stage.look("/cancel", id=client.key)
    return (3512, "cancelled")


async def the_server_cancels_a_running_handler(stage, client):
    await do(client, "work", seconds=1.0)
    await stage.entry(client.key, "working")
    await stage.look("/cancel", id=client.key)
    return (3512, "cancelled")


async def an_illegal_frame(stage, client):
    """Reported as a loss, or as the server's own answer to it, which a client can send, too."""
    await client.send_frame(0x3, b"?")
    await client.ended()
    return None


ENDS = [
    client_closes,
    client_closes_with_an_application_code,
    client_closes_without_a_code,
    fin,
    rst,
    rst_while_a_handler_is_about_to_answer,
    close_while_a_handler_is_about_to_answer,
    handlers_fail_beyond_the_budget,
    bad_json_beyond_the_budget,
    the_application_closes,
    the_consumer_stops,
    the_server_cancels_the_application,
    the_server_cancels_a_running_handler,
    an_illegal_frame,
]


@pytest.mark.parametrize("colour", COLOURS)
async def test_disconnect_runs_once_whatever_ends_the_connection(stage, colour):
    """All ends on one server, one after the other: a server start costs more than a test."""
    for end in ENDS:
        client = await stage.connect(colour)
        assert await echoes(client), end.__name__

        expected = await end(stage, client)

        ended = await stage.entry(client.key, "ended", deadline=10)
        left = await stage.entry(client.key, "disconnect", deadline=10)
        await stage.looks(lambda state: state["connections"] == 0)
        if expected:
            expected = reported(stage.server.name, *expected)
        elif ended["code"] == 1002:
            expected = {"kind": "client", "certain": False}
        else:
            expected = reported(stage.server.name, 1006, "lost")
        assert expected.items() <= ended.items(), end.__name__
        assert left["code"] == ended["code"], end.__name__
        assert left["type"] == "int", end.__name__
        assert len(stage.entries(client.key, "disconnect")) == 1, end.__name__
        assert len(stage.entries(client.key, "ended")) == 1, end.__name__
        await client.aclose()
    state = await stage.looks(lambda state: not state["members"])
    assert state["members"] == 0
    assert "Exception inside application" not in stage.log()
    # Uvicorn logs the two cancellations, which go on to whoever asked for them.
    assert stage.log().count("Exception in ASGI application") in (0, 2)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", [name for name in SERVERS if name != "granian"])
async def test_a_terminated_server_calls_disconnect_for_every_socket(name, colour, tmp_path):
    """Without a drain. Granian's process just goes then; with one, see the tests of that."""
    async with serve(name, tmp_path) as stage:
        clients = [await stage.connect(colour) for _ in range(20)]
        for client in clients:
            assert await echoes(client)
        # Daphne's own shutdown fails for a second after a handshake; that is not ours to mend.
        await asyncio.sleep(1.5)

        stage.server.process.send_signal(signal.SIGTERM)

        await until(lambda: len(stage.entries(event="disconnect")) == 20, 8)
        for client in clients:
            assert len(stage.entries(client.key, "disconnect")) == 1
            await client.aclose()


@pytest.mark.parametrize("name", SERVERS)
async def test_a_handler_that_outlives_its_client_by_far_is_cut_off(name, tmp_path):
    options = {"TEARDOWN": {"timeout": 2.0}}
    async with serve(name, tmp_path, options=options) as stage:
        client = await stage.connect()
        await do(client, "work", seconds=60)
        await stage.entry(client.key, "working")

        await client.rst()

        await stage.entry(client.key, "disconnect", deadline=3.0)
        assert stage.entries(client.key, "worked") == []
        assert stage.events()["handler.cut_off"] == 1


@pytest.mark.parametrize("name", SERVERS)
async def test_a_sleeping_sync_handler_holds_up_disconnect_but_not_the_groups(name, tmp_path):
    options = {"TEARDOWN": {"timeout": 1.0}}
    async with serve(name, tmp_path, options=options) as stage:
        client = await stage.connect("sync")
        await do(client, "work", seconds=4)
        await stage.entry(client.key, "working")

        await client.rst()

        state = await stage.looks(lambda state: not state["connections"], deadline=3.0)
        assert (state["connections"], state["members"]) == (0, 0)
        assert stage.entries(client.key, "disconnect") == []
        await stage.entry(client.key, "disconnect", deadline=6.0)
        await asyncio.sleep(0.3)
        assert len(stage.entries(client.key, "disconnect")) == 1
