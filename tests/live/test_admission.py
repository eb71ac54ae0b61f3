"""On every server: no more come in than may, and the others are told so in words they know."""

import asyncio
import json

import pytest

from live.doors import every_server, knock, look, looks, serve
from live.stage import until
from tour import client as websocket
from tour.client import Close, Refused, Text
from tour.heart import PROTOCOL, Heart

pytestmark = pytest.mark.live

TOO_MANY = "connection.refused too many at once"
PATHS = ["async", "sync", "plain", "both"]
ADDRESSED = {"trusted_proxies": ["127.0.0.0/8"]}


def limits(**options):
    return json.dumps({"LIMITS": options})


async def connect(server, path, *, user=None, address=None, speaks=False):
    """A client that is in; raises ``Refused`` if it is not."""
    query = {} if user is None else {"user": user}
    # On the left is what anybody may write.
    headers = {} if address is None else {"X-Forwarded-For": f"6.6.6.6, {address}"}
    own = {"subprotocols": [PROTOCOL], "heart": Heart()} if speaks else {}
    client = await websocket.connect(server.port, f"/{path}/", query=query, headers=headers, **own)
    client.path = path
    return client


async def is_in(client):
    await client.send_text("hello")
    received = await client.recv()
    return isinstance(received, Text) and received.data == "hello"


async def leave(*clients):
    for client in clients:
        await client.close(1000)
        await client.aclose()


def has_room(state):
    return not state["seats"]


async def is_empty(server):
    state = await looks(server.port, lambda state: not (state["seats"] or state["connections"]))
    return (state["seats"], state["connections"]) == (0, 0)


async def refusal(connecting):
    """The status and headers that a handshake is refused with."""
    with pytest.raises(Refused) as caught:
        await connecting
    return caught.value.status, caught.value.headers


async def told(client):
    """The last control frame that a client of the protocol got, and how it was closed."""
    ending = await client.ended()
    assert ending.close is not None
    return client.heart.frames[-1], ending.close.code


@every_server
async def test_one_connection_too_many_is_refused(name, tmp_path):
    options = limits(connections_per_user=2, connections_per_address=2, **ADDRESSED)
    status = 403 if name == "daphne" else 429
    async with serve(name, tmp_path, options) as server:
        for path in PATHS:
            for who in ({"user": "1"}, {"address": "192.0.2.1"}, {"address": "2001:db8::1"}):
                inside = [await connect(server, path, **who) for _ in range(2)]

                assert (await refusal(connect(server, path, **who)))[0] == status
                late = await connect(server, path, speaks=True, **who)
                bye, code = await told(late)
                assert (bye["type"], bye["code"], bye["verdict"]) == ("bye", 3428, "never")
                assert code == 3428

                assert all([await is_in(client) for client in inside])
                await leave(*inside, late)
                assert (await looks(server.port, has_room))["seats"] == 0
        assert await is_empty(server)
        # A refusal is counted at its very end, for which some servers have to be waited.
        counts = (await look(server.port))["counts"]
        log = server.log_text()

    assert counts["connection.refused user limit"] == 2 * len(PATHS)
    assert counts["connection.refused address limit"] == 4 * len(PATHS)
    assert "Traceback" not in log


@every_server
async def test_the_newest_wins_if_it_is_to(name, tmp_path):
    options = limits(connections_per_user=1, when_full="newest_wins")
    async with serve(name, tmp_path, options) as server:
        for path in PATHS:
            first = await connect(server, path, user="1", speaks=True)
            plain = await connect(server, path, user="2")

            second = await connect(server, path, user="1")
            other = await connect(server, path, user="2")

            bye, code = await told(first)
            assert (bye["code"], bye["verdict"], code) == (3409, "never", 3409)
            assert (await plain.ended()).close == Close(3409, "")
            assert await is_in(second)
            assert await is_in(other)
            await leave(first, plain, second, other)
            assert await is_empty(server)
        log = server.log_text()

    assert "Traceback" not in log


@every_server
async def test_a_hundred_at_once_are_never_more_than_the_limit(name, tmp_path):
    options = limits(connections_per_user=7, connections_per_address=9, **ADDRESSED)
    async with serve(name, tmp_path, options) as server:

        async def come(number):
            user = "1" if number % 2 else f"u{number}"
            path = PATHS[number % len(PATHS)]
            try:
                return await connect(server, path, user=user, address="192.0.2.1")
            except Refused:
                return None

        clients = await asyncio.gather(*(come(number) for number in range(100)))
        inside = [client for client in clients if client is not None]

        assert len(inside) == 9
        assert all([await is_in(client) for client in inside])
        await leave(*inside)
        assert await is_empty(server)
        log = server.log_text()

    assert "Traceback" not in log


@every_server
async def test_too_many_in_a_second_are_told_to_come_back_at_different_times(name, tmp_path):
    async with serve(name, tmp_path, limits(new_per_second=0.5, new_burst=4)) as server:
        inside = [await connect(server, path) for path in PATHS]
        answers = await asyncio.gather(*(knock(server.port, f"/{path}/") for path in PATHS * 3))
        late = [connect(server, PATHS[n % 4], speaks=True) for n in range(20)]
        late = await asyncio.gather(*late)
        assert await until(lambda: sum(bool(client.heart.heard("bye")) for client in late) >= 15)
        ends = [await told(client) for client in late if client.heart.heard("bye")]
        # Some servers never report the end of a handshake, and are not waited for any longer.
        state = await looks(server.port, lambda state: state["counts"].get(TOO_MANY, 0) >= 25)
        log = server.log_text()
        await leave(*inside, *late)
        assert await is_empty(server)

    statuses = [answer.status for answer in answers]
    assert set(statuses) <= {101, 403 if name == "daphne" else 503}
    assert statuses.count(101) <= 2  # while that took its time
    if name != "daphne":
        waits = [int(answer.headers["retry-after"]) for answer in answers if answer.status == 503]
        assert len(set(waits)) > 2
        assert all(1 <= seconds <= 90 for seconds in waits)
    assert {(bye["type"], bye["code"], bye["verdict"], code) for bye, code in ends} == {
        ("bye", 3503, "backoff", 3503)
    }
    assert len({bye["after_ms"] for bye, _ in ends}) >= len(ends) - 2
    assert state["counts"][TOO_MANY] >= 25
    assert "Traceback" not in log
