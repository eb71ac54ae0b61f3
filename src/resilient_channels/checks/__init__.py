"""System checks: what is known to break a consumer, told before it does.

Each reads settings and installed versions only; none opens a connection or imports a broker's
client. Two things of the project's are imported: a hub's ``BACKEND`` that is nobody's we know, to
find out whether it can be, and ``manage.py check`` the ASGI application, to look at its routes.
Identifiers are never reused.
"""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Tags, register as register_check

from .aliases import find_alias_messages
from .brokers import find_advice, find_broker_messages
from .configured import (
    CORE_LAYER,
    HUB,
    IN_MEMORY_LAYER,
    PUBSUB_LAYER,
    HubEntry,
    find_entries,
    find_layers,
)
from .hubs import find_hub_messages
from .identifiers import APP, CHECK_IDS
from .options import find_heartbeat_messages, find_settings_messages
from .processes import find_process_messages
from .sockets import find_crowd_advice, find_host_messages, find_origin_messages
from .traffic import find_traffic_advice

__all__ = [
    "APP",
    "CHECK_IDS",
    "CORE_LAYER",
    "HUB",
    "IN_MEMORY_LAYER",
    "PUBSUB_LAYER",
    "check_deployment",
    "check_exposure",
    "check_heartbeats",
    "check_layers",
    "check_origins",
    "check_settings",
    "check_traffic",
    "register",
]


def register() -> None:
    """Register every check with Django."""
    register_check(check_settings, APP)
    register_check(check_heartbeats, APP)
    register_check(check_layers, APP)
    register_check(check_origins, APP, Tags.security)
    register_check(check_deployment, APP, Tags.security, deploy=True)
    register_check(check_traffic, APP, Tags.security, deploy=True)
    register_check(check_exposure, APP, Tags.security, deploy=True)


def check_settings(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E001 and W004: ``RESILIENT_CHANNELS``."""
    return list(find_settings_messages())


def check_heartbeats(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E002 and W006: heartbeats that contradict each other, or the idle limit."""
    return find_heartbeat_messages()


def check_layers(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E003 to E008, W001 to W003, W007 to W009: ``CHANNEL_LAYERS``, and who uses it."""
    messages: list[CheckMessage] = []
    for entry in find_entries():
        if isinstance(entry, HubEntry):
            messages += find_hub_messages(entry)
    for layer in find_layers():
        messages += find_broker_messages(layer)
    messages += find_alias_messages()
    return messages


def check_origins(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W010: the routes of ``ASGI_APPLICATION``."""
    return list(find_origin_messages())


def check_deployment(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W005 and I001: what does no harm on the developer's machine."""
    messages: list[CheckMessage] = []
    for layer in find_layers():
        messages += find_process_messages(layer)
        messages += find_advice(layer)
    return messages


def check_exposure(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W011 and I003: who may come in from the open internet."""
    return [*find_host_messages(), *find_crowd_advice()]


def check_traffic(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """I002: what whoever is in may send."""
    return list(find_traffic_advice())
