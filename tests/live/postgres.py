"""A PostgreSQL of our own, on a free loopback port, to restart as we like."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tour.servers import ServerFailed, end, free_port, listening

PLACES = "/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt"
OWNER = "postgres"
"""Whose process it is if we are root, whom PostgreSQL refuses."""


def find_programs() -> Path | None:
    """The directory that ``initdb`` and ``postgres`` are in; the newest, if there are several."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = [path.parent for place in PLACES for path in Path(place).glob("**/bin/initdb")]
    return max(found, key=lambda path: [int(n) for n in path.parts if n.isdigit()], default=None)


def owner() -> str | None:
    """The user to become; None to stay who we are."""
    return OWNER if os.getuid() == 0 else None


def available() -> bool:
    """Whether a PostgreSQL is installed that we can start."""
    try:
        return find_programs() is not None and bool(owner() is None or pwd.getpwnam(OWNER))
    except KeyError:
        return False


class Cluster:
    """One postgres process on its own data; an async context manager."""

    def __init__(self, deadline: float = 30.0) -> None:
        self.port = free_port()
        self._deadline = deadline
        # Not in pytest's own directory, which other users may not enter.
        self._home = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._log = self._home / "log"
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> "Cluster":
        try:
            if owner() is not None:
                shutil.chown(self._home, owner())
            await asyncio.to_thread(self._make)
            await self._start_anywhere()
        except BaseException:
            await self._clean_up()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._clean_up()

    @property
    def settings(self) -> dict[str, object]:
        """An entry for ``DATABASES``."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": self.port,
            "USER": "tester",
            "NAME": "postgres",
        }

    async def _start_anywhere(self) -> None:
        # Somebody else may take the port between our probe and the bind.
        for attempt in range(3):
            try:
                return await self.start()
            except ServerFailed:
                if attempt == 2:
                    raise
                await self.stop()
                self.port = free_port()

    async def start(self) -> None:
        """Start it and wait until it answers; the port stays the same ever after."""
        options = ("-D", self._home / "data", "-p", self.port, "-h", "127.0.0.1")
        more = ("-c", "unix_socket_directories=", "-c", "fsync=off")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220  # fork and exec, nothing to wait for
                self._command("postgres", *options, *more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=owner(),
                cwd=self._home,
            )
        await listening(self._process, self.port, self._log, self._deadline)
        give_up = asyncio.get_running_loop().time() + self._deadline
        while not await asyncio.to_thread(self._is_ready):
            if asyncio.get_running_loop().time() > give_up:
                raise ServerFailed(self._log.read_text(errors="replace")[-2000:])
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it, and every connection to it, at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # a fast shutdown
            await end_soon(self._process)

    async def restart(self) -> None:
        """Start it again on the same port, with the same data."""
        await self.stop()
        await self.start()

    def _make(self) -> None:
        options = ("--auth=trust", "--username=tester", "--no-sync", "--encoding=UTF8")
        subprocess.run(
            self._command("initdb", "-D", self._home / "data", *options),
            check=True,
            capture_output=True,
            user=owner(),
            cwd=self._home,
            timeout=120,
        )

    def _is_ready(self) -> bool:
        command = self._command("pg_isready", "-h", "127.0.0.1", "-p", self.port)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _command(self, name: str, *options: object) -> list[str]:
        programs = find_programs()
        assert programs is not None
        return [str(programs / name), *map(str, options)]

    async def _clean_up(self) -> None:
        await self.stop()
        shutil.rmtree(self._home, ignore_errors=True)


async def end_soon(process: subprocess.Popen[bytes], deadline: float = 10.0) -> None:
    """Give *process* that long to end by itself."""
    give_up = asyncio.get_running_loop().time() + deadline
    while process.poll() is None and asyncio.get_running_loop().time() < give_up:
        await asyncio.sleep(0.02)
    await end(process)
