"""A thousand sockets, each in a shared group and one of its own, and a Redis that is restarted."""

import asyncio
import os
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from itertools import cycle, islice

import pytest
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from live.fleet.consumers import say
from live.fleet.listeners import Listeners
from live.fleet.peers import meet
from live.fleet.processes import CORE, PUBSUB, hub, serving
from live.stage import until
from tour.brokers import Broker, available

pytestmark = [
    pytest.mark.live,
    pytest.mark.redis,
    pytest.mark.skipif(
        not available() and "CI" not in os.environ, reason="redis-server is not installed"
    ),
]

SHARED = "everybody"
AT_ONCE = 40
ATTEMPTS = 4
# To so many groups a message goes four times a second, and a while longer than must be.
SAMPLE, PAUSE, PULSES_AFTER_ALL_IS_WELL = 20, 0.25, 6
BARE = {CORE: RedisChannelLayer, PUBSUB: RedisPubSubChannelLayer}
on_both = pytest.mark.parametrize(
    ("backend", "limit"), [(CORE, 2.0), (PUBSUB, 4.0)], ids=["core", "pubsub"]
)


class Town:
    """Listeners on one server, and somebody elsewhere who sends to their groups."""

    def __init__(self, broker, backend, stage, listeners, speaker, groups):
        self.stage = stage
        self.speaker = speaker
        self.restarts = 0
        self.listeners = listeners
        self._broker = broker
        self._is_core = backend == CORE
        self._layer = BARE[backend](hosts=[{**broker.host, "socket_timeout": None}])
        self._members = defaultdict(list)
        for number, mine in enumerate(groups):
            for group in mine:
                self._members[group].append(number)
        self._all = self._members.keys()

    async def aclose(self):
        await (self._layer.close_pools() if self._is_core else self._layer.flush())

    async def restart_redis(self, seconds):
        """Kill it, and start it again, empty; returns when, by the machine's clock."""
        await self.aclose()  # whoever sends here begins anew, and no connection fails
        await self._broker.kill()
        killed = time.monotonic()
        # An application says something now and then. Without that, the layer over pub/sub would
        # not notice before the next probe.
        event = say("in the outage")
        speaking = asyncio.create_task(
            self.speaker.ask("safe_group_send", "nobody", event, deadline=30)
        )
        assert await until(lambda: self.stage.events()["layer.down"] > self.restarts, 8)
        await asyncio.sleep(seconds - (time.monotonic() - killed))
        await self._broker.start()
        returned = time.monotonic()
        assert await speaking in ("sent", "timed out")
        self.restarts += 1
        return returned

    async def joined(self, deadline=30):
        """Wait until every group is joined: a handshake waits only so long for that."""
        give_up = time.monotonic() + deadline
        while (known := await self._count_groups()) < len(self._all):
            assert time.monotonic() < give_up, f"{known} of {len(self._all)} groups were joined"
            await asyncio.sleep(0.05)

    async def _count_groups(self):
        if self._is_core:
            count = "return #redis.call('KEYS', ARGV[1])"
            groups = await self._broker.command("EVAL", count, 0, "asgi:group:*")
            return groups - await self._broker.command("EVAL", count, 0, "asgi:group:rc.*")
        channels = await self._broker.command("PUBSUB", "CHANNELS", "asgi__group__*")
        return sum(b"__rc." not in channel for channel in channels)

    async def resumed(self, title, returned, deadline=30):
        """Send to some until well after the layer is said to be up; returns from when on all heard.

        In seconds after *returned*. What was sent later than that has arrived, all of it.
        """
        own = cycle(sorted(self._all - {SHARED}))
        sent = []
        left = PULSES_AFTER_ALL_IS_WELL
        while left:
            assert time.monotonic() < returned + deadline, "the layer was not up again"
            at = time.monotonic() - returned
            some = [SHARED, *islice(own, SAMPLE)]
            await asyncio.gather(
                *(self._send(group, f"{title}:{len(sent)}/{group}") for group in some)
            )
            sent.append((at, some))
            left -= self.stage.events()["layer.up"] == self.restarts
            await asyncio.sleep(PAUSE)
        await self._all_of(title, {f"{len(sent) - 1}/{group}": group for group in sent[-1][1]})
        heard = await self.listeners.heard(title)
        lost = [
            number
            for number, (_, some) in enumerate(sent)
            if self._who_missed(heard, {f"{number}/{group}": group for group in some})
        ]
        return sent[lost[-1] + 1][0] if lost else sent[0][0]

    async def everybody_hears(self, title):
        """Send one message to each group, once, and wait until all have heard all of theirs."""
        groups = list(self._all)
        while groups:
            some, groups = groups[:AT_ONCE], groups[AT_ONCE:]
            await asyncio.gather(*(self._send(group, f"{title}:{group}") for group in some))
            while await self._count_queued() > AT_ONCE:
                await asyncio.sleep(0.01)
        await self._all_of(title, {group: group for group in self._all})

    async def _count_queued(self):
        """How much waits for the process. The layer drops what comes when it is 100."""
        if not self._is_core:
            return 0
        count = """
            local queued = 0
            for _, key in ipairs(redis.call('KEYS', 'asgispecific*')) do
                queued = queued + redis.call('ZCARD', key)
            end
            return queued
        """
        return await self._broker.command("EVAL", count, 0)

    async def _send(self, group, text):
        await self._layer.group_send(group, say(text))

    async def _all_of(self, title, texts, deadline=30):
        give_up = time.monotonic() + deadline
        while missed := self._who_missed(await self.listeners.heard(title), texts):
            assert time.monotonic() < give_up, f"{len(missed)} missed one, such as {missed[0]}"
            await asyncio.sleep(0.1)

    def _who_missed(self, heard, texts):
        """Which listeners lack which of *texts*, each given with its group."""
        return [
            (number, text)
            for text, group in texts.items()
            for number in self._members[group]
            if text not in heard[number]
        ]


@asynccontextmanager
async def town(broker, tmp_path, backend, groups):
    async with (
        serving("uvicorn", tmp_path, hub(broker, backend)) as stage,
        Listeners(stage.server.port, "/resilient/async/", groups) as listeners,
    ):
        speaker = await meet(stage, "resilient/async")
        there = Town(broker, backend, stage, listeners, speaker, groups)
        try:
            await there.joined()
            yield there
        finally:
            await there.aclose()
            await speaker.aclose()


@pytest.fixture
async def broker():
    async with Broker() as broker:
        yield broker


def about_the_layer(stage):
    """The levels and names of our records about it."""
    lines = [line.split() for line in stage.log().splitlines()]
    return [f"{line[0]} {line[2]}" for line in lines if line[1:2] == ["resilient_channels.layer"]]


async def check_restarts(there, limit, sockets):
    """Restart Redis until the process was in time once: a machine that is busy only adds to it.

    All the rest has to hold each time.
    """
    took = []
    while not took or min(took) > limit:
        assert len(took) < ATTEMPTS, f"receiving again after {took} s"
        number = len(took) + 1
        returned = await there.restart_redis(3)
        took.append(await there.resumed(f"pulse {number}", returned))
        await there.everybody_hears(f"after {number}")

        assert await there.listeners.look() == {"open": sockets, "endings": {}}
        both = ["WARNING layer.down", "INFO layer.up"]
        assert about_the_layer(there.stage) == both * number
    print(f"{sockets} sockets received again after {', '.join(f'{each:.2f}' for each in took)} s")
    assert "Exception in ASGI application" not in there.stage.log()


@on_both
async def test_a_thousand_sockets_receive_again_in_time_with_two_records(
    backend, limit, broker, tmp_path
):
    groups = [[SHARED, f"own.{n}"] for n in range(1_000)]
    async with town(broker, tmp_path, backend, groups) as there:
        await there.everybody_hears("before")

        await check_restarts(there, limit, sockets=1_000)


@on_both
async def test_five_thousand_groups_of_a_few_are_all_joined_again(backend, limit, broker, tmp_path):
    groups = [[SHARED, *(f"own.{n}.{m}" for m in range(100))] for n in range(50)]
    async with town(broker, tmp_path, backend, groups) as there:
        await check_restarts(there, 3 * limit, sockets=50)
