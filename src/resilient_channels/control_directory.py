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
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

IS_POSSIBLE = hasattr(socket, "AF_UNIX") and hasattr(os, "getuid")
"""Whether the system has such sockets, and users; Windows has not."""

SUFFIX = ".sock"
MARK = "drained"
LONGEST_MARK = 200


class DirectoryRefused(OSError):
    """The directory is not ours alone."""


def find_directory(configured: str | None) -> Path:
    """Where the sockets of this project are: as *configured*, or a place of its own.

    Raises:
        OSError: It is not configured, and the system has no directory for temporary files.
    """
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
        with _moved(unready, path):
            listener.bind(str(unready))
            unready.chmod(0o600)
            listener.listen(8)
    except OSError:
        listener.close()
        raise
    return listener, path


@contextmanager
def _moved(unready: Path, path: Path) -> Iterator[None]:
    """What is made as *unready* inside becomes *path* when it is whole, and else is nothing."""
    try:
        yield
        unready.rename(path)  # replaces a link; nothing is written where it leads
    except OSError:
        with suppress(OSError):
            unready.unlink(missing_ok=True)
        raise


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


# --- the mark ------------------------------------------------------------------------------------
# It says when, on a clock that nobody can set: a date in the future would send away the clients of
# every process until then. That clock begins anew with the system, so the mark says which run of
# the system it means, too.


def read_clock() -> float:
    """Seconds on the clock that all processes of this system share."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def leave_mark(directory: Path) -> None:
    """Say to those who run but have no socket yet that they are to be drained, too.

    Raises:
        OSError: It cannot be written.
    """
    unready = directory / f"{MARK}-{secrets.token_hex(4)}.new"
    with _moved(unready, directory / MARK):
        made = os.open(unready, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(made, "w", encoding="ascii") as file:
            file.write(f"{read_clock()!r} {_read_boot()}\n")


def is_marked_since(directory: Path, began: float) -> bool:
    """Whether that was said to a process which *began* then, on the clock of :func:`read_clock`."""
    try:
        at, boot = _read_mark(directory / MARK).split(" ")
        return boot == _read_boot() and began < float(at) <= read_clock()
    except (OSError, ValueError):
        return False


def _read_mark(mark: Path) -> str:
    """What it says, if it is a file, and of our own user."""
    # Not waiting: it could be a pipe.
    found = os.open(mark, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise DirectoryRefused(f"{mark} is not a file of ours")
        return os.read(found, LONGEST_MARK).decode("ascii").strip()
    finally:
        os.close(found)


def _read_boot() -> str:
    """Which run of the system this is, where it can tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
