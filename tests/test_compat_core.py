"""Canaries for ``channels_redis.core``: they die first when it changes within.

Each test names something that ``compat/layers.py`` leans on. If one fails after an upgrade, look
there. A broker is not needed: its client is stood in for, the layers are the real ones.
"""

import asyncio
from collections import defaultdict

import pytest
from channels.layers import BaseChannelLayer, InMemoryChannelLayer

from resilient_channels import compat
from resilient_channels.layers import ResilientChannelLayer
from support.layers import ScriptedLayer
from support.loop import virtual
from support.scripted_core import ScriptedCore

core = pytest.importorskip("channels_redis.core")
pubsub = pytest.importorskip("channels_redis.pubsub")

HOSTS = [{"address": "redis://127.0.0.1:1"}]


class StandIn:
    """The client of a broker, as far as ``channels_redis.core`` uses it to receive.

    Attributes:
        reads: the time limits of the blocking reads.
        fails: what cleaning up after a message raises.
    """

    def __init__(self):
        self.queues = defaultdict(asyncio.Queue)
        self.reads = []
        self.fails = None
        self.blocks = None

    async def eval(self, script, keys, *args):
        return None

    async def bzpopmin(self, key, timeout):  # noqa: ASYNC109  # as redis-py has it
        self.reads.append(timeout)
        try:
            async with asyncio.timeout(timeout):
                return key, await self.queues[key].get(), 1.0
        except TimeoutError:
            return None

    async def zadd(self, key, members):
        return None

    async def zpopmin(self, key):
        if self.blocks is not None:
            await self.blocks.wait()
        if self.fails is not None:
            raise self.fails


@pytest.fixture
def layer(monkeypatch):
    """The layer of channels_redis, with a client that is stood in for."""
    layer = core.RedisChannelLayer(hosts=HOSTS)
    client = StandIn()
    monkeypatch.setattr(layer, "connection", lambda index: client)
    layer.client = client
    return layer


def put(layer, queue, message, address):
    content = layer.serialize({**message, "__asgi_channel__": address})
    layer.client.queues[layer.prefix + queue].put_nowait(content)


# --- how core is known, and what its names are -----------------------------------------------


def test_core_and_its_like_keep_one_queue_and_others_do_not():
    subclass = type("Ours", (core.RedisChannelLayer,), {})

    assert compat.keeps_one_queue(core.RedisChannelLayer(hosts=HOSTS))
    assert compat.keeps_one_queue(subclass(hosts=HOSTS))
    assert compat.keeps_one_queue(ScriptedCore())
    for other in (pubsub.RedisPubSubChannelLayer(hosts=HOSTS), InMemoryChannelLayer()):
        assert not compat.keeps_one_queue(other)
    assert not compat.keeps_one_queue(ScriptedLayer())
    assert not compat.keeps_one_queue(ResilientChannelLayer())


def test_every_instance_of_core_is_a_process_of_its_own():
    first, second = (core.RedisChannelLayer(hosts=HOSTS) for _ in range(2))

    assert compat.find_process_prefix(first) != compat.find_process_prefix(second)


@virtual
async def test_a_new_channel_of_core_has_a_prefix_the_process_and_a_name(layer):
    channel = await layer.new_channel("specific.1")

    local, mark, name = channel.partition("!")
    assert (local, mark) == (f"specific.1.{compat.find_process_prefix(layer)}", "!")
    assert name
    assert "." not in name  # as the names of a hub's own lines have
    assert (await layer.new_channel()).startswith("specific.")


def test_the_queue_of_a_channel_is_its_name_up_to_the_mark():
    assert BaseChannelLayer().non_local_name("specific.abc!g.1") == "specific.abc!"
    assert core.RedisChannelLayer.non_local_name is BaseChannelLayer.non_local_name


def test_a_hubs_own_names_keep_to_the_grammar_and_the_length_of_the_specification(layer):
    prefix = compat.find_process_prefix(layer)

    for kind in ("specific", "specific.999"):
        assert layer.require_valid_channel_name(f"{kind}.{prefix}!g.{10**9}")


# --- receiving -------------------------------------------------------------------------------


@virtual
async def test_a_message_of_core_comes_with_the_one_channel_or_the_list_it_is_for(layer):
    queue = f"specific.{layer.client_prefix}!"
    put(layer, queue, {"type": "one"}, f"{queue}a")
    put(layer, queue, {"type": "many"}, [f"{queue}a", f"{queue}b"])

    assert await compat.receive_single(layer, queue) == (f"{queue}a", {"type": "one"})
    many = await compat.receive_single(layer, queue)
    assert many == ([f"{queue}a", f"{queue}b"], {"type": "many"})
    await layer.wait_received()


def test_a_group_message_of_core_is_addressed_by_the_list_of_its_channels(layer):
    channels = [f"specific.{layer.client_prefix}!g.{number}" for number in range(2)]

    _, contents, _ = layer._map_channel_keys_to_connection(channels, {"type": "news"})

    (content,) = contents.values()
    assert layer.deserialize(content) == {"type": "news", "__asgi_channel__": channels}


@virtual
async def test_core_cleans_up_in_a_task_that_it_keeps_where_we_look(layer):
    queue = f"specific.{layer.client_prefix}!"
    put(layer, queue, {"type": "one"}, f"{queue}a")

    await compat.receive_single(layer, queue)

    assert [isinstance(cleaner, asyncio.Task) for cleaner in layer.receive_cleaners] == [True]
    await layer.wait_received()
    assert layer.receive_cleaners == []


@virtual
async def test_a_failure_of_that_task_is_looked_at(layer):
    """The loop of this test complains about every failure that nobody has looked at."""
    queue = f"specific.{layer.client_prefix}!"
    layer.client.fails = ConnectionError("gone")
    put(layer, queue, {"type": "one"}, f"{queue}a")

    await compat.receive_single(layer, queue)
    await layer.wait_received()


@virtual
async def test_the_next_read_waits_for_that_task_unless_it_is_abandoned(layer):
    queue = f"specific.{layer.client_prefix}!"
    layer.client.blocks = asyncio.Event()
    for kind in ("one", "two"):
        put(layer, queue, {"type": kind}, f"{queue}a")
    await compat.receive_single(layer, queue)

    reading = asyncio.ensure_future(compat.receive_single(layer, queue))
    await asyncio.sleep(60)
    assert not reading.done()
    compat.abandon_cleaners(layer)

    assert (await reading)[1] == {"type": "two"}
    layer.client.blocks.set()
    await layer.wait_received()


@virtual
async def test_core_reads_for_as_long_as_we_say(layer):
    queue = f"specific.{layer.client_prefix}!"
    assert core.RedisChannelLayer.brpop_timeout == 5
    layer.brpop_timeout = 2

    reading = asyncio.ensure_future(compat.receive_single(layer, queue))
    await asyncio.sleep(5)
    reading.cancel()
    await asyncio.wait({reading})

    assert layer.client.reads == [2, 2, 2]


@virtual
async def test_a_cancelled_read_of_core_leaves_its_queue_to_the_next(layer):
    queue = f"specific.{layer.client_prefix}!"
    reading = asyncio.ensure_future(compat.receive_single(layer, queue))
    await asyncio.sleep(0.1)
    reading.cancel()
    await asyncio.wait({reading})
    put(layer, queue, {"type": "one"}, f"{queue}a")

    assert (await compat.receive_single(layer, queue))[1] == {"type": "one"}
    await layer.wait_received()


@pytest.mark.parametrize(
    ("host", "seconds"),
    [
        ({}, 2),
        ({"socket_timeout": None}, 2),
        ({"socket_timeout": 30}, 2),
        ({"socket_timeout": 4}, 2),
        ({"socket_timeout": 2.5}, 1),
        ({"socket_timeout": 1}, 0.5),
        ({"address": "redis://h?socket_timeout=3"}, 1),
        ({"address": "redis://h?socket_timeout=3", "socket_timeout": 30}, 1),
        ({"address": ("h", 6379), "socket_timeout": 3}, 1),
        ({"socket_timeout": "nonsense"}, 2),
    ],
    ids=repr,
)
def test_a_read_ends_before_the_clients_own_time_limit(host, seconds):
    hosts = [{"address": "redis://127.0.0.1:1", **host}, *HOSTS]
    layer = core.RedisChannelLayer(hosts=hosts)

    compat.shorten_blocking_reads(layer)

    assert layer.brpop_timeout == seconds


@pytest.mark.parametrize(
    "host", ["redis://h:1", ("h", 1), {"address": "redis://h:1", "socket_timeout": 3}], ids=repr
)
def test_the_hosts_of_core_are_dicts_whatever_was_written(host):
    for known in core.RedisChannelLayer(hosts=[host]).hosts:
        assert isinstance(known, dict)
        assert known.get("socket_timeout") == (3 if isinstance(host, dict) else None)
