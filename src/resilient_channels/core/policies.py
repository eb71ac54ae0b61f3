"""The options, and their defaults: one frozen dataclass per section of the settings.

Options are checked when they are made, so that a wrong value cannot travel. ``doc`` in a field's
metadata is the line in the settings reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

ErrorMode = Literal["isolate", "close", "raise"]


class PolicyError(ValueError):
    """An option that does not exist, or a value that makes no sense."""


def _option(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


def _check_seconds(section: str, name: str, value: object, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    valid = isinstance(value, int | float) and not isinstance(value, bool)
    # "not >" instead of "<=": NaN is refused too.
    if not valid or not cast("float", value) > 0 or value == float("inf"):
        allowed = "a positive number of seconds" + (" or None (off)" if optional else "")
        raise PolicyError(f"{section}.{name} must be {allowed}, not {value!r}")


def _check_count(section: str, name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PolicyError(f"{section}.{name} must be a whole number >= {least}, not {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SendPolicy:
    """How long a send may take."""

    section: ClassVar[str] = "SEND"

    deadline: float | None = _option(
        30.0,
        "Seconds one send may block before the peer is given up (code 3420). Any frame from the "
        "peer starts the time anew. `None`: no limit.",
    )

    def __post_init__(self) -> None:
        _check_seconds(self.section, "deadline", self.deadline, optional=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class InboxPolicy:
    """How far the reader may run ahead of the handlers."""

    section: ClassVar[str] = "INBOX"

    frames: int = _option(8, "Frames read ahead while a handler runs.")
    bytes: int = _option(
        262_144, "Bytes (characters, for text) read ahead. One frame of any size always fits."
    )
    warn_after: float = _option(30.0, "Seconds the inbox may stay full before a warning is logged.")
    close_after: float | None = _option(
        300.0,
        "Seconds the inbox may stay full before the connection is closed (3503). `None`: no limit.",
    )

    def __post_init__(self) -> None:
        _check_count(self.section, "frames", self.frames, least=1)
        _check_count(self.section, "bytes", self.bytes, least=1)
        _check_seconds(self.section, "warn_after", self.warn_after)
        _check_seconds(self.section, "close_after", self.close_after, optional=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class HandshakePolicy:
    """How long a consumer may take to accept or refuse."""

    section: ClassVar[str] = "HANDSHAKE"

    timeout: float | None = _option(
        30.0,
        "Seconds from `websocket.connect` to `accept()` or `close()` before the handshake is "
        "refused. `None`: no limit.",
    )

    def __post_init__(self) -> None:
        _check_seconds(self.section, "timeout", self.timeout, optional=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorsPolicy:
    """What happens when a handler fails or a client sends what cannot be read."""

    section: ClassVar[str] = "ERRORS"

    mode: ErrorMode = _option(
        "isolate",
        "`isolate`: log, count, carry on. `close`: the first error closes the connection. `raise`: "
        "Channels' way, the exception leaves the application (after cleanup); for tests.",
    )
    budget: int = _option(
        5, "Errors that a connection survives within `window`; one more closes it."
    )
    window: float = _option(60.0, "Seconds after which an error no longer counts.")
    bad_input_reply: str | None = _option(
        None, "Fixed text sent to the client whose frame could not be read. `None`: nothing."
    )
    error_reply: str | None = _option(
        None, "Fixed text sent to the client whose frame made a handler fail. `None`: nothing."
    )

    def __post_init__(self) -> None:
        if self.mode not in get_args(ErrorMode):
            allowed = ", ".join(repr(mode) for mode in get_args(ErrorMode))
            raise PolicyError(f"{self.section}.mode must be one of {allowed}, not {self.mode!r}")
        _check_count(self.section, "budget", self.budget, least=0)
        _check_seconds(self.section, "window", self.window)
        for name in ("bad_input_reply", "error_reply"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise PolicyError(f"{self.section}.{name} must be a str or None, not {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerPolicy:
    """How failures of the channel layer are met."""

    section: ClassVar[str] = "LAYER"

    deadline: float = _option(
        5.0,
        "Seconds a `group_send`, `send`, `group_add` or `group_discard` may take in all, retries "
        "included; then it fails with `LayerUnavailable`, or is done later (group membership).",
    )
    probe: float = _option(
        5.0,
        "Seconds between two checks that group messages still arrive in this process. A lost one "
        "means that membership was lost, and every group is joined again.",
    )
    hold: float | None = _option(
        None,
        "Seconds a connection is kept while the layer is down before it is closed (3504). `None`: "
        "for ever.",
    )

    def __post_init__(self) -> None:
        _check_seconds(self.section, "deadline", self.deadline)
        _check_seconds(self.section, "probe", self.probe)
        _check_seconds(self.section, "hold", self.hold, optional=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class TeardownPolicy:
    """How long the end of a connection may take."""

    section: ClassVar[str] = "TEARDOWN"

    timeout: float = _option(
        8.0,
        "Seconds from the end of the connection to the end of its cleanup. Three quarters are for "
        "the handler that is still running, the rest to `on_disconnect` handlers, `disconnect()`, "
        "background tasks and groups. Keep it below Daphne's 10.",
    )

    def __post_init__(self) -> None:
        _check_seconds(self.section, "timeout", self.timeout)


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """All sections; each attribute is named after its section."""

    send: SendPolicy = field(default_factory=SendPolicy)
    inbox: InboxPolicy = field(default_factory=InboxPolicy)
    handshake: HandshakePolicy = field(default_factory=HandshakePolicy)
    errors: ErrorsPolicy = field(default_factory=ErrorsPolicy)
    layer: LayerPolicy = field(default_factory=LayerPolicy)
    teardown: TeardownPolicy = field(default_factory=TeardownPolicy)


SECTIONS: dict[str, type[Any]] = {
    policy.section: policy
    for policy in (
        SendPolicy, InboxPolicy, HandshakePolicy, ErrorsPolicy, LayerPolicy, TeardownPolicy,
    )
}  # fmt: skip


def option_names(section: str) -> tuple[str, ...]:
    """The keys that a section knows."""
    return tuple(option.name for option in fields(SECTIONS[section]))


def build_section(section: str, values: Mapping[str, Any]) -> Any:
    """Make one section's policy from checked keys.

    Raises:
        PolicyError: A value makes no sense.
    """
    return SECTIONS[section](**values)
