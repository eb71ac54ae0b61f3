"""The socket by which ``manage.py resilient_drain`` reaches a process.

One word in, one line of JSON out::

    look\\n    ->  {"pid": 17, "connections": 500, "state": "serving", "remaining": null}
    drain\\n   ->  the same, and the drain begins
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from . import draining
from .control_directory import (
    IS_POSSIBLE,
    bind_socket,
    connect,
    find_directory,
    is_marked_since,
    make_directory,
    sweep,
)

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 5.0
"""Seconds that one question and its answer may take."""

_began = time.time()


class ControlSocket:
    """Answers commands, on the running loop.

    Raises:
        OSError: There is no place for a socket.
    """

    def __init__(self, directory: Path, *, is_configured: bool) -> None:
        make_directory(directory, is_configured=is_configured)
        sweep(directory)
        self._loop = asyncio.get_running_loop()
        self._listener, self._path = bind_socket(directory)
        self._owner = os.getpid()
        self._answers: set[asyncio.Task[None]] = set()
        self._loop.add_reader(self._listener.fileno(), self._accept)
        atexit.register(self.remove)

    def remove(self) -> None:
        """Remove the socket: the process is about to end."""
        if os.getpid() == self._owner:  # not in a child
            self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # it has changed its mind
        if not _may_ask(client):
            client.close()
            return
        client.setblocking(False)
        task = self._loop.create_task(_answer(client), name="resilient_channels.control")
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)


async def _answer(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE):
            word = (await loop.sock_recv(client, 64)).decode("ascii", "replace").strip()
            if word == "drain":
                draining.begin("command")
            answer = json.dumps(describe() if word in ("drain", "look") else {})
            await loop.sock_sendall(client, f"{answer}\n".encode())
    except (OSError, TimeoutError):
        return
    finally:
        client.close()


def _may_ask(client: socket.socket) -> bool:
    """Whether the peer is our own user, or root. The directory lets in nobody else, either."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return user in (os.geteuid(), 0)


def describe() -> dict[str, Any]:
    """What this process tells about itself."""
    drain = draining.get_drain()
    state = "serving" if drain is None else "drained" if drain.ended.done() else "draining"
    return {
        "pid": os.getpid(),
        "connections": draining.count_clients(),
        "state": state,
        "remaining": None if drain is None else round(drain.remaining, 3),
    }


def was_told_before() -> bool:
    """Whether this process was to be drained before it could be reached."""
    if not IS_POSSIBLE:
        return False
    directory = find_directory(draining.read_options().directory)
    return is_marked_since(directory, _began)


def ask(path: Path, word: str, timeout: float = PATIENCE) -> dict[str, Any] | None:
    """Ask the process behind *path*; ``None`` if it has gone.

    Raises:
        TimeoutError: It does not answer.
    """
    client = connect(path, timeout)
    if client is None:
        return None
    with client:
        try:
            client.sendall(f"{word}\n".encode())
            line = client.makefile("rb").readline()
        except (ConnectionError, BrokenPipeError):
            return None
    found: dict[str, Any] | None = json.loads(line) if line else None
    return found
