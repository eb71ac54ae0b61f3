"""Who may open a socket: which web sites' pages, and how many clients."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.checks import CheckMessage, Info, Warning
from django.utils.module_loading import import_string

from ..conf import SETTING, find_setting_problems
from ..core.policies import LimitsPolicy
from ..origins import OriginValidator
from .identifiers import APP

if TYPE_CHECKING:
    from collections.abc import Iterator

INNER = ("app", "inner", "application")
"""Where middlewares keep what they are around."""

CHANNELS_VALIDATOR = ("channels.security.websocket", "OriginValidator")

LIMITS = ("connections_per_user", "connections_per_address", "new_per_second")


def find_origin_messages() -> Iterator[CheckMessage]:
    """W010: sockets that a page of any web site may open."""
    consumers = sorted(
        {_name(found) for found in _walk(load_application()) if isinstance(found, type)}
    )
    if consumers:
        more = f" and {len(consumers) - 3} more" if len(consumers) > 3 else ""
        yield Warning(
            f"{_find_path()}: no origin validator guards {', '.join(consumers[:3])}"
            f"{more}. The page of any web site can open these sockets, with the cookies of "
            "whoever looks at it.",
            hint="Put resilient_channels.OriginValidator(...) around what the router has under "
            '"websocket".',
            id=f"{APP}.W010",
        )


def find_host_messages() -> Iterator[CheckMessage]:
    """W011: validators that go by ``ALLOWED_HOSTS``, which allows every host."""
    if "*" not in settings.ALLOWED_HOSTS:
        return
    dangers = {
        (
            "a name of anybody's that leads to this server counts as the site itself, for "
            "resilient_channels.OriginValidator"
            if isinstance(guard, OriginValidator)
            else "channels' AllowedHostsOriginValidator lets the pages of every web site in"
        )
        for guard in _walk(load_application())
        if not isinstance(guard, type) and _goes_by_hosts(guard)
    }
    for danger in sorted(dangers):
        yield Warning(
            f"ALLOWED_HOSTS has '*': {danger}.",
            hint="List the names of the site in ALLOWED_HOSTS.",
            id=f"{APP}.W011",
        )


def find_crowd_advice() -> Iterator[CheckMessage]:
    """I003: nothing bounds how many may come."""
    if find_setting_problems():
        return  # E001 has said so
    limits = getattr(settings, SETTING, {}).get(LimitsPolicy.section, {})
    if all(limits.get(name) is None for name in LIMITS):
        yield Info(
            f"{SETTING}['LIMITS'] has no limit for connections: one user, or one address, may "
            "open as many as the process has room for.",
            hint='For example {"connections_per_user": 20, "connections_per_address": 200, '
            '"new_per_second": 100}. Behind a proxy, set trusted_proxies too.',
            id=f"{APP}.I003",
        )


# --- the routes ----------------------------------------------------------------------------------


def load_application() -> Any:
    """The ASGI application, if it was imported, or ``manage.py check`` runs.

    Importing it sets Django up once more, which other commands need not bear. ``None`` if it
    cannot be had: whoever serves it will say why.
    """
    path = _find_path()
    if not isinstance(path, str):
        return None
    if path.rpartition(".")[0] not in sys.modules and sys.argv[1:2] != ["check"]:
        return None
    try:
        return import_string(path)
    except Exception:  # noqa: BLE001  # a module of the project's; it may raise anything
        return None


def _find_path() -> Any:
    return getattr(settings, "ASGI_APPLICATION", None)


def _walk(application: Any) -> Iterator[Any]:
    """The origin validators in *application*, and the consumer classes that none of them guards.

    Only what is known to be a router or a middleware is looked into, and nothing is called. What
    a function has inside cannot be seen, and nothing is said of it.
    """
    todo, seen = [application], set()
    while todo:
        node = todo.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if _is_validator(node):
            yield node
            continue
        own = getattr(node, "__dict__", {})
        consumer = own.get("consumer_class")
        if isinstance(consumer, type):
            if hasattr(consumer, "websocket_connect"):
                yield consumer
            continue
        mapping, routes = own.get("application_mapping"), own.get("routes")
        if isinstance(mapping, Mapping):
            todo.append(mapping.get("websocket"))
        elif isinstance(routes, list | tuple):
            todo += [getattr(route, "callback", None) for route in routes]
        else:
            todo += [own.get(name) for name in INNER]


def _is_validator(node: Any) -> bool:
    if isinstance(node, OriginValidator):
        return True
    bases = {(base.__module__, base.__name__) for base in type(node).__mro__}
    return CHANNELS_VALIDATOR in bases


def _goes_by_hosts(guard: Any) -> bool:
    if isinstance(guard, OriginValidator):
        return guard.allowed is None
    return "*" in getattr(guard, "allowed_origins", ())


def _name(consumer: type) -> str:
    return f"{consumer.__module__}.{consumer.__qualname__}"
