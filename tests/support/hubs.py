"""Scripted layers bare and behind a hub, and how to look at either in the same way."""

from typing import Any

import pytest
from channels.layers import channel_layers

from resilient_channels.layers import ResilientChannelLayer
from resilient_channels.layers.hub import Hub
from support.layers import ScriptedLayer
from support.scripted_core import ScriptedCore

AnyLayer = ScriptedLayer | ScriptedCore

BARE, GENERIC, CORE = SETUPS = ("bare", "hub", "core-hub")
KINDS: dict[str, type[Any]] = {BARE: ScriptedLayer, GENERIC: ScriptedLayer, CORE: ScriptedCore}

on_a_bare_layer = pytest.mark.parametrize("layer", [BARE], indirect=True)
on_hubs = pytest.mark.parametrize("layer", [GENERIC, CORE], indirect=True)


def make_layer(setup: str) -> Any:
    """A scripted layer of the kind that *setup* has at its bottom."""
    return KINDS[setup]()


def around(layer: AnyLayer, **config: Any) -> ResilientChannelLayer:
    """A hub around *layer*."""
    return ResilientChannelLayer(BACKEND=lambda: layer, **config)  # type: ignore[arg-type]


def find_hub(layer: AnyLayer) -> Hub | None:
    """What the running loop has to do with *layer*, if a hub around it is installed."""
    for installed in channel_layers.backends.values():
        if isinstance(installed, ResilientChannelLayer) and installed.upstream is layer:
            return installed.get_hub()
    return None


def reached(layer: AnyLayer, group: str) -> set[str]:
    """The channels that a message to *group* reaches by now, a hub's own members among them."""
    channels = layer.members(group)
    hub = find_hub(layer)
    ours = None if hub is None else hub.channel_for(group)
    if hub is None or ours not in channels:
        return channels
    return (channels - {ours}) | set(hub.directory.groups.get(group, ()))
