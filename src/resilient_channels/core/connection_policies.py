"""The options of one connection: how it is kept alive, and how it ends.

Options are checked when they are made, so that a wrong value cannot travel. ``doc`` in a field's
metadata is the line in the settings reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from .options import (
    check_choice,
    check_count,
    check_seconds,
    check_text,
    check_texts,
    option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ErrorMode = Literal["isolate", "close", "raise"]
HeartbeatMode = Literal["auto", "always", "off"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SendPolicy:
    """How long a send may take."""

    section: ClassVar[str] = "SEND"

    deadline: float | None = option(
        30.0,
        "Seconds one send may block before the peer is given up (code 3420). Any frame from the "
        "peer starts the time anew. `None`: no limit.",
    )

    def __post_init__(self) -> None:
        check_seconds(self.section, "deadline", self.deadline, optional=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeartbeatPolicy:
    """How a connection finds out whether its client is still there."""

    section: ClassVar[str] = "HEARTBEAT"

    mode: HeartbeatMode = option(
        "auto",
        "`auto`: clients that speak the wire protocol, and others if both `ping` and `pong` are "
        "set. `always`: every client, with `ping`. `off`: none. Never a client under another "
        "subprotocol.",
    )
    interval: float = option(25.0, "Seconds between two pings. Keep it below a proxy's idle limit.")
    timeout: float = option(
        20.0,
        "Seconds without any frame after a ping, until the peer is given up (code 3408). Time in "
        "which the event loop did not run does not count.",
    )
    ping: str | None = option(
        None, "Text of a ping for clients that do not speak the wire protocol. `None`: no pings."
    )
    pong: str | None = option(
        None, "Text that such clients answer with. It does not reach the consumer."
    )
    reply: Mapping[str, str] = option(
        dict,
        'Pings of clients, and what to answer: `{"<ping>": "<pong>"}`. Answered while a handler '
        "runs; they do not reach the consumer.",
    )
    proxy_idle_timeout: float | None = option(
        None,
        "Seconds after which a proxy in front of the server closes an idle connection. Only for "
        "`manage.py check`, which compares `interval` with it.",
    )

    def __post_init__(self) -> None:
        check_choice(self.section, "mode", self.mode, get_args(HeartbeatMode))
        check_seconds(self.section, "interval", self.interval)
        check_seconds(self.section, "timeout", self.timeout)
        check_seconds(self.section, "proxy_idle_timeout", self.proxy_idle_timeout, optional=True)
        for name in ("ping", "pong"):
            check_text(self.section, name, getattr(self, name))
        check_texts(self.section, "reply", self.reply)

    @property
    def contradiction(self) -> str | None:
        """What two options of this section have against each other, in a sentence."""
        if self.mode == "always" and self.ping is None:
            return f"{self.section}.mode 'always' needs {self.section}.ping, the text to send"
        if self.pong is not None and self.ping is None:
            return f"{self.section}.pong without {self.section}.ping: nobody is asked"
        if self.ping is not None and self.pong is None and self.mode == "auto":
            return (
                f"{self.section}.ping without {self.section}.pong is not sent in mode 'auto', "
                "because nobody could tell whether a client understands it"
            )
        limit = self.proxy_idle_timeout
        if limit is not None and self.interval >= limit:
            return (
                f"{self.section}.interval is {self.interval}, but "
                f"{self.section}.proxy_idle_timeout says that a proxy closes idle connections "
                f"after {limit} seconds; set the interval to {limit / 2:g} or less"
            )
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class LifetimePolicy:
    """How long a connection may be silent, and how old it may become."""

    section: ClassVar[str] = "LIFETIME"

    idle_timeout: float | None = option(
        None,
        "Seconds without any frame from the client, heartbeat answers included, before the "
        "connection is closed (3440). `None`: no limit.",
    )
    max_age: float | None = option(
        None,
        "Seconds after which a connection is closed (3513) so that the client comes back, up to a "
        "tenth early so that not all come at once. `None`: no limit.",
    )

    def __post_init__(self) -> None:
        check_seconds(self.section, "idle_timeout", self.idle_timeout, optional=True)
        check_seconds(self.section, "max_age", self.max_age, optional=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class InboxPolicy:
    """How far the reader may run ahead of the handlers."""

    section: ClassVar[str] = "INBOX"

    frames: int = option(8, "Frames read ahead while a handler runs.")
    bytes: int = option(
        262_144, "Bytes (characters, for text) read ahead. One frame of any size always fits."
    )
    warn_after: float = option(30.0, "Seconds the inbox may stay full before a warning is logged.")
    close_after: float | None = option(
        300.0,
        "Seconds the inbox may stay full before the connection is closed (3503). `None`: no limit.",
    )

    def __post_init__(self) -> None:
        check_count(self.section, "frames", self.frames, least=1)
        check_count(self.section, "bytes", self.bytes, least=1)
        check_seconds(self.section, "warn_after", self.warn_after)
        check_seconds(self.section, "close_after", self.close_after, optional=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class HandshakePolicy:
    """How long a consumer may take to accept or refuse."""

    section: ClassVar[str] = "HANDSHAKE"

    timeout: float | None = option(
        30.0,
        "Seconds from `websocket.connect` to `accept()` or `close()` before the handshake is "
        "refused. `None`: no limit.",
    )

    def __post_init__(self) -> None:
        check_seconds(self.section, "timeout", self.timeout, optional=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorsPolicy:
    """What happens when a handler fails or a client sends what cannot be read."""

    section: ClassVar[str] = "ERRORS"

    mode: ErrorMode = option(
        "isolate",
        "`isolate`: log, count, carry on. `close`: the first error closes the connection. `raise`: "
        "Channels' way, the exception leaves the application (after cleanup); for tests.",
    )
    budget: int = option(
        5, "Errors that a connection survives within `window`; one more closes it."
    )
    window: float = option(60.0, "Seconds after which an error no longer counts.")
    bad_input_reply: str | None = option(
        None, "Fixed text sent to the client whose frame could not be read. `None`: nothing."
    )
    error_reply: str | None = option(
        None, "Fixed text sent to the client whose frame made a handler fail. `None`: nothing."
    )

    def __post_init__(self) -> None:
        check_choice(self.section, "mode", self.mode, get_args(ErrorMode))
        check_count(self.section, "budget", self.budget, least=0)
        check_seconds(self.section, "window", self.window)
        for name in ("bad_input_reply", "error_reply"):
            check_text(self.section, name, getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerPolicy:
    """How failures of the channel layer are met."""

    section: ClassVar[str] = "LAYER"

    deadline: float = option(
        5.0,
        "Seconds a `group_send`, `send`, `group_add` or `group_discard` may take in all, retries "
        "included; then it fails with `LayerUnavailable`, or is done later (group membership).",
    )
    probe: float = option(
        5.0,
        "Seconds between two checks that group messages still arrive in this process. A lost one "
        "means that membership was lost, and every group is joined again.",
    )
    hold: float | None = option(
        None,
        "Seconds a connection is kept while the layer is down before it is closed (3504). `None`: "
        "for ever.",
    )
    pending: int = option(
        1000,
        "Calls per event loop that may wait for a layer that is down; one more fails at once with "
        "`LayerUnavailable`.",
    )

    def __post_init__(self) -> None:
        check_count(self.section, "pending", self.pending, least=0)
        check_seconds(self.section, "deadline", self.deadline)
        check_seconds(self.section, "probe", self.probe)
        check_seconds(self.section, "hold", self.hold, optional=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class TeardownPolicy:
    """How long the end of a connection may take."""

    section: ClassVar[str] = "TEARDOWN"

    timeout: float = option(
        8.0,
        "Seconds from the end of the connection to the end of its cleanup. Three quarters are for "
        "the handler that is still running, the rest to `on_disconnect` handlers, `disconnect()`, "
        "background tasks and groups. Keep it below Daphne's 10.",
    )

    def __post_init__(self) -> None:
        check_seconds(self.section, "timeout", self.timeout)
