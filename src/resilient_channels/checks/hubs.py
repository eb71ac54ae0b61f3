"""What is wrong with a hub's entry in ``CHANNEL_LAYERS``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from .configured import CORE_LAYER, PUBSUB_LAYER, HubEntry, is_hub, path_of
from .identifiers import APP

OPTIONS = ("BACKEND", "CONFIG", "capacity", "expiry", "channel_capacity")
METHODS = ("new_channel", "send", "receive", "group_add", "group_discard", "group_send")

OF_REDIS = frozenset(
    {
        "hosts",
        "prefix",
        "group_expiry",
        "symmetric_encryption_keys",
        "random_prefix_length",
        "serializer_format",
        "on_disconnect",
        "on_reconnect",
    }
)
"""Options of channels_redis: in the hub's own ``CONFIG`` they are one level too high."""


def find_hub_messages(hub: HubEntry) -> Iterator[CheckMessage]:
    """E003 to E007."""
    if not isinstance(hub.config, Mapping):
        yield _error("E003", f"{hub.where} is not a dict.", f"Write {_example()}.")
        return
    for key in hub.config:
        if key not in OPTIONS:
            yield _unknown(hub, str(key))
    options = hub.config.get("CONFIG")
    if options is not None and not isinstance(options, Mapping):
        yield _error(
            "E003",
            f"{hub.where}['CONFIG'] is not a dict.",
            "It holds the options of the wrapped layer, by name.",
        )
    backend = hub.config.get("BACKEND")
    if backend is not None:
        yield from _find_backend_messages(hub, backend)
    elif options:
        yield _error(
            "E006",
            f"{hub.where}['CONFIG'] has options, but there is no {hub.where}['BACKEND'] to give "
            "them to: nobody reads them, and the hub stays within one process.",
            f"Write {_example()}, or take the inner CONFIG away.",
        )


def _unknown(hub: HubEntry, key: str) -> CheckMessage:
    message = f"{hub.where} has no option {key!r}."
    if key in OF_REDIS:
        return _error("E003", message, f"It goes one level deeper: {hub.where}['CONFIG'][{key!r}].")
    # The keys differ in case more than in letters.
    known = {option.lower(): option for option in OPTIONS}
    close = get_close_matches(key.lower(), known, n=1, cutoff=0.7)
    if close:
        return _error("E003", message, f"Did you mean {known[close[0]]!r}?")
    return _error(
        "E003",
        message,
        f"Known are {', '.join(OPTIONS)}; options of the wrapped layer go into "
        f"{hub.where}['CONFIG'].",
    )


def _find_backend_messages(hub: HubEntry, backend: Any) -> Iterator[CheckMessage]:
    where = f"{hub.where}['BACKEND']"
    if is_hub(backend):
        yield _error(
            "E005",
            f"{where} is a hub itself: every group would be joined, probed and supervised twice.",
            "Name the layer that the inner hub wraps, and give its CONFIG to the outer one.",
        )
        return
    path = path_of(backend)
    if path in (CORE_LAYER, PUBSUB_LAYER):
        # Their methods are known; a look at the package is enough, and imports no Redis client.
        if find_spec("channels_redis") is None:
            yield _error(
                "E004", f"{where}: channels_redis is not installed.", "pip install channels_redis"
            )
        return
    # Somebody else's layer: as the first use of it would.
    if isinstance(backend, str):
        try:
            backend = import_string(backend)
        except Exception as error:  # noqa: BLE001  # a module may fail in any way
            yield _error(
                "E004",
                f"{where}: {path!r} cannot be imported: {type(error).__name__}: {error}",
                "Correct the path, or install what it belongs to.",
            )
            return
    missing = _find_missing(backend)
    if missing:
        yield _error(
            "E007",
            f"{where}: {path} is not a channel layer with groups; it lacks {', '.join(missing)}.",
            f'Name the class of a channel layer, such as "{CORE_LAYER}".',
        )


def _find_missing(backend: Any) -> tuple[str, ...]:
    """The methods that a layer lacks, as far as can be told without making one."""
    if not callable(backend):
        return METHODS
    if not isinstance(backend, type) or hasattr(backend, "__getattr__"):
        return ()  # a function that makes layers, or a layer that makes up its methods
    return tuple(method for method in METHODS if not hasattr(backend, method))


def _example() -> str:
    return f'"CONFIG": {{"BACKEND": "{CORE_LAYER}", "CONFIG": {{"hosts": [...]}}}}'


def _error(number: str, message: str, hint: str) -> CheckMessage:
    return Error(message, hint=hint, id=f"{APP}.{number}")
