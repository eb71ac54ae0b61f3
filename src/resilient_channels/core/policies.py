"""All options together: one frozen dataclass per section of the settings."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from .connection_policies import (
    ErrorsPolicy as ErrorsPolicy,
    HandshakePolicy as HandshakePolicy,
    HeartbeatPolicy as HeartbeatPolicy,
    InboxPolicy as InboxPolicy,
    LayerPolicy as LayerPolicy,
    LifetimePolicy as LifetimePolicy,
    SendPolicy as SendPolicy,
    TeardownPolicy as TeardownPolicy,
)
from .process_policies import DrainPolicy as DrainPolicy, HandlerPolicy as HandlerPolicy
from .traffic_policies import LimitsPolicy as LimitsPolicy, OutboxPolicy as OutboxPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """All sections; each attribute but the last is named after its section."""

    heartbeat: HeartbeatPolicy = field(default_factory=HeartbeatPolicy)
    lifetime: LifetimePolicy = field(default_factory=LifetimePolicy)
    send: SendPolicy = field(default_factory=SendPolicy)
    outbox: OutboxPolicy = field(default_factory=OutboxPolicy)
    inbox: InboxPolicy = field(default_factory=InboxPolicy)
    handshake: HandshakePolicy = field(default_factory=HandshakePolicy)
    limits: LimitsPolicy = field(default_factory=LimitsPolicy)
    handler: HandlerPolicy = field(default_factory=HandlerPolicy)
    errors: ErrorsPolicy = field(default_factory=ErrorsPolicy)
    layer: LayerPolicy = field(default_factory=LayerPolicy)
    drain: DrainPolicy = field(default_factory=DrainPolicy)
    teardown: TeardownPolicy = field(default_factory=TeardownPolicy)

    places: Mapping[str, str] = field(default_factory=dict)
    """Of each option of ``LIMITS`` that is not from the setting: where it is written."""

    def without_clock(self) -> Policies:
        """The same, for a connection whose silence is somebody else's business."""
        return replace(
            self,
            heartbeat=replace(self.heartbeat, mode="off"),
            lifetime=replace(self.lifetime, idle_timeout=None),
        )


SECTIONS: dict[str, type[Any]] = {
    policy.section: policy
    for policy in (
        HeartbeatPolicy, LifetimePolicy, SendPolicy, OutboxPolicy, InboxPolicy, LimitsPolicy,
        HandshakePolicy, HandlerPolicy, ErrorsPolicy, LayerPolicy, DrainPolicy, TeardownPolicy,
    )
}  # fmt: skip


def option_names(section: str) -> tuple[str, ...]:
    """The keys that a section knows."""
    return tuple(known.name for known in fields(SECTIONS[section]))


def process_wide_options(section: str) -> frozenset[str]:
    """Those of them that are no business of a single class."""
    known = fields(SECTIONS[section])
    return frozenset(option.name for option in known if option.metadata["process_wide"])


def build_section(section: str, values: Mapping[str, Any]) -> Any:
    """Make one section's policy from checked keys.

    Raises:
        PolicyError: A value makes no sense.
    """
    return SECTIONS[section](**values)
