"""One TCP connection through the proxy, and how it behaves while the link is what it is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

State = Literal["passing", "stalled", "dropping"]

HOST = "127.0.0.1"


class Link:
    """One connection through the proxy: a client's end and, once it passes, a server's end."""

    def __init__(self, accepted: socket.socket, target_port: Callable[[], int]) -> None:
        self.state: State = "passing"
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._target_port = target_port
        self._ends: tuple[End, End] | None = None
        self._passing = asyncio.Event()
        self._is_cut = False
        self._opening = asyncio.create_task(self._open(accepted))

    async def _open(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        sockets = [accepted]
        # A link that does not pass anything would not let us reach the server, either.
        await self._passing.wait()
        if not self._is_cut:
            server_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            server_socket.setblocking(False)
            sockets.append(server_socket)
            try:
                await loop.sock_connect(server_socket, (HOST, self._target_port()))
            except OSError:
                self._is_cut = True
        if self._is_cut:
            for unused in sockets:
                _reset_on_close(unused)
                unused.close()
            self.ended.set_result(None)
            return
        client, server = End(self), End(self)
        client.other, server.other = server, client
        self._ends = (client, server)
        for end, connected in zip(self._ends, sockets, strict=True):
            await loop.connect_accepted_socket(lambda end=end: end, connected)
        if self._is_cut:
            self.cut()

    def enter(self, state: State) -> None:
        """Behave like that from now on."""
        if self.state == "dropping":
            return  # its bytes are lost
        self.state = state
        if state == "passing":
            self._passing.set()
        else:
            self._passing.clear()
        for end in self._ends or ():
            end.adjust()

    def cut(self) -> None:
        """Reset both ends, whatever the state."""
        self._is_cut = True
        self._passing.set()
        for end in self._ends or ():
            end.reset()

    def heard_of_an_end(self) -> None:
        """Finish, once both ends are gone or have nothing more to say."""
        if self._ends is None or self.ended.done():
            return
        if all(end.is_gone for end in self._ends):
            self.ended.set_result(None)
        elif self.state != "dropping" and all(end.is_finished for end in self._ends):
            for end in self._ends:
                end.close()

    async def closed(self) -> None:
        """Wait until nothing of it is left."""
        await asyncio.wait([self._opening, self.ended])


class End(asyncio.Protocol):
    """One end of a link; what it hears goes out at the other.

    Attributes:
        is_gone: Whether its socket is closed.
        is_finished: Whether its peer sends no more.
    """

    other: End

    def __init__(self, link: Link) -> None:
        self.is_gone = False
        self.is_finished = False
        self._link = link
        self._transport: asyncio.Transport | None = None
        self._is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self.adjust()
        self.other.adjust()

    def data_received(self, data: bytes) -> None:
        if self._link.state != "dropping" and self.other._transport is not None:
            self.other._transport.write(data)

    def eof_received(self) -> bool:
        self.is_finished = True
        if self._link.state != "dropping" and self.other._transport is not None:
            self.other._transport.write_eof()
        self._link.heard_of_an_end()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self.is_gone = True
        if error is not None and self._link.state != "dropping":
            self.other.reset()
        self._link.heard_of_an_end()

    def pause_writing(self) -> None:
        self._is_full = True
        self.other.adjust()

    def resume_writing(self) -> None:
        self._is_full = False
        self.other.adjust()

    def adjust(self) -> None:
        """Read, or do not, as the link's state and the other end ask for."""
        if self._transport is None:
            return
        ready = self.other._transport is not None and not self.other._is_full
        if self._link.state == "dropping" or (self._link.state == "passing" and ready):
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def close(self) -> None:
        """Close in good order, behind what is still to be written."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Tear this end down with a reset."""
        if self._transport is not None and not self.is_gone:
            _reset_on_close(self._transport.get_extra_info("socket"))
            self._transport.abort()


def _reset_on_close(which: socket.socket) -> None:
    with contextlib.suppress(OSError):
        which.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
