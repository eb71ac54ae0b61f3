"""The load: many WebSockets on bare sockets, in one thread, as cheap as Python allows.

A client slower than the server would measure itself. So frames are prebuilt, an expected answer
is recognised by comparing bytes, and only what differs is parsed.
"""

from __future__ import annotations

import re
import select
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tour import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

OURS = "resilient.v1"
# What clients send must be masked; a mask of zeros leaves the payload readable, and costs the
# server what any mask costs.
ZEROS = bytes(4)
CONTROL = b"\x1e"
NAP = 0.001
PING = re.compile(rb'\x1e\{"type":"ping","n":([^,}]+)')


class LoadFailed(RuntimeError):
    """The server did not do what the load needs."""


def masked(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame, up to 65,535 bytes."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes([0x80 | opcode]) + length + ZEROS + payload


def unmasked(payload: bytes) -> bytes:
    """Return a server's frame of text, up to 65,535 bytes."""
    return frames.encode(frames.TEXT, payload, masked=False)


HELLO = masked(frames.TEXT, CONTROL + b'{"type":"hello","version":1}')


@dataclass(slots=True, eq=False)
class Wire:
    """One open WebSocket.

    Attributes:
        texts: Application messages that came.
        pings: Heartbeats that came and were answered.
        listen: Is given each application message.
    """

    raw: socket.socket
    buffer: bytearray = field(default_factory=bytearray)
    texts: int = 0
    pings: int = 0
    listen: Callable[[bytes], None] | None = None

    def take(self, data: bytes) -> None:
        """Count and answer what came."""
        self.buffer += data
        while (frame := frames.take(self.buffer)) is not None:
            if frame.opcode == frames.TEXT and frame.payload.startswith(CONTROL):
                self._obey(frame.payload)
            elif frame.opcode in (frames.TEXT, frames.BINARY):
                self.texts += 1
                if self.listen is not None:
                    self.listen(frame.payload)
            elif frame.opcode == frames.PING:
                self.raw.send(masked(frames.PONG, frame.payload))
            elif frame.opcode == frames.CLOSE:
                raise LoadFailed(f"closed by the server: {frames.read_close(frame.payload)}")

    def _obey(self, control: bytes) -> None:
        if (ping := PING.match(control)) is not None:
            self.pings += 1
            pong = CONTROL + b'{"type":"pong","n":' + ping[1] + b"}"
            self.raw.send(masked(frames.TEXT, pong))
        elif b'"hello"' in control:
            self.raw.send(HELLO)


class Crowd:
    """Many connections, to one or several servers; a context manager that closes them."""

    def __init__(self) -> None:
        self.wires: dict[int, Wire] = {}
        self._poll = select.epoll()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._poll.close()
        for wire in self.wires.values():
            wire.raw.close()

    def open(
        self, port: int, work: str, numbers: Iterable[int], *, negotiated: bool = False
    ) -> list[Wire]:
        """Open one connection per number; a *negotiated* one speaks the library's protocol."""
        opened = []
        for number in numbers:
            wire = shake_hands(port, f"/{work}/{number}", OURS if negotiated else None)
            self.add(wire)
            opened.append(wire)
        return opened

    def gather(
        self, port: int, work: str, numbers: range, *, negotiated: bool = False
    ) -> list[Wire]:
        """The same, answering meanwhile: where it takes longer than somebody's patience."""
        opened = []
        for number in numbers:
            opened += self.open(port, work, [number], negotiated=negotiated)
            if number % 25 == 0:
                self.serve(0.001)
        return opened

    def add(self, wire: Wire) -> None:
        """Take care of a connection that is open."""
        self.wires[wire.raw.fileno()] = wire
        self._poll.register(wire.raw, select.EPOLLIN)

    def forget(self, wires: Iterable[Wire]) -> None:
        """Read nothing more from these; whoever asks for that closes them."""
        for wire in wires:
            del self.wires[wire.raw.fileno()]
            self._poll.unregister(wire.raw)

    def serve(self, seconds: float) -> None:
        """Answer whatever comes, for a while."""
        for wire, data in self.read(time.monotonic() + seconds):
            wire.take(data)

    def serve_until(self, reached: Callable[[], bool], deadline: float) -> None:
        """Answer whatever comes until *reached*.

        Raises:
            LoadFailed: It was not, within *deadline* seconds.
        """
        give_up = time.monotonic() + deadline
        while not reached():
            if time.monotonic() > give_up:
                raise LoadFailed(f"{len(self.wires)} connections: not reached in {deadline} s")
            self.serve(0.05)

    def echo(self, text: str, seconds: float) -> int:
        """Keep one message in flight on each connection for a while; return how many came back."""
        payload = text.encode()
        message = masked(frames.TEXT, payload)
        expected = bytes([0x80 | frames.TEXT, len(payload)]) + payload
        for wire in self.wires.values():
            wire.raw.send(message)
        stop = time.monotonic() + seconds
        waiting, count = len(self.wires), 0
        for wire, data in self.read(stop + 20.0):
            if data == expected:
                answers = 1
            else:
                before = wire.texts
                wire.take(data)
                answers = wire.texts - before
                if not answers:
                    continue
            count += answers
            if time.monotonic() < stop:
                wire.raw.send(message)
            else:
                waiting -= 1
                if not waiting:
                    return count
        raise LoadFailed(f"{waiting} messages were not answered")

    def hear(self, expected: bytes, count: int, deadline: float = 60.0) -> None:
        """Read until *count* messages have come, most of them to the byte as *expected*.

        The client sleeps between looks, so that the server's CPU time is not that of waking it up.
        A client on another machine would not be woken by the server either.

        Raises:
            LoadFailed: They did not within *deadline* seconds, or one came twice.
        """
        for wire, data in self.read(time.monotonic() + deadline, nap=NAP):
            if data == expected and not wire.buffer:
                count -= 1
            else:
                before = wire.texts
                wire.take(data)
                count -= wire.texts - before
            if count <= 0:
                break
        if count:
            raise LoadFailed(f"of the messages, {count} are missing after {deadline} s")

    def read(self, until: float, nap: float = 0.0) -> Iterator[tuple[Wire, bytes]]:
        """Yield what comes, and where, until that moment of the monotonic clock."""
        wires, poll, now = self.wires, self._poll.poll, time.monotonic
        while (left := until - now()) > 0:
            if nap:
                time.sleep(nap)
            for number, _ in poll(0 if nap else left):
                wire = wires[number]
                data = wire.raw.recv(65_536)
                if not data:
                    raise LoadFailed("the server ended a connection")
                yield wire, data


def shake_hands(port: int, path: str, subprotocol: str | None) -> Wire:
    """Open one WebSocket.

    Raises:
        LoadFailed: The server refused, or chose another subprotocol.
    """
    raw = socket.create_connection(("127.0.0.1", port), timeout=20)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    offer = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    raw.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        data = raw.recv(65_536)
        if not data:
            raise LoadFailed(f"no answer to {path}: {head[:200]!r}")
        head += data
    head, _, rest = head.partition(b"\r\n\r\n")
    if b" 101 " not in head.split(b"\r\n", 1)[0]:
        raise LoadFailed(f"the server refused {path}: {head[:200]!r}")
    if subprotocol and subprotocol.encode() not in head:
        raise LoadFailed(f"the server did not choose {subprotocol}")
    wire = Wire(raw)
    wire.take(rest)
    return wire
