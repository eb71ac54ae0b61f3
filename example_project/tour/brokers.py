"""A Redis server of our own, on a free loopback port, to break as we like."""

from __future__ import annotations

import asyncio
import shutil
import signal
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from .servers import ServerFailed, end, free_port, listening

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType


def available() -> bool:
    """Whether a redis-server is installed."""
    return shutil.which("redis-server") is not None


def version() -> str:
    """Return the version of the redis-server that is installed."""
    command = ["redis-server", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return next(word[2:] for word in said.split() if word.startswith("v="))


class Broker:
    """One redis-server process; an async context manager.

    Args:
        tls: Applications connect over TLS; our own commands go over plain TCP always.
        persistent: What it holds outlives ``kill()``; otherwise it comes back empty.
        options: More of redis-server's own, as on its command line.
        deadline: Seconds that it may take to start.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        persistent: bool = False,
        options: Sequence[str] = (),
        deadline: float = 15.0,
    ) -> None:
        self._persistent = persistent
        self._options = tuple(options)
        self._password: str | None = None
        self._home = Path(tempfile.mkdtemp(prefix="broker-"))
        self._log = self._home / "redis.log"
        self._deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self._tls_port = free_port() if tls else 0
        if tls:
            self._write_certificates()

    async def __aenter__(self) -> Self:
        try:
            await self._start_anywhere()
        except BaseException:
            await self._clean_up()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._clean_up()

    @property
    def port(self) -> int:
        """The port that speaks plain TCP."""
        return self._port

    @property
    def host(self) -> dict[str, Any]:
        """An entry for ``hosts`` in the configuration of a channels_redis layer."""
        return self.host_at(self.target_port)

    @property
    def target_port(self) -> int:
        """The port that applications connect to."""
        return self._tls_port or self._port

    def host_at(self, port: int) -> dict[str, Any]:
        """Return the same entry for a *port* that leads here, as that of a proxy does."""
        if not self._tls_port:
            return {"address": f"redis://127.0.0.1:{port}/0"}
        return {
            "address": f"rediss://127.0.0.1:{port}/0",
            "ssl_ca_certs": str(self._home / "ca.pem"),
        }

    def tls_context(self) -> ssl.SSLContext:
        """Return a context that trusts this server's certificate."""
        return ssl.create_default_context(cafile=str(self._home / "ca.pem"))

    # Life and death of the process

    async def _start_anywhere(self) -> None:
        # Somebody else may take a port between our probe and the bind.
        for attempt in range(3):
            try:
                return await self.start()
            except ServerFailed:
                if attempt == 2:
                    raise
                await self.stop()
                self._port = free_port()
                self._tls_port = self._tls_port and free_port()

    async def start(self) -> None:
        """Start it, and wait until it answers; the ports stay the same ever after."""
        self._log.touch()
        self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - fork and exec, nothing to wait for
            ["redis-server", *self._arguments()],  # noqa: S607 - whichever one is installed
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        await listening(self._process, self._port, self._log, self._deadline)
        self._password = None
        if await self.command("PING") not in (b"PONG", True):
            raise ServerFailed("redis-server listens, but does not answer PING")

    async def stop(self) -> None:
        """End it in order, frozen or not."""
        if self._process is not None:
            self.thaw()
            await end(self._process)

    async def kill(self) -> None:
        """End it without warning (SIGKILL)."""
        process = self._running()
        process.kill()
        await asyncio.to_thread(process.wait)

    async def restart(self) -> None:
        """Start it again on the same port; with nothing in it, unless it is persistent."""
        await self.stop()
        await self.start()

    def freeze(self) -> None:
        """Stop it from answering, with its connections open (SIGSTOP)."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after ``freeze()`` (SIGCONT)."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)

    def _arguments(self) -> list[str]:
        arguments = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        arguments += ["--dir", str(self._home), "--logfile", str(self._log)]
        # What was written outlives the process in any case; a power cut is not among our faults.
        arguments += ["--appendonly", "yes" if self._persistent else "no", "--appendfsync", "no"]
        if self._tls_port:
            arguments += ["--tls-port", str(self._tls_port), "--tls-auth-clients", "no"]
            files = {"cert": "server.pem", "key": "server.key", "ca-cert": "ca.pem"}
            for option, name in files.items():
                arguments += [f"--tls-{option}-file", str(self._home / name)]
        # A replica waits 5 s for others that may want the same copy.
        arguments += ["--repl-diskless-sync-delay", "0"]
        return [*arguments, *self._options]

    # Commands

    async def command(self, *words: str | int, deadline: float = 5.0) -> Any:
        """Run one command on a connection of its own."""
        # Imported at use: the rest of the tour works without a Redis client.
        from redis.asyncio import Redis

        client = Redis(
            host="127.0.0.1", port=self._port, password=self._password, socket_timeout=deadline
        )
        try:
            answer: Any = await client.execute_command(*words)  # type: ignore[no-untyped-call]
            return answer
        finally:
            await client.aclose()

    async def info(self, section: str) -> dict[str, Any]:
        """Return one section of what it says about itself."""
        found: dict[str, Any] = await self.command("INFO", section)
        return found

    async def client_kill(self, kind: str | None = "normal") -> int:
        """Cut the connections of one *kind* (normal, pubsub), or of all; return how many."""
        kinds = ("normal", "pubsub") if kind is None else (kind,)
        killed = 0
        for each in kinds:
            killed += int(await self.command("CLIENT", "KILL", "TYPE", each, "SKIPME", "yes"))
        return killed

    async def client_kill_idle(self) -> int:
        """Cut the connections that wait in a pool, and not those blocked in a command."""
        killed = 0
        for client in await self._clients():
            if "b" not in client["flags"] and not client["cmd"].startswith("client"):
                killed += int(await self.command("CLIENT", "KILL", "ID", client["id"]))
        return killed

    async def pooled(self) -> set[str]:
        """Return the ids of connections that wait in a pool: neither blocked nor subscribed."""
        return {
            client["id"]
            for client in await self._clients()
            if not set("bPS") & set(client["flags"]) and not client["cmd"].startswith("client")
        }

    async def blocked(self) -> int:
        """Return how many connections wait in a command, as a layer's ``receive`` does."""
        return sum("b" in client["flags"] for client in await self._clients())

    async def flushall(self) -> None:
        """Delete every key."""
        await self.command("FLUSHALL")

    async def configure(self, **settings: str | int) -> None:
        """Change settings while it runs, in this order; ``_`` stands for ``-``."""
        for name, value in settings.items():
            await self.command("CONFIG", "SET", name.replace("_", "-"), value)

    async def change_password(self, password: str | None) -> None:
        """Ask for another *password*, or for none, and cut whoever got in without it."""
        await self.configure(requirepass=password or "")
        self._password = password
        if password is not None:
            await self.client_kill(None)

    async def run_out_of_memory(self) -> None:
        """Refuse every write (OOM) until ``have_memory()``."""
        await self.configure(maxmemory_policy="noeviction", maxmemory=1)

    async def have_memory(self) -> None:
        """Take writes again."""
        await self.configure(maxmemory=0)

    async def group_size(self, group: str) -> int:
        """Return how many channels ``channels_redis.core`` has in *group*."""
        return int(await self.command("ZCARD", f"asgi:group:{group}"))

    async def _clean_up(self) -> None:
        await self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    async def _clients(self) -> list[dict[str, str]]:
        lines = (await self.command("CLIENT", "LIST")).decode().splitlines()
        return [dict(word.partition("=")[::2] for word in line.split()) for line in lines]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise ServerFailed("redis-server is not running")
        return self._process

    def _write_certificates(self) -> None:
        import trustme

        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(self._home / "ca.pem")
        certificate.private_key_pem.write_to_path(self._home / "server.key")
        for part in certificate.cert_chain_pems:
            part.write_to_path(self._home / "server.pem", append=True)
