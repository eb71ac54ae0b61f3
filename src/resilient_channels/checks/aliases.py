"""Whether consumers name a channel layer that there is."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from channels.consumer import AsyncConsumer
from django.conf import settings
from django.core.checks import CheckMessage, Error

from ..mixins import find_consumers
from .identifiers import APP

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTRIBUTE = "channel_layer_alias"


def find_alias_messages() -> Iterator[CheckMessage]:
    """E008, for every consumer class that has been imported."""
    known = [str(alias) for alias in getattr(settings, "CHANNEL_LAYERS", None) or ()]
    # One message per class that says it, not per class that inherits it.
    for owner in dict.fromkeys(_find_owner(cls) for cls in find_consumers()):
        alias = vars(owner)[ATTRIBUTE]
        # A project without any layer need not change Channels' default, and None asks for none.
        if not isinstance(alias, str) or alias in (AsyncConsumer.channel_layer_alias, *known):
            continue
        close = get_close_matches(alias, known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Add {alias!r} to CHANNEL_LAYERS."
        yield Error(
            f"{owner.__module__}.{owner.__qualname__}.{ATTRIBUTE} is {alias!r}, which is not in "
            "CHANNEL_LAYERS: the consumer gets no layer, and nothing says so until it is used.",
            hint=hint,
            id=f"{APP}.E008",
        )


def _find_owner(consumer: type) -> type:
    return next(cls for cls in consumer.__mro__ if ATTRIBUTE in vars(cls))
