"""Real ASGI servers as processes of their own, started and ended by whoever asked for them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

HERE = Path(__file__).resolve().parent.parent
TITLES = {
    "daphne": "Daphne",
    "uvicorn": "Uvicorn",
    "uvicorn-wsproto": "Uvicorn (wsproto)",
    "hypercorn": "Hypercorn",
    "granian": "Granian",
}
NAMES = tuple(TITLES)
# A broker's faults never reach the server: one that waits for clients, and one that does not.
WITH_BROKERS = ("daphne", "uvicorn")


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
    listen = ["--host", "127.0.0.1", "--port", str(port)]
    uvicorn = ["-m", "uvicorn", *listen]
    where = {
        "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port)],
        "uvicorn": [*uvicorn, "--ws", "websockets-sansio"],
        "uvicorn-wsproto": [*uvicorn, "--ws", "wsproto"],
        "hypercorn": ["-m", "hypercorn", "--bind", f"127.0.0.1:{port}"],
        "granian": ["-m", "granian", "--interface", "asgi", *listen],
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


def family(pid: int) -> list[int]:
    """Return *pid* and its descendants: some servers serve from a child; none without a /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        # What has just ended is nobody's child.
        with suppress(OSError):
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(entry.name))
    found = [pid] if Path(f"/proc/{pid}").exists() else []
    for member in found:
        found += children.get(member, [])
    return found


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
        if self._process is None:
            return 0
        try:
            return await end(self._process, deadline)
        finally:
            # A supervisor that had to be killed leaves its worker behind.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def manage(self, *arguments: str) -> int:
        """Run a management command of the project that is served; returns its exit status."""
        environment = {"DJANGO_SETTINGS_MODULE": "tour.settings", **self._environment}
        with self.log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "django", *arguments, cwd=self._directory,
                env={**environment, "PYTHONPATH": str(self._directory)}, stdout=sink, stderr=sink,
            )  # fmt: skip
            return await process.wait()

    def signal_all(self, number: int) -> None:
        """Send a signal to the process and its workers."""
        os.killpg(self.pid, number)

    def log_text(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(errors="replace")

    def rss_bytes(self) -> int | None:
        """Return the memory that it and its workers hold; None where there is no /proc."""
        pages = 0
        for pid in (processes := family(self.pid)):
            with suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") if processes else None

    def open_files(self) -> int | None:
        """Return how many descriptors it and its workers hold; None where there is no /proc."""
        held = 0
        for pid in (processes := family(self.pid)):
            with suppress(OSError):
                held += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return held if processes else None

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
