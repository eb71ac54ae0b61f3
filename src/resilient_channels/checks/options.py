"""What is wrong with ``RESILIENT_CHANNELS``, and with ``resilience`` on a consumer class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from ..conf import ATTRIBUTE, SETTING, find_setting_problems, get_policies
from ..core.policies import Policies, TeardownPolicy
from ..mixins import find_consumers
from .identifiers import APP

if TYPE_CHECKING:
    from collections.abc import Iterator

DAPHNE_CLOSE_TIMEOUT = 10


def find_settings_messages() -> Iterator[CheckMessage]:
    """E001 and W004."""
    problems = find_setting_problems()
    for problem in problems:
        yield Error(problem, hint=f"Correct settings.{SETTING}.", id=f"{APP}.E001")
    if problems:
        return
    section = getattr(settings, SETTING, {}).get(TeardownPolicy.section, {})
    timeout = section.get("timeout", TeardownPolicy().timeout)
    if timeout >= DAPHNE_CLOSE_TIMEOUT:
        yield Warning(
            f"{SETTING}['TEARDOWN']['timeout'] is {timeout}, but Daphne kills a consumer "
            f"{DAPHNE_CLOSE_TIMEOUT} seconds after its client has left.",
            hint="Keep it below 10, or raise Daphne's --application-close-timeout too.",
            id=f"{APP}.W004",
        )


def find_heartbeat_messages() -> list[CheckMessage]:
    """E002 and W006, for the settings and for every consumer class that has been imported."""
    if find_setting_problems():
        return []  # E001 has said so
    found: dict[str, CheckMessage] = {}  # each sentence once, with the first place it is true of
    for owner in (_Settings, *find_consumers()):
        where = f"settings.{SETTING}" if owner is _Settings else _name(owner)
        policies = get_policies(owner)
        contradiction = policies.heartbeat.contradiction
        if contradiction is not None:
            hint = "Correct the HEARTBEAT section there, or in the settings."
            found.setdefault(
                contradiction, Error(f"{where}: {contradiction}.", hint=hint, id=f"{APP}.E002")
            )
        haste = _find_haste(policies)
        if haste is not None:
            hint = f"Make LIFETIME.idle_timeout more than {policies.heartbeat.interval}."
            found.setdefault(haste, Warning(f"{where}: {haste}.", hint=hint, id=f"{APP}.W006"))
    return list(found.values())


def _find_haste(policies: Policies) -> str | None:
    """Whether an idle limit would strike before a live client was asked for a sign of life."""
    limit, interval = policies.lifetime.idle_timeout, policies.heartbeat.interval
    if limit is None or limit > interval or policies.heartbeat.mode == "off":
        return None
    return (
        f"LIFETIME.idle_timeout is {limit}, but a client is asked for a sign of life every "
        f"{interval} seconds only, so that live ones would be closed as idle"
    )


class _Settings:
    """Stands for the settings alone: an owner of policies with nothing of its own."""


def _name(owner: type) -> str:
    return f"{owner.__module__}.{owner.__qualname__}.{ATTRIBUTE}"
