"""The options for how much may go in and out, on one connection and in the whole process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from .networks import check_networks
from .options import check_choice, check_count, check_rate, check_texts_in, option

if TYPE_CHECKING:
    from collections.abc import Sequence

Overflow = Literal["close", "drop_oldest", "drop_newest", "coalesce"]
WhenFull = Literal["refuse", "newest_wins"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxPolicy:
    """How much may wait for a client that reads more slowly than it is told."""

    section: ClassVar[str] = "OUTBOX"

    messages: int = option(
        1000, "Frames of `broadcast()` and `safe_send(wait=False)` that may wait for one client."
    )
    bytes: int = option(
        1_048_576,
        "Bytes (characters, for text) of them. A lone frame of any size always fits. On Daphne "
        "also what may be on its way to a client that has not confirmed it.",
    )
    overflow: Overflow = option(
        "close",
        "What happens to a client for whom no more may wait. `close`: it is disconnected (3420). "
        "`drop_oldest`, `drop_newest`: frames are dropped and counted. `coalesce`: of frames with "
        "the same `key` only the latest waits; if that is not enough, `close`.",
    )
    process_bytes: int = option(
        268_435_456,
        "Bytes that may wait for all clients of a process. Beyond that the client with the most "
        "of them is disconnected (3420).",
        process_wide=True,
    )

    def __post_init__(self) -> None:
        check_count(self.section, "messages", self.messages, least=1)
        check_count(self.section, "bytes", self.bytes, least=1)
        check_choice(self.section, "overflow", self.overflow, get_args(Overflow))
        check_count(self.section, "process_bytes", self.process_bytes, least=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitsPolicy:
    """What clients may do, and how many may come. Everything is off by default."""

    section: ClassVar[str] = "LIMITS"

    message_bytes: int | None = option(
        None,
        "Bytes (characters, for text) of one frame from a client; a longer one closes the "
        "connection (3413). `None`: the server's own limit.",
    )
    json_depth: int | None = option(
        None,
        "How deep the arrays and objects of a JSON consumer's frame may be nested; a deeper one "
        "is bad input (see `ERRORS`). `None`: no limit.",
    )
    rate: float | None = option(
        None,
        "Frames per second that a client may send in the long run; more close the connection "
        "(3429). Answers to our own pings do not count. `None`: no limit.",
    )
    burst: int | None = option(
        None, "Frames that it may send at once. `None`: those of two seconds at `rate`."
    )
    groups: int | None = option(
        None,
        "Groups that a connection may be in; one more raises `GroupLimitExceeded`. `None`: no "
        "limit.",
    )
    connections_per_user: int | None = option(
        None, "Open connections of one authenticated user in this process. `None`: no limit."
    )
    connections_per_address: int | None = option(
        None,
        "Open connections from one address in this process; of IPv6, from one /64 network. `None`: "
        "no limit.",
    )
    when_full: WhenFull = option(
        "refuse",
        "What happens to one connection too many of a user or an address. `refuse`: it is refused "
        "(3428, or HTTP 429). `newest_wins`: the oldest one is closed (3409) and this one comes "
        "in.",
    )
    new_per_second: float | None = option(
        None,
        "Connections per second that this process accepts in the long run; more are refused "
        "(3503, or HTTP 503), and told when to try again. `None`: no limit.",
    )
    new_burst: int | None = option(
        None, "Connections that it accepts at once. `None`: those of two seconds."
    )
    trusted_proxies: Sequence[str] = option(
        tuple,
        "Networks (`10.0.0.0/8`) or addresses of reverse proxies whose `X-Forwarded-For` is "
        "believed; `unix:` for one on a Unix socket. Nobody's by default: then the address is that "
        "of the TCP connection.",
    )

    def __post_init__(self) -> None:
        for name in ("message_bytes", "json_depth", "burst", "new_burst"):
            check_count(self.section, name, getattr(self, name), least=1, optional=True)
        for name in ("groups", "connections_per_user", "connections_per_address"):
            check_count(self.section, name, getattr(self, name), least=1, optional=True)
        for name in ("rate", "new_per_second"):
            check_rate(self.section, name, getattr(self, name))
        check_choice(self.section, "when_full", self.when_full, get_args(WhenFull))
        check_texts_in(self.section, "trusted_proxies", self.trusted_proxies)
        check_networks(self.section, "trusted_proxies", self.trusted_proxies)
