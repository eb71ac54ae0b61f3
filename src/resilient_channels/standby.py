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
    from collections.abc import Mapping
    from typing import Any

_is_ready = False


def stand_by(scope: Mapping[str, Any]) -> None:
    """Get ready, once. *scope* is that of a connection which begins on the running loop."""
    global _is_ready
    if _is_ready or not compat.is_served(scope):
        return
    _is_ready = True
    if _is_wanted():
        control = _open_control()
        stand_before_server(control.remove if control is not None else _nothing)
        if was_told_before():
            draining.begin("command")


def _is_wanted() -> bool:
    mode = draining.read_options().mode
    if mode == "auto":
        return not settings.DEBUG and not compat.is_reloading(sys.argv, os.environ)
    return mode == "on"


def _open_control() -> ControlSocket | None:
    configured = draining.read_options().directory
    if not IS_POSSIBLE:
        return None
    directory = find_directory(configured)
    try:
        return ControlSocket(directory, is_configured=configured is not None)
    except (OSError, NotImplementedError) as error:
        notify(events.DrainUnreachable(directory=str(directory), error=type(error).__name__))
        return None


def _nothing() -> None:
    """There is no socket to remove."""
