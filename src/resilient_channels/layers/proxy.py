"""What a consumer sees as ``self.channel_layer``: the layer itself, but for six of its methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import LayerClient
    from .hub_client import HubClient

GUARDED = frozenset({"new_channel", "receive", "send", "group_add", "group_discard", "group_send"})


class LayerProxy:
    """Passes for the layer in every respect: attributes, class, equality."""

    __slots__ = ("_client", "_layer")

    def __init__(self, layer: Any, client: LayerClient | HubClient) -> None:
        object.__setattr__(self, "_layer", layer)
        object.__setattr__(self, "_client", client)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._layer, name)  # AttributeError, if the layer has no such thing
        return getattr(self._client, name) if name in GUARDED else attribute

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._layer, name, value)

    @property
    def __class__(self) -> type:
        return type(self._layer)

    @__class__.setter
    def __class__(self, value: type) -> None:
        raise TypeError("the class of a channel layer cannot be changed")

    def __eq__(self, other: object) -> bool:
        return bool(self._layer == getattr(other, "_layer", other))

    def __hash__(self) -> int:
        return hash(self._layer)

    def __repr__(self) -> str:
        return repr(self._layer)
