"""A TCP proxy that fails on demand, the way links do: torn, stalled, silent, refused.

    async with FaultProxy(server.port) as proxy:
        ...  # connect to proxy.port
        proxy.stall()

``ThreadedFaultProxy`` is the same for code without an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from .links import HOST, Link

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from .links import State


class FaultProxy:
    """Stands on a free loopback port in front of *target_port*; an async context manager.

    Its methods do not wait, and are to be called in its event loop.

    Attributes:
        target_port: Where new connections are led; may be changed at any time.
        port: Where it listens; the same after ``refuse()`` and ``resume()``.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self._state: State = "passing"
        self._links: set[Link] = set()
        self._listener: socket.socket | None = None

    async def __aenter__(self) -> Self:
        self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.refuse()
        links = set(self._links)
        self.cut()
        await asyncio.gather(*(link.closed() for link in links))

    @property
    def connections(self) -> int:
        """How many connections it holds."""
        return len(self._links)

    def cut(self) -> None:
        """Tear every connection down with a reset, on both sides; new ones are served."""
        for link in set(self._links):
            link.cut()

    def stall(self) -> None:
        """Hold every byte, and every end, in both directions until ``resume()``.

        New connections are accepted, and held as well. What a peer cannot write any more stays
        in its kernel, as with a link that is down and comes back.
        """
        self._enter("stalled")

    def drop(self) -> None:
        """Swallow everything in silence: nobody learns anything about the other, not even its end.

        A connection that has lost bytes is dead for good; ``resume()`` is for those that follow.
        """
        self._enter("dropping")

    def refuse(self) -> None:
        """Close the port; connections that are open stay as they are."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def resume(self) -> None:
        """Be a good link again, on the same port, and pass on what was held."""
        self._listen()
        self._enter("passing")

    def _enter(self, state: State) -> None:
        self._state = state
        for link in self._links:
            link.enter(state)

    def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((HOST, self.port))
        listener.listen(1024)
        self.port = listener.getsockname()[1]
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                accepted.setblocking(False)
                link = Link(accepted, lambda: self.target_port)
                link.enter(self._state)
                self._links.add(link)
                link.ended.add_done_callback(lambda _, link=link: self._links.discard(link))


class ThreadedFaultProxy:
    """A ``FaultProxy`` in a thread of its own, for synchronous code; a context manager."""

    def __init__(self, target_port: int) -> None:
        self._proxy = FaultProxy(target_port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._proxy.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._wait(self._proxy.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._proxy.port

    @property
    def connections(self) -> int:
        """How many connections it holds."""
        return self._proxy.connections

    def lead_to(self, target_port: int) -> None:
        """Lead new connections there."""
        self._proxy.target_port = target_port

    def cut(self) -> None:
        """See ``FaultProxy.cut``."""
        self._do(self._proxy.cut)

    def stall(self) -> None:
        """See ``FaultProxy.stall``."""
        self._do(self._proxy.stall)

    def drop(self) -> None:
        """See ``FaultProxy.drop``."""
        self._do(self._proxy.drop)

    def refuse(self) -> None:
        """See ``FaultProxy.refuse``."""
        self._do(self._proxy.refuse)

    def resume(self) -> None:
        """See ``FaultProxy.resume``."""
        self._do(self._proxy.resume)

    def _do(self, what: Callable[[], None]) -> None:
        async def done() -> None:
            what()

        self._wait(done())

    def _wait(self, work: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
