"""What happened between this process and its channel layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event import INFO, WARNING, ConnectionEvent, Event, doc_field


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerCallFailed(ConnectionEvent):
    """A handler was ended by a channel layer that did not answer in time."""

    name: ClassVar[str] = "layer.call_failed"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "layer"

    handler: str = doc_field("Type of the message that was handled.")
    alias: str = doc_field("Alias of the layer.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerDown(Event):
    """The channel layer stopped answering. Once per outage, process and alias."""

    name: ClassVar[str] = "layer.down"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "layer"

    alias: str = doc_field("Alias of the layer.")
    error: str = doc_field("Class of the exception.")
    connections: int = doc_field("Connections that are held.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerUp(Event):
    """The channel layer answers again, and every group was joined again."""

    name: ClassVar[str] = "layer.up"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "layer"

    alias: str = doc_field("Alias of the layer.")
    downtime: float = doc_field("Seconds since `layer.down`.")
    groups: int = doc_field("Memberships that were joined again.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerMembershipLost(Event):
    """The layer answers, but had forgotten who is in which group (FLUSHALL, an empty restart)."""

    name: ClassVar[str] = "layer.membership_lost"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "layer"

    alias: str = doc_field("Alias of the layer.")
    groups: int = doc_field("Memberships that were joined again.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerJoinFailed(Event):
    """The layer answers, but kept refusing to let consumers join or leave groups: given up."""

    name: ClassVar[str] = "layer.join_failed"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "layer"

    alias: str = doc_field("Alias of the layer.")
    error: str = doc_field("Class of the exception.")
    groups: int = doc_field("How many joins and leaves were given up.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerOverflow(Event):
    """Channels of this process were full, and events for them were dropped.

    At most once in 10 seconds, with what was dropped since the last record.
    """

    name: ClassVar[str] = "layer.overflow"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "layer"

    alias: str = doc_field("Alias of the layer.")
    dropped: int = doc_field("How many events.")
    channels: int = doc_field("How many channels they were meant for.")


@dataclass(frozen=True, kw_only=True, slots=True)
class NotifyFailed(Event):
    """What `notify()` could not wait for came to nothing."""

    name: ClassVar[str] = "notify.failed"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "layer"

    alias: str = doc_field("Alias of the layer.")
    error: str = doc_field("Class of the exception, `timed out`, or `too many wait`.")
