"""Ends the server in ways after which whoever started it starts another one."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Set by scripts/demo.py; without it nobody would start the server again.
STATUS = os.environ.get("DEMO_RESTART_STATUS")
SUPERVISOR = os.environ.get("DEMO_SUPERVISOR")
# The answer to the request that asked for this has to leave first.
DELAY = 0.2


def is_possible() -> bool:
    """Whether somebody waits for the server to end."""
    return STATUS is not None


def restart() -> None:
    """Die in a moment, as if killed: no handler, no cleanup, no closing handshake."""
    _do_soon(_die)


def terminate() -> None:
    """Be told to end in a moment, as by a service manager or a container's runtime."""
    _do_soon(lambda: os.kill(_find_server(), signal.SIGTERM))


def _do_soon(action: Callable[[], None]) -> None:
    if is_possible():
        threading.Timer(DELAY, action).start()


def _die() -> None:
    server = _find_server()
    if server != os.getpid():
        os.kill(server, signal.SIGKILL)
    os._exit(int(STATUS or 1))


def _find_server() -> int:
    """The process that was started: this one, or the one whose worker this is."""
    parent = os.getppid()
    return os.getpid() if str(parent) == SUPERVISOR else parent
