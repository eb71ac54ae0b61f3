"""What a process gets ready for its end, once it has something to lose.

That is when its first WebSocket begins. A process that serves none, or that is a test or a
command, has no handler and no file of ours.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from django.conf import settings

from . import compat, draining
from .control_directory import IS_POSSIBLE, find_directory
from .control_socket import ControlSocket, was_told_before
from .core import events
from .observers import notify
from .sigterm import stand_before_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_is_ready = False


def stand_by(scope: Mapping[str, Any]) -> None:
    """Get ready, once. *scope* is that of a connection which begins on the running loop.

    Never raises: what cannot be done is told, and costs no client its connection.
    """
    global _is_ready
    if _is_ready or not compat.is_served(scope):
        return
    _is_ready = True
    control = _Control()
    if _attempt(_is_wanted, control):
        # The signal first: it needs nothing, and no failure of the rest may cost us that.
        for step in (lambda: stand_before_server(control.remove), control.open, _catch_up):
            _attempt(step, control)


def _is_wanted() -> bool:
    mode = draining.read_options().mode
    if mode == "auto":
        return not settings.DEBUG and not compat.is_reloading(sys.argv, os.environ)
    return mode == "on"


def _attempt(step: Callable[[], object], control: _Control) -> object:
    try:
        return step()
    except Exception as error:  # noqa: BLE001  # whatever it is, a client is about to be served
        notify(events.DrainUnreachable(directory=control.place, error=type(error).__name__))
        return None


def _catch_up() -> None:
    """Do what a command has told us before we could be reached."""
    if was_told_before():
        draining.begin("command")


class _Control:
    """The socket of this process, as far as there is one.

    Attributes:
        place: Its directory, as far as it is known.
    """

    def __init__(self) -> None:
        self.place = ""
        self._socket: ControlSocket | None = None

    def open(self) -> None:
        """Open it, where the system has such sockets."""
        if not IS_POSSIBLE:
            return
        configured = draining.read_options().directory
        self.place = configured or ""
        directory = find_directory(configured)
        self.place = str(directory)
        self._socket = ControlSocket(directory, is_configured=configured is not None)

    def remove(self) -> None:
        """Remove it, if there is one."""
        if self._socket is not None:
            self._socket.remove()
