"""Canaries for channel layers: they die first when Channels or channels_redis changes within.

Each test names something that ``compat/layers.py`` leans on. If one fails after an upgrade, look
there. A broker is not needed: its client is stood in for, the layers are the real ones.
"""

import inspect
import threading

import pytest
from channels.layers import BaseChannelLayer, InMemoryChannelLayer, channel_layers

from resilient_channels import compat
from resilient_channels.compat import layers as compat_layers
from resilient_channels.layers import ResilientChannelLayer
from support.ids import named
from support.layers import ScriptedLayer, installed
from support.loop import virtual
from support.scripted_core import ScriptedCore

core = pytest.importorskip("channels_redis.core")
pubsub = pytest.importorskip("channels_redis.pubsub")

HOSTS = [{"address": "redis://127.0.0.1:1"}]


# --- bytes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [core.RedisChannelLayer, pubsub.RedisPubSubChannelLayer])
def test_both_layers_of_channels_redis_say_what_they_cannot_put_into_bytes(make):
    layer = make(hosts=HOSTS)

    compat.check_message(layer, ("room", {"type": "news", "list": [1, None, "x"]}))
    with pytest.raises(TypeError):
        compat.check_message(layer, ("room", {"type": "news", "x": threading.Lock()}))


@pytest.mark.parametrize("layer", [InMemoryChannelLayer(), object()], ids=["memory", "other"])
def test_of_other_layers_nothing_is_known(layer):
    compat.check_message(layer, ("room", {"type": "news", "x": threading.Lock()}))


def test_the_options_of_a_layer_are_read_without_asking_it():
    layer = core.RedisChannelLayer(hosts=HOSTS, expiry=7, capacity=8, group_expiry=9)
    names = ("expiry", "capacity", "group_expiry", "channel_capacity")
    assert [compat.read_option(layer, name) for name in names] == [7, 8, 9, []]

    other = pubsub.RedisPubSubChannelLayer(hosts=HOSTS)  # asks for a running loop, if asked
    assert [compat.read_option(other, name) for name in names] == [None] * 4


def test_the_capacities_of_core_are_compiled_as_ours_are():
    layer = core.RedisChannelLayer(hosts=HOSTS, channel_capacity={"http.*": 3})

    assert layer.channel_capacity == BaseChannelLayer().compile_capacities({"http.*": 3})
    assert layer.get_capacity("http.request") == 3


# --- several hosts ---------------------------------------------------------------------------


def make_numbers():
    count = iter(range(10_000))
    return lambda: f"rc.{next(count)}"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_group_for_each_host_of_core_is_a_group_on_each_host(count):
    layer = core.RedisChannelLayer(hosts=HOSTS * count)

    names = compat.name_a_group_per_host(layer, make_numbers())

    assert {layer.consistent_hash(name) for name in names} == set(range(count))
    assert len(names) == count


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_a_group_for_each_host_of_pubsub_is_a_group_on_each_host(count):
    layer = pubsub.RedisPubSubChannelLayer(hosts=HOSTS * count)

    names = compat.name_a_group_per_host(layer, make_numbers())

    inner = layer._get_layer()
    shards = [inner._get_shard(inner._get_group_channel_name(name)) for name in names]
    assert len(names) == len({id(shard) for shard in shards}) == count


def test_any_other_layer_has_one_host():
    for layer in (InMemoryChannelLayer(), ScriptedLayer(), object()):
        assert compat.name_a_group_per_host(layer, make_numbers()) == ("rc.0",)


# --- links -----------------------------------------------------------------------------------


async def test_the_links_of_pubsub_are_where_they_are_dropped():
    layer = pubsub.RedisPubSubChannelLayer(hosts=HOSTS * 2)
    dropped = []

    class Connection:
        def __init__(self, fails):
            self.fails = fails

        async def disconnect(self, nowait):
            dropped.append(nowait)
            if self.fails:
                raise OSError("long gone")

    inner = layer._get_layer()
    for number, shard in enumerate(inner._shards):
        assert shard._pubsub is None
        shard._ensure_redis()
        assert shard._pubsub.connection is None
        shard._pubsub.connection = Connection(fails=number == 0)

    await compat.drop_silent_links(layer)

    assert dropped == [True, True]
    for shard in inner._shards:
        shard._pubsub.connection = None


@pytest.mark.parametrize("layer", [ScriptedLayer(), ScriptedCore(), object()], ids=named)
@virtual
async def test_other_layers_have_no_links_that_are_ours_to_drop(layer):
    await compat.drop_silent_links(layer)


def test_a_connection_of_redis_py_can_be_dropped_without_a_wait():
    connection = pytest.importorskip("redis.asyncio.connection")

    parameters = inspect.signature(connection.AbstractConnection.disconnect).parameters

    assert "nowait" in parameters


@pytest.mark.parametrize(
    ("methods", "called"),
    [
        (("close_pools", "close"), "close_pools"),
        (("close",), "close"),
        (("flush",), None),  # would delete what is others' too
        ((), None),
    ],
)
@virtual
async def test_a_layer_is_closed_by_the_method_that_it_has_for_it(methods, called):
    calls = []

    def make(name):
        async def method(self):
            calls.append(name)

        return method

    layer = type("Layer", (), {name: make(name) for name in methods})()

    await compat.close_layer(layer)

    assert calls == [called] * (called is not None)


async def test_core_and_pubsub_are_closed():
    for make in (core.RedisChannelLayer, pubsub.RedisPubSubChannelLayer):
        await compat.close_layer(make(hosts=HOSTS))
    assert hasattr(core.RedisChannelLayer, "close_pools")
    assert pubsub.RedisPubSubChannelLayer.__module__ == compat_layers.PUBSUB


# --- which layer is which --------------------------------------------------------------------


def test_only_channels_own_in_memory_layer_is_replaced():
    assert compat.is_plain_in_memory(InMemoryChannelLayer)
    assert not compat.is_plain_in_memory(type("Ours", (InMemoryChannelLayer,), {}))


def test_a_layer_is_found_under_its_alias():
    layer = ScriptedLayer()
    with installed(layer, "elsewhere"):
        assert compat.find_alias(layer) == "elsewhere"
        assert channel_layers.backends["elsewhere"] is layer
    assert compat.find_alias(layer) == "default"


@pytest.mark.parametrize(
    ("layer", "has"),
    [
        (InMemoryChannelLayer(), True),
        (core.RedisChannelLayer(hosts=HOSTS), True),
        (ResilientChannelLayer(), True),
        (BaseChannelLayer(), True),
        (type("Groupless", (BaseChannelLayer,), {"extensions": []})(), False),
        (object(), False),
    ],
)
def test_layers_with_groups_are_known(layer, has):
    assert compat.has_groups(layer) is has
