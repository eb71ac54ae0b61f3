"""Who is in this process: how many of each user and each address, and how many a second.

What is counted are clients, not consumers: a consumer and a middleware around it, or two
consumers on the same socket, share one seat.
"""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .addresses import find_address
from .core.admission_events import ConnectionReplaced
from .core.arrivals import Arrivals
from .core.codes import CloseCode
from .core.disconnects import DisconnectKind
from .core.headcount import Headcount
from .core.networks import crowd_of
from .core.rate import default_burst
from .core.refusal import Refusal
from .observers import notify
from .users import identify_user

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from .connection import Connection
    from .core.policies import Policies

USER, ADDRESS = "user limit", "address limit"
REPLACED = "replaced"

current_seat: ContextVar[Seat | None] = ContextVar("resilient_channels_seat", default=None)
"""That of the connection around. A seat that was given back holds nothing any more."""


class Seat:
    """One client's place among all.

    Attributes:
        holders: The connections that are at work on its socket, the innermost last.
        lender: A middleware that stepped aside, until whoever takes over has sat down.
        keys: What it is counted under.
        paid: The limits per second that it has passed.
        is_taken: Whether a newer client has taken the place.
        is_over: Whether it was given back.
    """

    __slots__ = ("holders", "is_over", "is_taken", "keys", "lender", "paid")

    def __init__(self) -> None:
        self.holders: list[Connection] = []
        self.lender: Connection | None = None
        self.keys: tuple[Hashable, ...] = ()
        self.paid: tuple[str, ...] = ()
        self.is_taken = False
        self.is_over = False


class Crowds:
    """The seats of this process. Calls may come from several event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present: Headcount[Seat] = Headcount()
        self._seats: dict[str, Seat] = {}  # by connection
        self._arrivals: dict[str, tuple[Arrivals, float, float]] = {}  # by where the limit stands

    def __len__(self) -> int:
        return len(self._seats) + len(self._present)

    def enter(self, connection: Connection) -> Refusal | None:
        """Count *connection* in, unless one of its limits is against it."""
        limits = connection.policies.limits
        seat = current_seat.get()
        if seat is not None and seat.is_over:
            seat = None  # of an earlier connection in the same task
        counted = (limits.connections_per_user, limits.connections_per_address)
        if seat is None and counted == (None, None) and limits.new_per_second is None:
            return None
        with self._lock:
            if seat is not None and seat.is_taken:
                return Refusal(REPLACED, CloseCode.REPLACED.value, 409)
            known = () if seat is None else seat.keys
            rules = [rule for rule in _find_rules(connection) if rule[0] not in known]
            if limits.when_full == "refuse":
                for key, limit, cause in rules:
                    if self._present.count(key) >= limit:
                        return Refusal(cause, CloseCode.TOO_MANY_CONNECTIONS.value, 429)
            refusal = self._ask_for_time(connection, () if seat is None else seat.paid)
            if refusal is not None:
                return refusal
            replaced = [
                (loser, cause) for key, limit, cause in rules for loser in self._free(key, limit)
            ]
            self._sit_down(connection, seat, [key for key, _, _ in rules])
        for loser, cause in replaced:
            _close(loser, cause)
        return None

    def lend(self, connection: Connection) -> None:
        """Leave the seat of *connection* to whoever takes the connection over."""
        seat = self._seats.get(connection.id)
        if seat is not None:
            with self._lock:
                seat.holders.remove(connection)
                seat.lender = connection

    def leave(self, connection: Connection) -> None:
        """*connection* is over; to be told more than once does no harm."""
        seat = self._seats.pop(connection.id, None)
        if seat is None:
            return
        with self._lock:
            if connection in seat.holders:
                seat.holders.remove(connection)
            if seat.lender is connection:
                seat.lender = None
            if not seat.holders and seat.lender is None:
                self._clear(seat)
                seat.is_over = True

    def _sit_down(self, connection: Connection, seat: Seat | None, keys: list[Hashable]) -> None:
        if seat is None:
            seat = Seat()
            current_seat.set(seat)
        if seat.lender is not None:
            self._seats.pop(seat.lender.id, None)
            seat.lender = None
        seat.holders.append(connection)
        seat.keys = (*seat.keys, *keys)
        if connection.policies.limits.new_per_second is not None:
            seat.paid = (*seat.paid, _place(connection.policies, "new_per_second"))
        for key in keys:
            self._present.add(key, seat)
        self._seats[connection.id] = seat

    def _clear(self, seat: Seat) -> None:
        for key in seat.keys:
            self._present.remove(key, seat)

    def _free(self, key: Hashable, limit: int) -> Iterator[Seat]:
        """Make room for one more under *key*; who has to go for it."""
        while self._present.count(key) >= limit:
            loser = self._present.oldest(key)
            loser.is_taken = True
            self._clear(loser)
            yield loser

    def _ask_for_time(self, connection: Connection, paid: tuple[str, ...]) -> Refusal | None:
        """Whether it comes too soon after too many others."""
        limits = connection.policies.limits
        rate, place = limits.new_per_second, _place(connection.policies, "new_per_second")
        if rate is None or place in paid:
            return None
        now = connection.loop.time()
        burst = float(limits.new_burst or default_burst(rate))
        if place not in self._arrivals:
            # What would be made anew just the same need not be kept.
            self._arrivals = {
                name: entry
                for name, entry in self._arrivals.items()
                if not entry[0].is_at_rest(*entry[1:], now)
            }
            self._arrivals[place] = (Arrivals(burst, now), rate, burst)
        arrivals = self._arrivals[place][0]
        self._arrivals[place] = (arrivals, rate, burst)
        if arrivals.admit(rate, burst, now):
            return None
        after = arrivals.delay(rate, random.random())
        return Refusal("too many at once", CloseCode.OVERLOAD.value, 503, after)


def _place(policies: Policies, option: str) -> str:
    """Where a limit is written; those who come under the same one are counted together."""
    return policies.places.get(option, "")


def _find_rules(connection: Connection) -> Iterator[tuple[Hashable, int, str]]:
    """What *connection* is counted under, how many of these there may be, and what that is."""
    policies, scope = connection.policies, connection.scope
    limits = policies.limits
    if limits.connections_per_user is not None:
        user = identify_user(scope)
        if user is not None:
            key = (USER, _place(policies, "connections_per_user"), user)
            yield key, limits.connections_per_user, USER
    if limits.connections_per_address is not None:
        address = find_address(scope, limits.trusted_proxies)
        if address is not None:
            key = (ADDRESS, _place(policies, "connections_per_address"), crowd_of(address))
            yield key, limits.connections_per_address, ADDRESS


def _close(seat: Seat, cause: str) -> None:
    """Close the connection of somebody whose place was taken."""
    for holder in seat.holders[-1:]:
        notify(ConnectionReplaced(**holder.who, cause=cause))
        with suppress(RuntimeError):  # its event loop is closed, and so is the connection
            holder.loop.call_soon_threadsafe(_close_holder, holder)


def _close_holder(holder: Connection) -> None:
    if not holder.link.accepted:
        holder.refusal, holder.refusal_code = REPLACED, CloseCode.REPLACED.value
    holder.close_soon(CloseCode.REPLACED.value, DisconnectKind.SERVER, discard=False)


crowds = Crowds()


def find_crowding(connection: Connection) -> Refusal | None:
    """Why there is no room for *connection*; else it is counted until it :func:`leaves <leave>`."""
    return crowds.enter(connection)


lend = crowds.lend
leave = crowds.leave
