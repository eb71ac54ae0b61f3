"""What happened, as facts in the past tense.

Observers see these. ``name`` is the log record's message, ``level`` its level: a client that
leaves is INFO, trouble on our side WARNING, a bug ERROR. Names and fields are stable; the
reference table is generated from here. No field ever holds a payload, a header, a cookie, a
query string or other text that a client wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .admission_events import (
    ConnectionReplaced as ConnectionReplaced,
    OriginRefused as OriginRefused,
)
from .drain_events import (
    DrainBegan as DrainBegan,
    DrainEnded as DrainEnded,
    DrainSkipped as DrainSkipped,
    DrainUnreachable as DrainUnreachable,
)
from .event import (
    DEBUG,
    ERROR,
    INFO,
    WARNING,
    ConnectionEvent as ConnectionEvent,
    Event as Event,
    doc_field,
)
from .handler_events import (
    HandlerOverdue as HandlerOverdue,
    HandlerStalled as HandlerStalled,
)
from .layer_events import (
    LayerCallFailed as LayerCallFailed,
    LayerDown as LayerDown,
    LayerJoinFailed as LayerJoinFailed,
    LayerMembershipLost as LayerMembershipLost,
    LayerOverflow as LayerOverflow,
    LayerUp as LayerUp,
    NotifyFailed as NotifyFailed,
)
from .limit_events import LimitExceeded as LimitExceeded
from .outbox_events import OutboxOverflow as OutboxOverflow


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionOpened(ConnectionEvent):
    """The consumer accepted the handshake."""

    name: ClassVar[str] = "connection.opened"
    level: ClassVar[int] = INFO


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionRefused(ConnectionEvent):
    """The handshake ended without being accepted."""

    name: ClassVar[str] = "connection.refused"
    level: ClassVar[int] = INFO

    cause: str = doc_field(
        "`application`, `error` (in `connect()`), `timeout`, `client left`, `draining`, `user "
        "limit`, `address limit`, `too many at once` or `replaced`."
    )
    code: int | None = doc_field(
        "The close code for it; `None` if the application refused, or nobody did."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionClosed(ConnectionEvent):
    """An accepted connection ended and was cleaned up."""

    name: ClassVar[str] = "connection.closed"
    level: ClassVar[int] = INFO

    code: int = doc_field("Close code, as `disconnect()` got it.")
    kind: str = doc_field("The `DisconnectKind`, in lower case.")
    initiator: str = doc_field("`client`, `server` or `network`.")
    certain: bool = doc_field(
        "False where the server cannot tell a clean close from a lost connection."
    )
    duration: float = doc_field("Seconds since the handshake was accepted.")
    received: int = doc_field("Frames from the client, without heartbeat answers and the like.")
    sent: int = doc_field("Frames handed to the server.")
    unsent: int = doc_field("Frames that were not written because the connection was over.")
    ignored: int = doc_field("Control frames of the client that came to nothing.")
    rtt: float | None = doc_field(
        "Seconds of the last measured round trip; `None`: never measured."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionStep(ConnectionEvent):
    """One step of a connection's end; together they tell why and how it closed."""

    name: ClassVar[str] = "connection.step"
    level: ClassVar[int] = DEBUG

    step: str = doc_field("What happened, in words.")


@dataclass(frozen=True, kw_only=True, slots=True)
class HeartbeatLost(ConnectionEvent):
    """The peer gave no sign of life for `HEARTBEAT.timeout` after a ping, and was given up."""

    name: ClassVar[str] = "heartbeat.timeout"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "heartbeat"

    silent_for: float = doc_field("Seconds since its last frame.")
    rtt: float | None = doc_field(
        "Seconds of the last measured round trip; `None`: never measured."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlIgnored(ConnectionEvent):
    """The first control frame of a connection that came to nothing."""

    name: ClassVar[str] = "control.ignored"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "heartbeat"

    cause: str = doc_field(
        "`not json`, `malformed`, `unknown type`, `too long`, `before hello`, `unasked` (a pong or "
        "a second hello) or `too many`."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopStalled(Event):
    """The event loop did not run for a second or more; no peer is blamed for that time.

    Noticed while a connection has a heartbeat or an idle limit.
    """

    name: ClassVar[str] = "loop.stalled"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "heartbeat"

    seconds: float = doc_field("How long.")


@dataclass(frozen=True, kw_only=True, slots=True)
class SendDropped(ConnectionEvent):
    """The first frame of a connection that was not written because the connection was over."""

    name: ClassVar[str] = "send.dropped"
    level: ClassVar[int] = DEBUG
    topic: ClassVar[str] = "send"


@dataclass(frozen=True, kw_only=True, slots=True)
class SendTimedOut(ConnectionEvent):
    """The server did not take a frame within `SEND.deadline`: the peer does not read."""

    name: ClassVar[str] = "send.timeout"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "send"

    deadline: float = doc_field("The limit, in seconds.")


@dataclass(frozen=True, kw_only=True, slots=True)
class InboxFull(ConnectionEvent):
    """Handlers have been slower than the client for `INBOX.warn_after` seconds."""

    name: ClassVar[str] = "inbox.full"
    level: ClassVar[int] = WARNING

    full_for: float = doc_field("Seconds without room.")
    frames: int = doc_field("Frames waiting.")


@dataclass(frozen=True, kw_only=True, slots=True)
class InputRejected(ConnectionEvent):
    """A frame from the client could not be read."""

    name: ClassVar[str] = "input.rejected"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "handler"

    cause: str = doc_field("`json`, `depth` (`LIMITS.json_depth`), `no text`, or `empty`.")
    size: int = doc_field("Length of the frame.")
    error: str = doc_field("Class of the exception.")
    closes: bool = doc_field("Whether it closed the connection.")


@dataclass(frozen=True, kw_only=True, slots=True)
class HandlerFailed(ConnectionEvent):
    """A handler raised. The record carries the traceback."""

    name: ClassVar[str] = "handler.error"
    level: ClassVar[int] = ERROR
    topic: ClassVar[str] = "handler"

    handler: str = doc_field("Type of the message that was handled.")
    error: str = doc_field("Class of the exception.")
    closes: bool = doc_field("Whether it closed the connection.")
    exception: BaseException = doc_field("The exception (in the record: `exc_info`).")


@dataclass(frozen=True, kw_only=True, slots=True)
class HandlerCutOff(ConnectionEvent):
    """A handler outlived its client by too much and was cancelled, or abandoned in its thread."""

    name: ClassVar[str] = "handler.cut_off"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "handler"

    handler: str = doc_field("Type of the message that was handled.")
    after: float = doc_field("Seconds it was given.")


@dataclass(frozen=True, kw_only=True, slots=True)
class EventUnhandled(ConnectionEvent):
    """A channel-layer event had a type that the consumer does not handle; it was ignored.

    Logged once per type and consumer class.
    """

    name: ClassVar[str] = "event.unhandled"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "handler"

    type: str = doc_field("The event's type, escaped and cut.")
    cause: str = doc_field("`no handler`, `reserved` or `malformed`.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFailed(ConnectionEvent):
    """A task started with `self.resilient.spawn()` raised. The record carries the traceback."""

    name: ClassVar[str] = "task.error"
    level: ClassVar[int] = ERROR
    topic: ClassVar[str] = "handler"

    task: str = doc_field("Name of the coroutine.")
    error: str = doc_field("Class of the exception.")
    exception: BaseException = doc_field("The exception (in the record: `exc_info`).")


@dataclass(frozen=True, kw_only=True, slots=True)
class TeardownFailed(ConnectionEvent):
    """A step of the cleanup failed or ran out of time; the other steps ran."""

    name: ClassVar[str] = "teardown.error"
    level: ClassVar[int] = ERROR

    step: str = doc_field("Which step.")
    error: str = doc_field("Class of the exception.")
    exception: BaseException = doc_field("The exception (in the record: `exc_info`).")


EVENTS: tuple[type[Event], ...] = (
    ConnectionOpened, ConnectionRefused, ConnectionReplaced, ConnectionClosed, ConnectionStep,
    OriginRefused,
    HeartbeatLost, ControlIgnored, LoopStalled,
    SendDropped, SendTimedOut, OutboxOverflow,
    InboxFull, LimitExceeded, InputRejected, HandlerFailed, HandlerOverdue, HandlerStalled,
    HandlerCutOff, EventUnhandled, TaskFailed, TeardownFailed,
    LayerDown, LayerUp, LayerMembershipLost, LayerJoinFailed, LayerCallFailed, LayerOverflow,
    NotifyFailed,
    DrainBegan, DrainEnded, DrainSkipped, DrainUnreachable,
)  # fmt: skip
