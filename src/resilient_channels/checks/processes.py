"""Whether processes can see each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from .configured import IN_MEMORY_LAYER, Layer
from .identifiers import APP

if TYPE_CHECKING:
    from collections.abc import Iterator


def find_process_messages(layer: Layer) -> Iterator[CheckMessage]:
    """W005."""
    if settings.DEBUG or layer.backend not in ("", IN_MEMORY_LAYER):
        return
    if not layer.in_hub:
        what = "the in-memory layer"
    elif layer.backend:
        what = "the hub around the in-memory layer"
    else:
        what = "the hub without a BACKEND"
    yield Warning(
        f"CHANNEL_LAYERS[{layer.alias!r}] is {what} and DEBUG is off: a group message reaches only "
        "the process that sent it. With several workers most clients miss it, and from a "
        "management command or a task queue all of them.",
        hint="Use channels_redis, or make sure that there is exactly one process.",
        id=f"{APP}.W005",
    )
