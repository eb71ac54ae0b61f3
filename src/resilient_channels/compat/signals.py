"""How a server comes to hear of a signal, and how to come before it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Handle

Callback = Callable[[], None]


class Place(Protocol):
    """Our place in front of the server's own handler."""

    def pass_on(self) -> None:
        """Let the server have the signal, once, and step back if nobody came before us since."""


def take_place(loop: AbstractEventLoop, signum: int, callback: Callback) -> Place | None:
    """Have *callback* called, on *loop*, for every *signum* that the server would have got.

    To be called on the main thread, in which *loop* runs. ``None`` if there is no handler that
    could be given the signal later: then nothing was changed.
    """
    handler = signal.getsignal(signum)
    if not callable(handler) or handler is signal.default_int_handler:
        return None
    if not _is_loops_own(handler, loop):
        return _PythonHandler(loop, signum, callback, handler)
    handles = getattr(loop, "_signal_handlers", None)
    if handles is not None:
        return _LoopHandler(loop, signum, callback, handles)
    # uvloop keeps its handlers to itself. Servers that use them mean the same by both signals.
    if signum == signal.SIGTERM and _is_loops_own(signal.getsignal(signal.SIGINT), loop):
        return _LoopTwin(loop, callback)
    return None


def _is_loops_own(handler: Any, loop: AbstractEventLoop) -> bool:
    """Whether *handler* is what ``loop.add_signal_handler`` leaves with Python."""
    noop = getattr(sys.modules.get("asyncio.unix_events"), "_sighandler_noop", None)
    return (noop is not None and handler is noop) or getattr(handler, "__self__", None) is loop


class _PythonHandler:
    """In front of a handler set by ``signal.signal``: Uvicorn, Daphne."""

    def __init__(
        self, loop: AbstractEventLoop, signum: int, callback: Callback, handler: Callable[..., Any]
    ) -> None:
        self._loop = loop
        self._signum = signum
        self._callback = callback
        self._handler = handler
        signal.signal(signum, self._hear)

    def _hear(self, signum: int, frame: Any) -> None:
        # Between any two instructions of whatever runs: nothing is done here but to wake the loop.
        try:
            if not self._loop.is_running():
                raise RuntimeError("there is nobody who could do anything first")
            self._loop.call_soon_threadsafe(self._callback)
        except RuntimeError:
            self._handler(signum, frame)

    def pass_on(self) -> None:
        if signal.getsignal(self._signum) == self._hear:
            signal.signal(self._signum, self._handler)
            signal.raise_signal(self._signum)
        else:
            self._handler(self._signum, None)


class _LoopHandler:
    """In front of a handler set by ``loop.add_signal_handler``: Hypercorn, Granian."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        signum: int,
        callback: Callback,
        handles: dict[int, Handle],
    ) -> None:
        self._signum = signum
        self._handles = handles
        self._servers = handles[signum]
        loop.add_signal_handler(signum, callback)
        self._ours = handles[signum]

    def pass_on(self) -> None:
        if self._handles.get(self._signum) is self._ours:
            self._handles[self._signum] = self._servers
        self._servers._run()


class _LoopTwin:
    """The same on uvloop: the server is given SIGINT instead."""

    def __init__(self, loop: AbstractEventLoop, callback: Callback) -> None:
        loop.add_signal_handler(signal.SIGTERM, callback)

    def pass_on(self) -> None:
        signal.raise_signal(signal.SIGINT)
