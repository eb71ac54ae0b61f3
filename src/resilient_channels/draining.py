"""The end of a process, for its clients: told to go and when to come back, one after the other.

Servers end all connections at once, and all clients come back at once. A drain takes in no new
clients, closes the connections at even distances, tells each client when to return, and waits
until every consumer has cleaned up. A process is drained once; then it is there to be stopped.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from concurrent.futures import Future
from contextlib import suppress
from random import random
from threading import Lock
from typing import TYPE_CHECKING, Literal, Protocol, cast

from .conf import get_policies
from .core import events
from .core.codes import CloseCode
from .core.disconnects import DisconnectKind
from .core.link import State
from .core.options import MOST, is_number, is_time, show
from .core.refusal import Refusal
from .core.spread import make_spread
from .observers import notify
from .registry import registry

if TYPE_CHECKING:
    from .core.link import Link
    from .core.policies import Policies
    from .core.process_policies import DrainPolicy

POLL = 0.05
"""Seconds between two looks at whether everybody is gone."""

GRACE = 0.5
"""Seconds beyond ``TEARDOWN.timeout`` that the last cleanup is waited for."""

LAST_GRACE = 1.0
"""Seconds for the last closes after a drain was cut short: Granian does not finish them."""

LEAST_SPREAD = 5.0
"""Seconds over which those who are refused come back, at least: we may live on for a while."""

Cause = Literal["signal", "command", "call"]


class Client(Protocol):
    """What is known here about a connection."""

    id: str
    link: Link
    loop: asyncio.AbstractEventLoop
    policies: Policies
    handling: str | None
    refusal: str | None
    refusal_code: int | None

    async def close_orderly(self, code: int, kind: DisconnectKind, after: float = 0.0) -> None: ...


class Drain:
    """One process letting go of its clients.

    It runs on the event loop of most of them, whoever began it: the one who did may be gone first.

    Attributes:
        ended: Done when it is over; its result is how many connections were not cleaned up yet.
    """

    def __init__(self, cause: Cause, duration: float | None, returns: float | None) -> None:
        self.ended: Future[int] = Future()
        self.ended.set_running_or_notify_cancel()  # who stops waiting for it does not cancel it
        self._cause = cause
        self._clients = _find_clients()
        # Those whose handlers are at work come first: they have the longest way to go. Who is
        # not in yet comes last.
        self._queue = deque(sorted(self._clients, key=_rank))
        self._spread = make_spread(len(self._clients), duration, returns)
        self._closed = 0
        # Whoever handles a signal is there to the end; whoever calls may not be.
        here = asyncio.get_running_loop()
        self._loop = here if cause == "signal" else _find_loop(self._clients)
        self._began = self._loop.time()
        self._skipped: asyncio.Future[float] = self._loop.create_future()
        if self._loop is here:
            self._start()
        else:
            self._loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        self._task = self._loop.create_task(self._run(), name="resilient_channels.drain")
        # Whatever became of it, cancelled before its first step among it.
        self._task.add_done_callback(lambda task: self._finish())

    @property
    def left(self) -> int:
        """How many connections are not cleaned up yet."""
        return sum(map(_is_there, self._clients))

    @property
    def remaining(self) -> float:
        """Seconds until the last connection is closed."""
        if self.ended.done():
            return 0.0
        return max(self._began + self._spread.duration - self._loop.time(), 0.0)

    def stay_away(self) -> float:
        """Seconds after which a client that comes now should try again, or try somebody else."""
        return self.remaining + random() * max(self._spread.returns, LEAST_SPREAD)

    def skip(self) -> None:
        """Close all the rest at once, and be done. May be called on any thread."""
        if self._loop.is_running():
            with suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._skip)
        else:
            self._finish()  # nobody is there any more who could

    def _skip(self) -> None:
        if not self._skipped.done() and not self.ended.done():
            self._skipped.set_result(self._loop.time())
            notify(events.DrainSkipped(left=len(self._queue)))

    # --- from the first close to the last cleanup ----------------------------------------------

    async def _run(self) -> None:
        try:
            await self._let_all_go()
        except Exception as error:  # noqa: BLE001  # nobody comes in any more: nobody may be left
            self._loop.call_exception_handler({"message": "a drain failed", "exception": error})
            self._close_rest()
            await self._wait_until_gone()
            self._finish(error)
        finally:
            self._finish()

    async def _let_all_go(self) -> None:
        notify(
            events.DrainBegan(
                cause=self._cause,
                connections=len(self._clients),
                duration=round(self._spread.duration, 3),
            )
        )
        await self._close_all()
        await self._wait_until_gone()
        notify(
            events.DrainEnded(
                closed=self._closed,
                left=self.left,
                seconds=round(self._loop.time() - self._began, 3),
            )
        )

    def _finish(self, failure: Exception | None = None) -> None:
        """It is over, once; whoever is left because the loop ends is closed now."""
        if self.ended.done():
            return
        self._close_rest()
        self._clients = list(filter(_is_there, self._clients))
        if failure is None:
            self.ended.set_result(len(self._clients))
        else:
            self.ended.set_exception(failure)

    def _close_rest(self) -> None:
        while self._queue:
            # Each is closed, whatever it was that went wrong.
            with suppress(Exception):
                self._let_go(self._queue.popleft(), random() * self._spread.returns)

    async def _close_all(self) -> None:
        queue = self._queue
        while queue:
            elapsed = self._loop.time() - self._began
            due = self._spread.due(elapsed, self._closed)
            if self._skipped.done():
                due = len(queue)
            before = self._closed
            while queue and self._closed < before + due:
                after = self._spread.stay_away(elapsed, self._closed, random())
                self._let_go(queue.popleft(), after)
            if queue:
                wait = self._spread.wait(elapsed, self._closed, self._closed - before)
                await self._pause(wait)

    def _let_go(self, client: Client, after: float) -> None:
        if client.link.is_over or not _is_there(client):
            return
        self._closed += 1
        if client.loop is self._loop:
            _close(client, after)
        else:
            with suppress(RuntimeError):  # it has just ended
                client.loop.call_soon_threadsafe(_close, client, after)

    async def _wait_until_gone(self) -> None:
        patience = max((client.policies.teardown.timeout for client in self._clients), default=0)
        give_up = self._loop.time() + patience + GRACE
        while self.left and self._loop.time() < give_up:
            if self._skipped.done():
                give_up = min(give_up, self._skipped.result() + LAST_GRACE)
            await asyncio.sleep(POLL)

    async def _pause(self, seconds: float) -> None:
        await asyncio.wait({self._skipped}, timeout=seconds)


def _find_clients() -> list[Client]:
    """Who is there; those who were refused know it already."""
    clients = cast("list[Client]", list(registry))
    return [client for client in clients if client.refusal is None and _is_there(client)]


def _find_loop(clients: list[Client]) -> asyncio.AbstractEventLoop:
    """The running loop of most *clients*; with none of them, the one that runs here."""
    here = asyncio.get_running_loop()
    loops = Counter(client.loop for client in clients if client.loop.is_running())
    if not loops:
        return here
    most = max(loops.values())
    return here if loops[here] == most else max(loops, key=loops.__getitem__)


def _is_there(client: Client) -> bool:
    """Whether a connection is not cleaned up yet, and can be."""
    return client.id in registry and not client.loop.is_closed()


def _rank(client: Client) -> int:
    if client.link.state is State.CONNECTING:
        return 2
    return 0 if client.handling is not None else 1


def _close(client: Client, after: float) -> None:
    if client.link.state is State.CONNECTING:
        client.refusal, client.refusal_code = "draining", CloseCode.RESTART.value
    # Nothing is wrong with this client: what was read is handled, what waits for it is written.
    closing = client.close_orderly(CloseCode.RESTART.value, DisconnectKind.DRAIN, after)
    registry.keep(client.loop.create_task(closing))


# --- the one drain of this process ----------------------------------------------------------------

_lock = Lock()
_drain: Drain | None = None


def read_options() -> DrainPolicy:
    """The options of this process."""
    return get_policies(Drain).drain


def begin(cause: Cause, duration: float | None = None, returns: float | None = None) -> Drain:
    """Begin the drain of this process on the running loop, or join the one that has begun."""
    global _drain  # a process ends once
    options = read_options()
    with _lock:
        if _drain is None:
            _drain = Drain(
                cause,
                options.duration if duration is None else duration,
                options.spread if returns is None else returns,
            )
        return _drain


def get_drain() -> Drain | None:
    """The drain of this process; ``None`` before it began."""
    return _drain


def forget() -> None:
    """Begin anew, as in a new process. For tests."""
    global _drain
    _drain = None


def find_draining(connection: object) -> Refusal | None:
    """Why a new connection is refused: the process is going away."""
    if _drain is None:
        return None
    return Refusal("draining", CloseCode.RESTART.value, 503, after=_drain.stay_away())


def count_clients() -> int:
    """How many connections there are, without those that were refused."""
    return len(_find_clients())


async def drain(*, duration: float | None = None, spread: float | None = None) -> int:
    """Let go of all clients of this process, and return when that is done.

    New ones are refused from now on, for as long as the process lives. Each open one is told to
    come back, closed with 3512, and cleaned up. If a drain has begun already, this waits for it.
    It goes on if whoever called is cancelled, or its event loop ends.

    Args:
        duration: Seconds over which the closes are spread, instead of ``DRAIN.duration``; with 0
            all are closed at once.
        spread: Seconds over which clients come back, instead of ``DRAIN.spread``.

    Returns:
        How many connections were not cleaned up in time; normally 0.

    Raises:
        TypeError, ValueError: An argument is no number of seconds.
    """
    _check_seconds("duration", duration)
    _check_seconds("spread", spread)
    return await asyncio.wrap_future(begin("call", duration, spread).ended)


def _check_seconds(name: str, value: object) -> None:
    if value is not None and not is_time(value):
        refusal = ValueError if is_number(value) else TypeError
        raise refusal(f"{name} must be from 0 to {MOST} seconds or None, not {show(value)}")
