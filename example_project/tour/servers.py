"""Real ASGI servers as processes of their own, started and ended by whoever asked for them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

HERE = Path(__file__).resolve().parent.parent
NAMES = ("daphne", "uvicorn")


class ServerFailed(RuntimeError):
    """A server process ended, or did not answer, when it should have been up."""


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(name: str, application: str, port: int, *options: str) -> list[str]:
    """Return the command line that serves *application* with the server called *name*."""
    where = {
        "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port)],
        "uvicorn": ["-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port)],
    }
    if name not in where:
        raise ValueError(f"no server called {name!r}; there are {', '.join(where)}")
    return [sys.executable, *where[name], *options, application]


async def accepts(port: int, *, host: str = "127.0.0.1") -> bool:
    """Whether somebody listens on *port*."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def listening(
    process: subprocess.Popen[bytes], port: int, log: Path, deadline: float
) -> None:
    """Wait until *process* accepts connections on *port*.

    Raises:
        ServerFailed: It ended, or did not listen within *deadline*; with the end of its log.
    """
    give_up = time.monotonic() + deadline
    while process.poll() is None and time.monotonic() < give_up:
        if await accepts(port):
            return
        await asyncio.sleep(0.03)
    state = "does not listen" if process.poll() is None else f"ended with {process.returncode}"
    raise ServerFailed(f"{process.args!r} {state}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


async def end(process: subprocess.Popen[bytes], deadline: float = 5.0) -> int:
    """Ask *process* to end, make it end after *deadline*, and return its exit status."""
    if process.poll() is None:
        process.terminate()
    give_up = time.monotonic() + deadline
    while process.poll() is None:
        if time.monotonic() > give_up:
            process.kill()
        await asyncio.sleep(0.02)
    return process.wait()


class Server:
    """One server process on a free loopback port; an async context manager.

    Attributes:
        port: Where it listens.
        log: The file that holds its standard output and error.
    """

    def __init__(
        self,
        name: str,
        application: str,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path = HERE,
        options: tuple[str, ...] = (),
        log: Path | None = None,
        deadline: float = 30.0,
    ) -> None:
        self.name = name
        self.application = application
        self.port = 0
        if log is None:
            handle, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".log")
            os.close(handle)
            log = Path(path)
            self._owns_log = True
        else:
            self._owns_log = False
        self.log = log
        self._environment = {**os.environ, **(environment or {}), "PYTHONUNBUFFERED": "1"}
        self._directory = directory
        self._options = options
        self._deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()
        self._clean_up()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        if self._process is None:
            raise ServerFailed(f"{self.name} was not started")
        return self._process

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    async def start(self) -> None:
        """Start it and wait until it accepts connections."""
        # Somebody else may take the port between our probe and the server's bind.
        for attempt in range(3):
            self.port = free_port()
            self._process = self._spawn()
            try:
                await listening(self._process, self.port, self.log, self._deadline)
            except BaseException as error:
                await end(self._process)
                if attempt < 2 and isinstance(error, ServerFailed) and "in use" in str(error):
                    continue
                raise
            return

    async def stop(self, deadline: float = 5.0) -> int:
        """End the process, by force after *deadline*, and return its exit status."""
        return 0 if self._process is None else await end(self._process, deadline)

    def log_text(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(errors="replace")

    def rss_bytes(self) -> int | None:
        """Return the memory it holds; None where there is no /proc."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except OSError:
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int | None:
        """Return how many descriptors it holds; None where there is no /proc."""
        try:
            return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))
        except OSError:
            return None

    def _clean_up(self) -> None:
        if self._owns_log:
            self.log.unlink(missing_ok=True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as sink:
            # Its own session: Ctrl-C is for whoever started the server, who then stops it.
            return subprocess.Popen(  # noqa: S603 - our own interpreter and our own arguments
                command(self.name, self.application, self.port, *self._options),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._directory,
                start_new_session=True,
            )
