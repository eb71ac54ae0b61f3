"""What the checks warn of happens on a real Redis, and not with what their hints say instead."""

import asyncio
import os
import sys
import time
from importlib import metadata

import pytest
from channels.layers import ChannelLayerManager
from django.test import override_settings

from resilient_channels.checks import (
    CORE_LAYER,
    HUB,
    PUBSUB_LAYER,
    check_deployment,
    check_layers,
)
from tour.brokers import Broker, available

pytestmark = [
    pytest.mark.live,
    pytest.mark.redis,
    # In CI nothing is skipped: the broker says there what is missing.
    pytest.mark.skipif(
        not available() and "CI" not in os.environ, reason="redis-server is not installed"
    ),
]

EVENT = {"type": "news"}
REDIS_PY = metadata.version("redis")
REDIS_PY_RELEASE = tuple(int(part) for part in REDIS_PY.split(".")[:2])
RETRIES_CONNECTING = REDIS_PY_RELEASE >= (7, 2)
"""Older ones try again what was sent on a dead connection, but not a connect that is refused."""


class Case:
    """A layer as configured, and what the checks say about the configuration."""

    def __init__(self, backend, **config):
        with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": backend, "CONFIG": config}}):
            messages = [*check_layers(), *check_deployment()]
            self.layer = ChannelLayerManager().make_backend("default")
        self.told = {message.id.partition(".")[2] for message in messages}
        self.heard = []
        self.in_hub = backend == HUB
        self._memberships = []
        self._tasks = []

    @classmethod
    def behind_hub(cls, backend, **config):
        return cls(HUB, BACKEND=backend, CONFIG=config)

    async def join(self, group):
        """Put a channel of its own into *group*, and keep what it hears in ``heard``."""
        channel = await self.layer.new_channel()
        await self.layer.group_add(group, channel)
        self._memberships.append((group, channel))
        self._tasks.append(asyncio.create_task(self._listen(channel)))

    async def _listen(self, channel):
        while True:
            self.heard.append(await self.layer.receive(channel))

    async def close(self):
        """Receive no more, and let go of the connections."""
        layer = self.layer
        if self.in_hub:
            for membership in self._memberships:
                await layer.group_discard(*membership)
        await cancelled(*self._tasks)
        if self.in_hub:
            # A hub that nobody uses takes its leave of the broker by itself.
            await until(lambda: not any(map(is_supervisor, asyncio.all_tasks())), 5)
            await layer.close()
            layer = layer.upstream
        await getattr(layer, "close_pools", layer.flush)()


def is_supervisor(task):
    return task.get_name() == "resilient_channels.supervisor"


async def cancelled(*tasks):
    """Cancel tasks, and wait for their ends."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(holds, within):
    """Whether *holds* becomes true in time."""
    give_up = time.monotonic() + within
    while not holds():
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(0.02)
    return True


class Cases(list):
    """Several cases, whose layers are closed in the end; an async context manager."""

    def __init__(self, *cases):
        super().__init__(cases)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        for case in sorted(self, key=lambda case: case.in_hub):
            await case.close()

    def told(self, number):
        """Of whom a check speaks."""
        return [number in case.told for case in self]

    def send(self):
        """Calls that send to the group of everybody, to be awaited."""
        return [case.layer.group_send("room", EVENT) for case in self]

    async def send_until(self, holds, within):
        """Send again and again, whether it fails or not."""
        give_up = time.monotonic() + within
        while not holds():
            assert time.monotonic() < give_up
            await failures(self.send())
            await asyncio.sleep(0.1)


@pytest.fixture
async def broker():
    async with Broker() as broker:
        yield broker


def address(broker):
    return broker.host["address"]


async def failures(calls):
    """Which calls raise."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [isinstance(result, Exception) for result in results]


@pytest.mark.skipif(REDIS_PY_RELEASE < (8,), reason="is about redis-py 8 and newer")
async def test_w001_an_idle_read_fails_unless_the_hint_is_followed(broker):
    value = None if sys.version_info < (3, 12) else 15
    async with Cases(
        Case(CORE_LAYER, hosts=[address(broker)]),
        Case(CORE_LAYER, hosts=[("127.0.0.1", broker.port)]),
        Case(CORE_LAYER, hosts=[{"address": address(broker), "socket_timeout": value}]),
        Case.behind_hub(CORE_LAYER, hosts=[address(broker)]),
    ) as cases:
        reads = []
        for case in cases:
            channel = await case.layer.new_channel()
            reads.append(asyncio.create_task(case.layer.receive(channel)))
        await asyncio.wait(reads, timeout=6.5)
        failed = [type(read.exception()).__name__ if read.done() else None for read in reads]
        await cancelled(*reads)

    assert failed == ["TimeoutError", "TimeoutError", None, None]
    assert cases.told("W001") == [True, True, False, False]


async def test_w002_and_i001_a_restart_is_survived_by_an_asynchronous_retry_alone(broker):
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry as SyncRetry

    plan = (ExponentialBackoff(cap=0.2, base=0.05), 100)
    host = {"address": address(broker), "socket_timeout": None}
    async with Cases(
        Case(CORE_LAYER, hosts=[host]),
        Case(CORE_LAYER, hosts=[{**host, "retry": SyncRetry(*plan)}]),
        Case(CORE_LAYER, hosts=[{**host, "retry": Retry(*plan)}]),
        Case.behind_hub(CORE_LAYER, hosts=[host]),
    ) as cases:
        await asyncio.gather(*cases.send())

        await broker.kill()
        calls = [asyncio.ensure_future(call) for call in cases.send()]
        assert await until(lambda: calls[0].done() and calls[1].done(), 3)
        still_trying = [not call.done() for call in calls]
        await broker.restart()
        failed = await failures(calls)

    assert still_trying == [False, False, RETRIES_CONNECTING, True]
    assert failed == [True, True, not RETRIES_CONNECTING, False]
    assert cases.told("I001") == [True, False, False, False]
    assert cases.told("W002") == [False, True, False, False]


async def test_w003_the_callbacks_of_pubsub_are_not_called_in_an_outage(broker):
    called = []
    callbacks = {
        "on_disconnect": lambda *_: called.append("disconnect"),
        "on_reconnect": lambda *_: called.append("reconnect"),
    }
    async with Cases(Case(PUBSUB_LAYER, hosts=[address(broker)], **callbacks)) as cases:
        [case] = cases
        await case.join("room")
        await asyncio.gather(*cases.send())
        assert await until(lambda: case.heard, 3)

        await broker.kill()
        assert await failures(cases.send()) == [True]  # the layer has noticed
        await broker.restart()
        case.heard.clear()
        await cases.send_until(lambda: case.heard, 10)  # it has its subscription back

    assert called == []
    assert cases.told("W003") == [True]


@pytest.mark.skipif(REDIS_PY != "8.1.0", reason="is about redis-py 8.1.0")
@pytest.mark.parametrize("backend", [CORE_LAYER, PUBSUB_LAYER], ids=["core", "pubsub"])
async def test_w007_a_closed_connection_is_handed_out_unless_the_hint_is_followed(
    backend, tmp_path
):
    path = tmp_path / "redis.sock"
    async with Broker(options=("--unixsocket", str(path))) as broker:
        host = {"address": address(broker), "socket_timeout": None}
        async with Cases(
            Case(backend, hosts=[host]),
            Case(backend, hosts=[{**host, "protocol": 3}]),
            Case(backend, hosts=[{**host, "protocol": 2}]),
            Case(backend, hosts=[f"{host['address']}?protocol=2"]),
            Case(backend, hosts=[f"unix://{path}"]),
            Case(backend, hosts=[{**host, "retry_on_timeout": True}]),
            Case.behind_hub(backend, hosts=[host]),
        ) as cases:
            await asyncio.gather(*cases.send())

            await broker.client_kill_idle()
            await broker.command("PING")  # with its answer the ends of the others are here, too
            failed = await failures(cases.send())

    assert failed == [True, True, *[False] * 5]
    assert cases.told("W007") == failed


IDLE_LIMIT = 2.0


class Forgetful:
    """A load balancer that forgets links which were idle, and tells neither end."""

    def __init__(self, target_port):
        self._target_port = target_port
        self._serving = set()
        self._reset = asyncio.Event()
        self.forgotten = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error):
        self._server.close()
        await self.reset()

    async def reset(self):
        """Tear down every link, those that were forgotten too; new ones are served."""
        self._reset.set()
        await asyncio.gather(*self._serving)
        self._reset = asyncio.Event()

    async def _serve(self, reader, writer):
        self._serving.add(asyncio.current_task())
        reset = self._reset
        there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        last = [time.monotonic()]
        pumps = [
            asyncio.create_task(self._pump(reader, back, last)),
            asyncio.create_task(self._pump(there, writer, last)),
        ]
        while not reset.is_set() and not any(pump.done() for pump in pumps):
            if time.monotonic() - last[0] > IDLE_LIMIT:
                self.forgotten += 1
                await cancelled(*pumps)
                await reset.wait()
            await asyncio.sleep(0.02)
        await cancelled(*pumps)
        for end in (writer, back):
            end.transport.abort()
        self._serving.discard(asyncio.current_task())

    @staticmethod
    async def _pump(reader, writer, last):
        while data := await reader.read(65536):
            last[0] = time.monotonic()
            writer.write(data)


@override_settings(RESILIENT_CHANNELS={"LAYER": {"probe": 0.5}})
async def test_w008_a_link_that_is_dropped_while_idle_leaves_a_process_deaf():
    async with (
        Broker(tls=True) as broker,
        Forgetful(broker.target_port) as silent,
        Forgetful(broker.target_port) as asking,
        Forgetful(broker.target_port) as probing,
    ):
        hosts = [
            {**broker.host_at(link.port), "socket_timeout": None}
            for link in (silent, asking, probing)
        ]
        hosts[1]["health_check_interval"] = 0.5
        sender = {**broker.host, "socket_timeout": None}
        async with (
            Cases(
                Case(PUBSUB_LAYER, hosts=hosts[:1]),
                Case(PUBSUB_LAYER, hosts=hosts[1:2]),
                Case.behind_hub(PUBSUB_LAYER, hosts=hosts[2:]),
            ) as cases,
            Cases(Case(PUBSUB_LAYER, hosts=[sender])) as elsewhere,
        ):
            deaf, *others = cases
            for case in cases:
                await case.join("room")
            assert await until(lambda: silent.forgotten, IDLE_LIMIT + 3)

            await asyncio.gather(*elsewhere.send())
            assert await until(lambda: all(case.heard for case in others), 3)
            assert not await until(lambda: deaf.heard, 1)

            # It would have noticed a loss that somebody tells it of.
            await silent.reset()
            await elsewhere.send_until(lambda: deaf.heard, 10)

    assert cases.told("W008") == [True, False, False]


async def test_w009_a_member_drops_out_of_a_group_that_expires(broker):
    host = {"address": address(broker), "socket_timeout": None}
    short = {"hosts": [host], "group_expiry": 1, "prefix": "short"}
    long = {"hosts": [host], "prefix": "long"}
    kept = {"hosts": [host], "group_expiry": 1, "prefix": "kept"}
    async with (
        Cases(
            Case(CORE_LAYER, **short), Case(CORE_LAYER, **long), Case.behind_hub(CORE_LAYER, **kept)
        ) as cases,
        # The hub serves members of its own process even if Redis knows of none.
        Cases(*(Case(CORE_LAYER, **config) for config in (short, long, kept))) as elsewhere,
    ):
        for case in cases:
            await case.join("room")
        await asyncio.gather(*elsewhere.send())
        assert await until(lambda: all(case.heard for case in cases), 3)

        give_up = time.monotonic() + 5
        while await broker.command("EXISTS", "short:group:room"):
            assert time.monotonic() < give_up
            await asyncio.sleep(0.02)
        for case in cases:
            case.heard.clear()
        await asyncio.gather(*elsewhere.send())
        dropped, *others = cases
        assert await until(lambda: all(case.heard for case in others), 3)
        assert not await until(lambda: dropped.heard, 1)

    assert cases.told("W009") == [True, False, False]
