"""What happened, as facts in the past tense.

Observers see these. ``name`` is the log record's message, ``level`` its level: a client that
leaves is INFO, trouble on our side WARNING, a bug ERROR. Names and fields are stable; the
reference table is generated from this file. No field ever holds a payload, a header, a cookie, a
query string or other text that a client wrote.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40


def _doc(doc: str, **kwargs: Any) -> Any:
    return field(metadata={"doc": doc}, **kwargs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened."""

    name: ClassVar[str]
    level: ClassVar[int]
    topic: ClassVar[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionEvent(Event):
    """Something that happened to one connection."""

    topic: ClassVar[str] = "connection"

    connection: str = _doc("Identifier of the connection, unique in the process.")
    consumer: str = _doc("Dotted path of the consumer class.")


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

    cause: str = _doc("`application`, `error` (in `connect()`), `timeout` or `client left`.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionClosed(ConnectionEvent):
    """An accepted connection ended and was cleaned up."""

    name: ClassVar[str] = "connection.closed"
    level: ClassVar[int] = INFO

    code: int = _doc("Close code, as `disconnect()` got it.")
    kind: str = _doc("The `DisconnectKind`, in lower case.")
    initiator: str = _doc("`client`, `server` or `network`.")
    certain: bool = _doc("False where the server cannot tell a clean close from a lost connection.")
    duration: float = _doc("Seconds since the handshake was accepted.")
    received: int = _doc("Frames from the client, without heartbeat answers and the like.")
    sent: int = _doc("Frames handed to the server.")
    unsent: int = _doc("Frames that were not written because the connection was over.")
    ignored: int = _doc("Control frames of the client that came to nothing.")
    rtt: float | None = _doc("Seconds of the last measured round trip; `None`: never measured.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionStep(ConnectionEvent):
    """One step of a connection's end; together they tell why and how it closed."""

    name: ClassVar[str] = "connection.step"
    level: ClassVar[int] = DEBUG

    step: str = _doc("What happened, in words.")


@dataclass(frozen=True, kw_only=True, slots=True)
class HeartbeatLost(ConnectionEvent):
    """The peer gave no sign of life for `HEARTBEAT.timeout` after a ping, and was given up."""

    name: ClassVar[str] = "heartbeat.timeout"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "heartbeat"

    silent_for: float = _doc("Seconds since its last frame.")
    rtt: float | None = _doc("Seconds of the last measured round trip; `None`: never measured.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlIgnored(ConnectionEvent):
    """The first control frame of a connection that came to nothing."""

    name: ClassVar[str] = "control.ignored"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "heartbeat"

    cause: str = _doc(
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

    seconds: float = _doc("How long.")


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

    deadline: float = _doc("The limit, in seconds.")


@dataclass(frozen=True, kw_only=True, slots=True)
class InboxFull(ConnectionEvent):
    """Handlers have been slower than the client for `INBOX.warn_after` seconds."""

    name: ClassVar[str] = "inbox.full"
    level: ClassVar[int] = WARNING

    full_for: float = _doc("Seconds without room.")
    frames: int = _doc("Frames waiting.")


@dataclass(frozen=True, kw_only=True, slots=True)
class InputRejected(ConnectionEvent):
    """A frame from the client could not be read."""

    name: ClassVar[str] = "input.rejected"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "handler"

    cause: str = _doc("`json`, `no text`, or `empty`.")
    size: int = _doc("Length of the frame.")
    error: str = _doc("Class of the exception.")
    closes: bool = _doc("Whether it closed the connection.")


@dataclass(frozen=True, kw_only=True, slots=True)
class HandlerFailed(ConnectionEvent):
    """A handler raised. The record carries the traceback."""

    name: ClassVar[str] = "handler.error"
    level: ClassVar[int] = ERROR
    topic: ClassVar[str] = "handler"

    handler: str = _doc("Type of the message that was handled.")
    error: str = _doc("Class of the exception.")
    closes: bool = _doc("Whether it closed the connection.")
    exception: BaseException = _doc("The exception (in the record: `exc_info`).")


@dataclass(frozen=True, kw_only=True, slots=True)
class HandlerCutOff(ConnectionEvent):
    """A handler outlived its client by too much and was cancelled, or abandoned in its thread."""

    name: ClassVar[str] = "handler.cut_off"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "handler"

    handler: str = _doc("Type of the message that was handled.")
    after: float = _doc("Seconds it was given.")


@dataclass(frozen=True, kw_only=True, slots=True)
class EventUnhandled(ConnectionEvent):
    """A channel-layer event had a type that the consumer does not handle; it was ignored.

    Logged once per type and consumer class.
    """

    name: ClassVar[str] = "event.unhandled"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "handler"

    type: str = _doc("The event's type, escaped and cut.")
    cause: str = _doc("`no handler`, `reserved` or `malformed`.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFailed(ConnectionEvent):
    """A task started with `self.resilient.spawn()` raised. The record carries the traceback."""

    name: ClassVar[str] = "task.error"
    level: ClassVar[int] = ERROR
    topic: ClassVar[str] = "handler"

    task: str = _doc("Name of the coroutine.")
    error: str = _doc("Class of the exception.")
    exception: BaseException = _doc("The exception (in the record: `exc_info`).")


@dataclass(frozen=True, kw_only=True, slots=True)
class TeardownFailed(ConnectionEvent):
    """A step of the cleanup failed or ran out of time; the other steps ran."""

    name: ClassVar[str] = "teardown.error"
    level: ClassVar[int] = ERROR

    step: str = _doc("Which step.")
    error: str = _doc("Class of the exception.")
    exception: BaseException = _doc("The exception (in the record: `exc_info`).")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerCallFailed(ConnectionEvent):
    """A handler was ended by a channel layer that did not answer in time."""

    name: ClassVar[str] = "layer.call_failed"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "layer"

    handler: str = _doc("Type of the message that was handled.")
    alias: str = _doc("Alias of the layer.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerDown(Event):
    """The channel layer stopped answering. Once per outage, process and alias."""

    name: ClassVar[str] = "layer.down"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "layer"

    alias: str = _doc("Alias of the layer.")
    error: str = _doc("Class of the exception.")
    connections: int = _doc("Connections that are held.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerUp(Event):
    """The channel layer answers again, and every group was joined again."""

    name: ClassVar[str] = "layer.up"
    level: ClassVar[int] = INFO
    topic: ClassVar[str] = "layer"

    alias: str = _doc("Alias of the layer.")
    downtime: float = _doc("Seconds since `layer.down`.")
    groups: int = _doc("Memberships that were joined again.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerMembershipLost(Event):
    """The layer answers, but had forgotten who is in which group (FLUSHALL, an empty restart)."""

    name: ClassVar[str] = "layer.membership_lost"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "layer"

    alias: str = _doc("Alias of the layer.")
    groups: int = _doc("Memberships that were joined again.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerJoinFailed(Event):
    """The layer answers, but kept refusing to let consumers join or leave groups: given up."""

    name: ClassVar[str] = "layer.join_failed"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "layer"

    alias: str = _doc("Alias of the layer.")
    error: str = _doc("Class of the exception.")
    groups: int = _doc("How many joins and leaves were given up.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerOverflow(Event):
    """Channels of this process were full, and events for them were dropped.

    At most once in 10 seconds, with what was dropped since the last record.
    """

    name: ClassVar[str] = "layer.overflow"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "layer"

    alias: str = _doc("Alias of the layer.")
    dropped: int = _doc("How many events.")
    channels: int = _doc("How many channels they were meant for.")


@dataclass(frozen=True, kw_only=True, slots=True)
class NotifyFailed(Event):
    """What `notify()` could not wait for came to nothing."""

    name: ClassVar[str] = "notify.failed"
    level: ClassVar[int] = WARNING
    topic: ClassVar[str] = "layer"

    alias: str = _doc("Alias of the layer.")
    error: str = _doc("Class of the exception, `timed out`, or `too many wait`.")


EVENTS: tuple[type[Event], ...] = (
    ConnectionOpened, ConnectionRefused, ConnectionClosed, ConnectionStep,
    HeartbeatLost, ControlIgnored, LoopStalled,
    SendDropped, SendTimedOut,
    InboxFull, InputRejected, HandlerFailed, HandlerCutOff, EventUnhandled, TaskFailed,
    TeardownFailed,
    LayerDown, LayerUp, LayerMembershipLost, LayerJoinFailed, LayerCallFailed, LayerOverflow,
    NotifyFailed,
)  # fmt: skip
