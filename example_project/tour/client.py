"""A WebSocket client on a bare socket, able to misbehave in every way a real one can.

It speaks RFC 6455 by itself: no library stands between a test and the bytes on the wire. A
background task reads, answers pings, and queues what came for ``recv()``; ``stop_reading()``
ends that, as a frozen client does. A client with a ``Heart`` answers the library's heartbeats, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from . import frames
from .handshake import Dropped, Handshake, Refused, shake_hands
from .messages import Binary, Close, Ending, Eof, Received, Reset, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from .heart import Heart

__all__ = [
    "Binary", "Client", "Close", "Dropped", "Ending", "Eof", "Received", "Refused", "Reset", "Text",
    "connect",
]  # fmt: skip


async def connect(
    port: int,
    path: str = "/",
    *,
    host: str = "127.0.0.1",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    receive_buffer: int | None = None,
    heart: Heart | None = None,
    deadline: float = 10.0,
) -> Client:
    """Open a WebSocket.

    Args:
        heart: Takes what is a heartbeat's, so that ``recv()`` does not see it, and answers.
        receive_buffer: Bytes that the kernel may hold for us; small ones fill up soon once
            nobody reads.

    Raises:
        Refused: The server answered with an HTTP status.
        Dropped: The server ended the TCP connection instead of answering.
        TimeoutError: No answer within *deadline*.
    """
    target = f"{path}?{urlencode(query)}" if query else path
    handshake = Handshake(host, port, target, headers or {}, subprotocols)
    raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    raw.setblocking(False)
    if receive_buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        async with asyncio.timeout(deadline):
            rest = await shake_hands(raw, handshake)
    except BaseException:
        raw.close()
        raise
    return Client(raw, handshake, rest, heart)


class Client:
    """One open WebSocket; made by ``connect()``.

    Attributes:
        heart: What answers the library's heartbeats, if anything does.
        pings: Ping frames that came.
        pongs: Pong frames that came.
        answers_close: Whether a close frame of the server is echoed, as the protocol asks.
    """

    def __init__(
        self, raw: socket.socket, handshake: Handshake, rest: bytearray, heart: Heart | None = None
    ) -> None:
        self.handshake = handshake
        self.heart = heart
        self.pings = 0
        self.pongs = 0
        self.answers_close = True
        self._raw = raw
        self._buffer = rest
        self._message: list[frames.Frame] = []
        self._queue: asyncio.Queue[Received] = asyncio.Queue()
        self._end: Eof | Reset | None = None
        self._close_sent = False
        self._heard = asyncio.Event()
        self._beats: set[asyncio.Task[None]] = set()
        # Our answers to pings and closes must not land in the middle of a long message.
        self._writing = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = asyncio.create_task(self._read())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose."""
        return self.handshake.answer.get("sec-websocket-protocol")

    # What goes out

    async def send_raw(self, data: bytes) -> None:
        """Write bytes as they are; ConnectionError when the server is gone."""
        async with self._writing:
            await asyncio.get_running_loop().sock_sendall(self._raw, data)

    async def send_frame(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        """Write one frame; *options* as in ``frames.encode``."""
        await self.send_raw(frames.encode(opcode, payload, **options))

    async def send_text(self, text: str) -> None:
        """Send a text message."""
        await self.send_frame(frames.TEXT, text.encode())

    async def send_json(self, content: object) -> None:
        """Send a text message that holds JSON."""
        await self.send_text(json.dumps(content))

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        await self.send_frame(frames.BINARY, data)

    async def ping(self, data: bytes = b"") -> None:
        """Send a ping frame; its answer counts in ``pongs``."""
        await self.send_frame(frames.PING, data)

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame, once, and do not wait for the answer."""
        if not self._close_sent:
            self._close_sent = True
            await self.send_frame(frames.CLOSE, frames.close_payload(code, reason))

    # What comes in

    async def recv(self, deadline: float = 5.0) -> Received:
        """Return what came next; after the end, the end again.

        Raises:
            TimeoutError: Nothing came within *deadline*.
        """
        if self._end is not None and self._queue.empty():
            return self._end
        async with asyncio.timeout(deadline):
            return await self._queue.get()

    async def recv_json(self, deadline: float = 5.0) -> Any:
        """Return the next message's JSON; ConnectionError when something else came."""
        received = await self.recv(deadline)
        if not isinstance(received, Text):
            raise ConnectionError(f"expected a text message, got {received!r}")
        return json.loads(received.data)

    async def until(
        self, wanted: Callable[[Received], bool], deadline: float = 5.0
    ) -> tuple[list[Received], Received]:
        """Read until *wanted* holds or the connection ends.

        Returns:
            What was read before, and the message that ended the search.
        """
        before: list[Received] = []
        async with asyncio.timeout(deadline):
            while True:
                received = await self.recv(deadline)
                if wanted(received) or isinstance(received, Eof | Reset):
                    return before, received
                before.append(received)

    async def ended(self, deadline: float = 5.0) -> Ending:
        """Read to the end of the TCP connection."""
        before, last = await self.until(lambda _: False, deadline)
        close = next((item for item in before if isinstance(item, Close)), None)
        return Ending(close, last if isinstance(last, Eof | Reset) else Eof())

    async def ponged(self, count: int, deadline: float = 5.0) -> None:
        """Wait until *count* pongs have come, or the connection has ended."""
        async with asyncio.timeout(deadline):
            while self.pongs < count and self._end is None:
                self._heard.clear()
                await self._heard.wait()

    # Ways to leave

    async def fin(self) -> None:
        """End our half of the TCP connection, without a close frame."""
        with contextlib.suppress(OSError):
            self._raw.shutdown(socket.SHUT_WR)

    async def rst(self) -> None:
        """Tear the TCP connection down with a reset."""
        await self.stop_reading()
        with contextlib.suppress(OSError):
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._raw.close()
        self._end = self._end or Reset()

    async def stop_reading(self) -> None:
        """Take nothing more from the socket, and answer no pings, but keep it open."""
        reader, self._reader = self._reader, None
        tasks = [*self._beats, *([reader] if reader is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def read_on(self) -> None:
        """Thaw after ``stop_reading()``."""
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())

    async def aclose(self) -> None:
        """Release the socket, whatever its state."""
        await self.stop_reading()
        self._raw.close()

    # The reader

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                while (frame := frames.take(self._buffer)) is not None:
                    await self._take(frame)
                chunk = await loop.sock_recv(self._raw, 262_144)
                if not chunk:
                    self._finish(Eof())
                    return
                self._buffer += chunk
        except OSError:
            self._finish(Reset())

    def _finish(self, end: Eof | Reset) -> None:
        self._end = end
        self._queue.put_nowait(end)
        self._heard.set()

    async def _take(self, frame: frames.Frame) -> None:
        if frame.opcode == frames.PING:
            self.pings += 1
            await self._answer(frames.PONG, frame.payload)
        elif frame.opcode == frames.PONG:
            self.pongs += 1
        elif frame.opcode == frames.CLOSE:
            self._queue.put_nowait(Close(*frames.read_close(frame.payload)))
            if self.answers_close and not self._close_sent:
                self._close_sent = True
                await self._answer(frames.CLOSE, frame.payload)
        else:
            self._message.append(frame)
            if frame.fin:
                await self._receive(self._assemble())
        self._heard.set()

    async def _receive(self, message: Text | Binary) -> None:
        if self.heart is not None and isinstance(message, Text):
            is_heartbeat, answer = self.heart.beat(message.data)
            if answer is not None:
                await self._beat(answer.encode(), self.heart.delay)
            if is_heartbeat:
                return
        self._queue.put_nowait(message)

    async def _beat(self, answer: bytes, delay: float) -> None:
        if delay:
            task = asyncio.create_task(self._answer(frames.TEXT, answer, delay))
            self._beats.add(task)
            task.add_done_callback(self._beats.discard)
        else:
            await self._answer(frames.TEXT, answer)

    async def _answer(self, opcode: int, payload: bytes, delay: float = 0.0) -> None:
        if delay:
            await asyncio.sleep(delay)
        # The end of the connection is what recv() reports, not our answer's failure.
        with contextlib.suppress(OSError):
            await self.send_frame(opcode, payload)

    def _assemble(self) -> Text | Binary:
        message, self._message = self._message, []
        payload = b"".join(frame.payload for frame in message)
        if message[0].opcode == frames.TEXT:
            return Text(payload.decode(errors="replace"))
        return Binary(payload)
