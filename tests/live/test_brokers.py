"""Each fault of our Redis is a real one: a bare client meets it, without any layer in between."""

import asyncio
import os
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis import exceptions
from redis.asyncio import ConnectionPool, sentinel

from tour.brokers import Broker, available
from tour.eviction import evict
from tour.proxy import FaultProxy
from tour.sentinels import NAME, Failover

pytestmark = [
    pytest.mark.live,
    pytest.mark.redis,
    pytest.mark.skipif(
        not available() and "CI" not in os.environ, reason="redis-server is not installed"
    ),
]

SOON = 0.4


class Bare:
    """One connection that neither retries nor opens itself again."""

    def __init__(self, host, password=None):
        parts = urlsplit(host["address"])
        location = parts.netloc if password is None else f":{password}@{parts.netloc}"
        options = {name: value for name, value in host.items() if name != "address"}
        address = urlunsplit(parts._replace(netloc=location))
        self._connection = ConnectionPool.from_url(address, **options).make_connection()

    async def ask(self, *words, within=5.0):
        if not self._connection.is_connected:
            raise exceptions.ConnectionError("this one stays closed")
        async with asyncio.timeout(within):
            await self._connection.send_command(*words)
            return await self._connection.read_response()

    async def connect(self):
        await self._connection.connect()
        await self.ask("PING")

    async def close(self):
        await self._connection.disconnect(nowait=True)
        await asyncio.sleep(0)  # the socket is closed in the loop's next turn


@asynccontextmanager
async def bare(host, password=None):
    client = Bare(host, password)
    try:
        await client.connect()
        yield client
    finally:
        await client.close()


async def says_once(host, *words):
    async with bare(host) as client:
        return await client.ask(*words)


@asynccontextmanager
async def unanswered(question):
    """Ask, find that no answer comes, and go on with the question open."""
    asking = asyncio.create_task(question)
    try:
        await asyncio.wait({asking}, timeout=SOON)
        assert not asking.done(), "there was an answer"
        yield asking
    finally:
        asking.cancel()
        await asyncio.wait({asking})


async def until(holds, deadline=5.0):
    async with asyncio.timeout(deadline):
        while not await holds():
            await asyncio.sleep(0.02)


@pytest.fixture
async def broker():
    async with Broker() as broker:
        yield broker


async def test_a_killed_broker_refuses_connections_and_comes_back_empty(broker):
    async with bare(broker.host) as client:
        await client.ask("SET", "key", "value")

        await broker.kill()

        with pytest.raises((exceptions.ConnectionError, OSError)):
            await client.ask("PING")
    with pytest.raises((exceptions.ConnectionError, OSError)):
        await says_once(broker.host, "PING")
    await broker.start()
    assert await says_once(broker.host, "GET", "key") is None


async def test_a_persistent_broker_still_has_everything_after_sigkill():
    async with Broker(persistent=True) as broker:
        async with bare(broker.host) as client:
            for n in range(200):
                await client.ask("SET", f"key{n}", "value")
            await broker.kill()

        await broker.start()

        assert await says_once(broker.host, "DBSIZE") == 200


async def test_client_kill_cuts_connections_that_are_open(broker):
    async with bare(broker.host) as client:
        killed = await broker.client_kill(None)

        assert killed == 1
        with pytest.raises((exceptions.ConnectionError, OSError)):
            await client.ask("PING")
    assert await says_once(broker.host, "PING")


async def test_flushall_leaves_connections_and_takes_keys(broker):
    async with bare(broker.host) as client:
        await client.ask("SET", "key", "value")

        await broker.flushall()

        assert await client.ask("GET", "key") is None


async def test_a_frozen_broker_answers_nobody_and_then_everybody(broker):
    async with bare(broker.host) as client:
        broker.freeze()

        async with unanswered(client.ask("PING")) as asking:
            broker.thaw()

            assert await asking in (b"PONG", "PONG")
        assert await says_once(broker.host, "PING")


async def test_a_proxy_resets_every_link_to_the_broker(broker):
    async with FaultProxy(broker.target_port) as proxy:
        async with bare(broker.host_at(proxy.port)) as client:
            proxy.cut()

            with pytest.raises((exceptions.ConnectionError, OSError)):
                await client.ask("PING")
        assert await says_once(broker.host_at(proxy.port), "PING")


async def test_a_proxy_swallows_everything_with_the_connection_open(broker):
    async with (
        FaultProxy(broker.target_port) as proxy,
        bare(broker.host_at(proxy.port)) as client,
    ):
        proxy.drop()

        async with unanswered(client.ask("SET", "key", "lost")) as asking:
            proxy.resume()

            # What was open stays dead, and nobody says so; what is new is as good as ever.
            assert await says_once(broker.host_at(proxy.port), "GET", "key") is None
            assert not asking.done()


async def test_a_failover_makes_an_empty_replica_the_master():
    async with Failover() as redis:
        watch = sentinel.Sentinel(redis.host["sentinels"])
        assert await watch.discover_master(NAME) == ("127.0.0.1", redis.master.port)
        async with bare(redis.master.host) as client:
            await client.ask("SET", "key", "value")
            await until(lambda: has(redis.replica, "key"))

            await redis.fail_over()

            with pytest.raises((exceptions.ConnectionError, OSError)):
                await client.ask("PING")
        assert redis.current is redis.replica
        assert await watch.discover_master(NAME) == ("127.0.0.1", redis.replica.port)
        assert await says_once(redis.current.host, "GET", "key") is None
        assert await says_once(redis.current.host, "SET", "key", "again")
        for each in watch.sentinels:
            await each.aclose()


async def has(broker, key):
    return await says_once(broker.host, "EXISTS", key) == 1


async def test_a_broker_with_a_timeout_closes_idle_connections_and_no_blocked_ones(broker):
    await broker.configure(timeout=1)
    async with bare(broker.host) as idle, bare(broker.host) as blocked:
        name = await idle.ask("CLIENT", "ID")
        waiting = asyncio.create_task(blocked.ask("BLPOP", "list", 10, within=12))

        await until(lambda: is_gone(broker, name), 6)

        with pytest.raises((exceptions.ConnectionError, OSError)):
            await idle.ask("PING")
        await broker.command("RPUSH", "list", "value")
        assert (await waiting)[1] in (b"value", "value")


async def is_gone(broker, name):
    clients = (await broker.command("CLIENT", "LIST")).decode().splitlines()
    return not any(client.startswith(f"id={name} ") for client in clients)


async def test_idle_tls_links_are_dropped_and_blocked_ones_stay():
    async with Broker(tls=True) as broker, bare(broker.host) as idle, bare(broker.host) as blocked:
        waiting = asyncio.create_task(blocked.ask("BLPOP", "list", 10, within=12))
        await until(lambda: is_blocked(broker))

        killed = await broker.client_kill_idle()

        assert killed == 1
        with pytest.raises((exceptions.ConnectionError, OSError)):
            await idle.ask("PING")
        await broker.command("RPUSH", "list", "value")
        assert (await waiting)[1] in (b"value", "value")


async def is_blocked(broker):
    return await broker.blocked() == 1


async def test_a_broker_out_of_memory_refuses_writes_and_nothing_else(broker):
    async with bare(broker.host) as client:
        await client.ask("SET", "key", "value")
        await broker.run_out_of_memory()

        with pytest.raises(exceptions.ResponseError, match="maxmemory"):
            await client.ask("SET", "key", "other")
        assert await client.ask("GET", "key") in (b"value", "value")
        await broker.have_memory()

        assert await client.ask("SET", "key", "other")


async def test_a_full_broker_evicts_the_keys_one_names_and_no_others(broker):
    async with bare(broker.host) as client:
        for n in range(30):
            await client.ask("ZADD", f"group{n}", 1, f"member{n}")
            await client.ask("EXPIRE", f"group{n}", 1000)

        await evict(broker, "group3", "group17")

        left = {key.decode() for key in await broker.command("KEYS", "*")}
        assert left == {f"group{n}" for n in range(30)} - {"group3", "group17"}
        assert (await broker.info("stats"))["evicted_keys"] >= 2
        assert 0 < await client.ask("TTL", "group4") <= 1000
        assert await client.ask("SET", "key", "value")


async def test_a_changed_password_cuts_everybody_and_lets_in_who_knows_it(broker):
    async with bare(broker.host) as client:
        await broker.change_password("open sesame")

        with pytest.raises((exceptions.ConnectionError, OSError)):
            await client.ask("PING")
    with pytest.raises(exceptions.RedisError, match=r"(?i)authenticat"):
        await says_once(broker.host, "PING")
    async with bare(broker.host, "open%20sesame") as client:
        assert await client.ask("PING")
    await broker.change_password(None)
    assert await says_once(broker.host, "PING")
