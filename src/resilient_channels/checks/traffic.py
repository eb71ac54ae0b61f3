"""Whether anything bounds what one client may send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.checks import CheckMessage, Info

from ..conf import SETTING, find_setting_problems
from ..core.policies import LimitsPolicy
from .identifiers import APP

if TYPE_CHECKING:
    from collections.abc import Iterator

ADVICE: dict[str, dict[str, int]] = {
    "message_bytes": {"message_bytes": 65_536},
    "json_depth": {"json_depth": 32},
    "rate": {"rate": 50, "burst": 100},
}
"""What is a good beginning for each limit that there should be."""


def find_traffic_advice() -> Iterator[CheckMessage]:
    """I002: a client may send frames of any length, of any depth, or as many as it likes."""
    if find_setting_problems():
        return  # E001 has said so
    limits = getattr(settings, SETTING, {}).get(LimitsPolicy.section, {})
    missing = [name for name in ADVICE if limits.get(name) is None]
    if missing:
        example = {key: value for name in missing for key, value in ADVICE[name].items()}
        yield Info(
            f"{SETTING}['LIMITS'] does not limit what one client may send: {', '.join(missing)}.",
            hint=f"A good beginning: {example}.",
            id=f"{APP}.I002",
        )
