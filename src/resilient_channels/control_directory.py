"""The directory in which the processes of a project can be found by a command.

Each process that serves WebSockets has a socket there. Nobody but its user can get at it, and
nobody else can have put anything there.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import stat
import tempfile
from pathlib import Path

from django.conf import settings

IS_POSSIBLE = hasattr(socket, "AF_UNIX") and hasattr(os, "getuid")
"""Whether the system has such sockets, and users; Windows has not."""

SUFFIX = ".sock"
MARK = "drained"


class DirectoryRefused(OSError):
    """The directory is not ours alone."""


def find_directory(configured: str | None) -> Path:
    """Where the sockets of this project are: as *configured*, or a place of its own."""
    if configured is not None:
        return Path(configured)
    # The same for every process and command of one installation, and for nobody else.
    base = getattr(settings, "BASE_DIR", "")
    known = f"{os.environ.get('DJANGO_SETTINGS_MODULE', '')}\n{base}"
    name = hashlib.sha256(known.encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"resilient_channels-{os.getuid()}" / name


def make_directory(directory: Path, *, is_configured: bool) -> None:
    """Make *directory*, and the one that holds it, for our user alone.

    Raises:
        OSError: It cannot be made, or somebody else could put something into it.
    """
    if not is_configured:
        _make_private(directory.parent)
    _make_private(directory)


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    check_private(directory)


def check_private(directory: Path) -> None:
    """Refuse a directory that is not ours alone.

    Raises:
        OSError: It is not, or it does not exist.
    """
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise DirectoryRefused(f"{directory} is not a directory of ours alone (mode 0700)")


def bind_socket(directory: Path) -> tuple[socket.socket, Path]:
    """A listening socket of this process in *directory*.

    Raises:
        OSError: It cannot be made.
    """
    # Containers that share a directory have the same process ids.
    path = directory / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        # Whoever finds a socket that nobody listens on removes it.
        unready = path.with_suffix(".new")
        listener.bind(str(unready))
        unready.chmod(0o600)
        listener.listen(8)
        unready.rename(path)
    except OSError:
        listener.close()
        raise
    return listener, path


def connect(path: Path, timeout: float) -> socket.socket | None:
    """Connect to a process; ``None`` if it has gone, and then its socket is removed.

    Raises:
        TimeoutError: It does not answer.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(timeout)
    try:
        client.connect(str(path))
    except (ConnectionRefusedError, FileNotFoundError):
        client.close()
        path.unlink(missing_ok=True)
        return None
    except BlockingIOError as error:  # so many wait already
        client.close()
        raise TimeoutError from error
    except BaseException:
        client.close()
        raise
    return client


def find_sockets(directory: Path) -> list[Path]:
    """The sockets in *directory*, whether or not somebody listens."""
    return sorted(path for path in directory.glob(f"*{SUFFIX}") if path.is_socket())


def sweep(directory: Path) -> None:
    """Remove what killed processes have left behind."""
    for path in find_sockets(directory):
        try:
            left = connect(path, timeout=0.2)
        except OSError:
            continue
        if left is not None:
            left.close()


def leave_mark(directory: Path) -> None:
    """Say to those who run but have no socket yet that they are to be drained, too."""
    mark = directory / MARK
    mark.touch(mode=0o600)
    os.utime(mark)


def is_marked_since(directory: Path, began: float) -> bool:
    """Whether that was said to a process which *began* then, on the system's clock."""
    try:
        return (directory / MARK).stat().st_mtime > began
    except OSError:
        return False
