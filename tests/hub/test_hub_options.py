"""How a hub is made: what it wraps, and whose options are its own."""

import pytest
from channels.layers import InMemoryChannelLayer

from resilient_channels.layers import ResilientChannelLayer
from support.hubs import around
from support.layers import ScriptedLayer
from support.scripted_core import ScriptedCore


def test_a_layer_is_wrapped_by_its_path_or_its_class():
    for backend in ("support.scripted_core.ScriptedCore", ScriptedCore):
        hub = ResilientChannelLayer(BACKEND=backend, CONFIG={"group_expiry": 77})

        assert type(hub.upstream) is ScriptedCore
        assert hub.upstream.group_expiry == hub.group_expiry == 77


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, (7, 8.0)),
        ({"capacity": 3}, (3, 8.0)),
        ({"expiry": 4}, (7, 4)),
    ],
)
def test_its_options_are_the_wrapped_layers_unless_it_is_told_otherwise(given, found):
    hub = ResilientChannelLayer(
        BACKEND=ScriptedLayer, CONFIG={"capacity": 7, "expiry": 8.0}, **given
    )

    assert (hub.capacity, hub.expiry) == found


def test_alone_its_options_are_those_of_the_specification():
    hub = ResilientChannelLayer()

    assert (hub.upstream, hub.capacity, hub.expiry, hub.group_expiry) == (None, 100, 60, 86_400)
    assert hub.extensions == ["groups", "flush"]


def test_channels_own_in_memory_layer_is_replaced_and_its_options_are_kept():
    config = {"capacity": 7, "expiry": 8, "channel_capacity": {"http.*": 3}}
    hub = ResilientChannelLayer(BACKEND=InMemoryChannelLayer, CONFIG=config)

    assert hub.upstream is None
    assert (hub.capacity, hub.expiry) == (7, 8)
    assert (hub.get_capacity("http.x"), hub.get_capacity("other")) == (3, 7)


def test_a_layer_derived_from_it_is_wrapped():
    class Ours(InMemoryChannelLayer):
        pass

    assert type(ResilientChannelLayer(BACKEND=Ours).upstream) is Ours


def test_an_option_that_the_wrapped_layer_does_not_know_is_its_error():
    with pytest.raises(TypeError, match="nonsense"):
        ResilientChannelLayer(BACKEND=ScriptedCore, CONFIG={"nonsense": 1})
    with pytest.raises(TypeError, match="nonsense"):
        ResilientChannelLayer(nonsense=1)
    with pytest.raises(ImportError):
        ResilientChannelLayer(BACKEND="no.such.layer")


def test_what_it_does_not_have_is_looked_up_on_the_wrapped_layer():
    hub = around(ScriptedCore())

    assert hub.client_prefix == hub.upstream.client_prefix
    with pytest.raises(AttributeError, match="ScriptedCore"):
        getattr(hub, "nonsense")  # noqa: B009
    with pytest.raises(AttributeError, match="ResilientChannelLayer"):
        getattr(ResilientChannelLayer(), "nonsense")  # noqa: B009
    assert repr(hub.upstream) in repr(hub)


def test_the_reads_of_a_layer_with_one_queue_are_made_short():
    assert around(ScriptedCore()).upstream.brpop_timeout == 2
    limited = ResilientChannelLayer(
        BACKEND=ScriptedCore, CONFIG={"hosts": [{"socket_timeout": 2.0}]}
    )
    assert limited.upstream.brpop_timeout == 1
