"""Which threads have database connections open, and the visits that close the old ones.

Channels hops to a thread before each message, in case something is to be closed there. A Django
connection belongs to the thread that opened it, and Django tells when one is opened. So we know
without a hop whether there is anything to close, and the visit itself need not be waited for: an
executor runs what it is given in order, and so the visit before whatever the handler submits.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from django.db import connections
from django.db.backends.signals import connection_created

from . import compat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from django.db.backends.base.base import BaseDatabaseWrapper

VISIT_INTERVAL = 1.0
"""Seconds between visits to a thread whose connections seem to need nothing.

A database backend may have ideas of its own about when to close one.
"""


def is_open(connection: BaseDatabaseWrapper) -> bool:
    """Whether a connection object of Django, of any thread, holds a real connection."""
    return connection.connection is not None


def would_be_tended(connection: Any, since: float, now: float) -> bool:
    """Whether ``close_if_unusable_or_obsolete()`` would do anything about an open connection.

    It closes what has failed, is older than ``CONN_MAX_AGE`` or was left within a transaction; it
    has what was used since looked at before it is used again, if ``CONN_HEALTH_CHECKS`` says so.

    Args:
        since: When it was last called. It leaves some connections open however old they are.
    """
    end = connection.close_at
    return bool(
        connection.errors_occurred
        or (end is not None and since < end <= now)
        or (connection.health_check_enabled and connection.health_check_done)
        or connection.autocommit != connection.settings_dict["AUTOCOMMIT"]
    )


class Ledger:
    """The connections that one thread has open; written in that thread, read in any."""

    __slots__ = ("__weakref__", "_connections", "_visited_at")

    def __init__(self) -> None:
        self._connections: tuple[ReferenceType[BaseDatabaseWrapper], ...] = ()
        self._visited_at = -math.inf

    def opened(self, connection: BaseDatabaseWrapper) -> None:
        """This thread has opened *connection*: the next message is worth a visit."""
        known = (reference() for reference in self._connections)
        self._keep((*filter(None, known), connection), visited_at=-math.inf)

    def visited(self, visited_at: float) -> None:
        """From *visited_at* on, what was old has been closed in this thread."""
        self._keep(connections.all(initialized_only=True), visited_at=visited_at)

    def _keep(self, known: Iterable[BaseDatabaseWrapper], *, visited_at: float) -> None:
        with _lock:
            self._connections = tuple(ref(each) for each in known if is_open(each))
            self._visited_at = visited_at
            if self._connections:
                ledgers.add(ref(self, ledgers.discard))
            else:
                ledgers.discard(ref(self))

    def is_due(self, now: float) -> bool:
        """Whether a visit might find something to do."""
        if not self._connections:
            return False
        some_open = False
        for reference in self._connections:
            connection = reference()
            if connection is not None and is_open(connection):
                if would_be_tended(connection, self._visited_at, now):
                    return True
                some_open = True
        if some_open:
            return not 0 <= now - self._visited_at < VISIT_INTERVAL
        self._forget()
        return False

    def _forget(self) -> None:
        """Everything was closed by somebody else, such as ``database_sync_to_async``."""
        with _lock:
            known = (reference() for reference in self._connections)
            if not any(connection and is_open(connection) for connection in known):
                ledgers.discard(ref(self))


class _Here(threading.local):
    """The running thread's ledger, which ends with the thread."""

    def __init__(self) -> None:
        self.ledger = Ledger()


_lock = threading.RLock()
_here = _Here()

ledgers: set[ReferenceType[Ledger]] = set()
"""Those of threads in which a connection may be open. While it is empty no visit is due."""


def _note(connection: BaseDatabaseWrapper, **_: Any) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _here.ledger.opened(connection)
    # In a loop's own thread a connection belongs to a context, which no visit can reach.


connection_created.connect(_note, dispatch_uid="resilient_channels.databases")


class Visitor:
    """Closes what is old in the thread behind one executor."""

    __slots__ = ("_is_on_its_way", "_ledger")

    def __init__(self) -> None:
        self._is_on_its_way = False
        self._ledger: ReferenceType[Ledger] | None = None

    def is_due(self, now: float) -> bool:
        """Whether to go; until it has been there, nobody knows which thread it is."""
        ledger = self._ledger() if self._ledger is not None else None
        return ledger is None or ledger.is_due(now)

    def send(
        self, loop: asyncio.AbstractEventLoop, executor: Executor
    ) -> asyncio.Future[None] | None:
        """Start a visit; None if one is about to start anyway, or the thread has ended."""
        if self._is_on_its_way:
            return None
        self._is_on_its_way = True
        close = compat.read_close_old_connections()
        try:
            return loop.run_in_executor(executor, copy_context().run, self._visit, close)
        except RuntimeError:
            self._is_on_its_way = False
            return None

    def _visit(self, close: Callable[[], None]) -> None:
        # What is opened or fails from now on may have been too late for this visit.
        self._is_on_its_way = False
        ledger = _here.ledger
        self._ledger = ref(ledger)
        started = time.monotonic()
        try:
            close()
        finally:
            ledger.visited(started)


_visitors: WeakKeyDictionary[Executor, Visitor] = WeakKeyDictionary()


async def close_old_connections(
    loop: asyncio.AbstractEventLoop,
    tell_error: Callable[[BaseException], None],
    *,
    is_enclosed: bool,
    always: bool = False,
) -> None:
    """Have old connections closed before any database call that the caller makes from now on.

    Does not wait for the thread, which may be busy for long; unless that thread waits in an
    ``async_to_sync`` that encloses the caller: there, things happen in Channels' order.

    Args:
        tell_error: Called on the loop with what a visit raised.
        is_enclosed: Whether such a call may be under way; to find out costs more than the rest.
        always: Whether to go even if nothing seems to be open.
    """
    executor = compat.find_executor(loop, is_enclosed=is_enclosed)
    if executor is None:
        return
    visitor = _visitors.get(executor)
    if visitor is None:
        visitor = _visitors[executor] = Visitor()
    if not always and not visitor.is_due(time.monotonic()):
        return
    visit = visitor.send(loop, executor)
    if visit is None:
        return
    visit.add_done_callback(partial(_tell, tell_error))
    if compat.is_parents_executor(executor):
        await asyncio.wait([visit])


def _tell(tell_error: Callable[[BaseException], None], visit: asyncio.Future[None]) -> None:
    if not visit.cancelled() and (error := visit.exception()) is not None:
        tell_error(error)
