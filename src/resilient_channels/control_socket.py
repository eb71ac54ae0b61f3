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
import selectors
import socket
import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from . import draining
from .control_directory import (
    IS_POSSIBLE,
    bind_socket,
    connect,
    find_directory,
    is_marked_since,
    make_directory,
    read_clock,
    sweep,
)
from .core.options import is_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Answer = dict[str, Any] | OSError | ValueError | None

PATIENCE = 5.0
"""Seconds that one question and its answer may take."""

LONGEST_ANSWER = 500

_began = read_clock() if IS_POSSIBLE else 0.0


def _begin_anew() -> None:
    """A forked child has heard nothing of what its parent was told."""
    global _began
    _began = read_clock()


if IS_POSSIBLE:
    os.register_at_fork(after_in_child=_begin_anew)


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
    try:
        directory = find_directory(draining.read_options().directory)
    except OSError:
        return False  # where there is no place, nobody has left a word
    return is_marked_since(directory, _began)


# --- who asks ------------------------------------------------------------------------------------


def ask(words: Mapping[Path, str], timeout: float = PATIENCE) -> dict[Path, Answer]:
    """What each process says to its word, all asked at the same time.

    For each an answer; ``None`` if it has gone; an ``OSError`` if it said nothing in time, a
    ``ValueError`` if it said what no process of ours says.
    """
    answers: dict[Path, Answer] = {}
    until = time.monotonic() + timeout
    with ExitStack() as opened, selectors.DefaultSelector() as waiting:
        for path, word in words.items():
            try:
                client = connect(path, timeout)
                answers[path] = None if client is None else TimeoutError()
                if client is not None:
                    opened.enter_context(client)
                    client.setblocking(False)
                    client.sendall(f"{word}\n".encode())
                    waiting.register(client, selectors.EVENT_READ, (client, path, bytearray()))
            except OSError as error:
                answers[path] = error
        while waiting.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                client, path, said = key.data
                try:
                    if _hear(client, said):
                        answers[path] = _understand(said)
                        waiting.unregister(client)
                except (OSError, ValueError) as error:
                    answers[path] = error
                    waiting.unregister(client)
    return answers


def _hear(client: socket.socket, said: bytearray) -> bool:
    """Whether it has finished what it says."""
    more = client.recv(LONGEST_ANSWER)
    said += more
    return not more or b"\n" in more or len(said) >= LONGEST_ANSWER


def _understand(said: bytearray) -> dict[str, Any]:
    if not said:
        raise ConnectionResetError("closed without an answer")
    match answer := json.loads(said):
        case {"connections": int(count), "state": str(), "remaining": remaining}:
            if count >= 0 and (remaining is None or is_time(remaining)):
                return cast("dict[str, Any]", answer)
    raise ValueError("an answer that no process of ours gives")
