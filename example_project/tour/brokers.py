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
    from types import TracebackType


def available() -> bool:
    """Whether a redis-server is installed."""
    return shutil.which("redis-server") is not None


class Broker:
    """One redis-server process, without persistence; an async context manager.

    With ``tls=True`` applications connect over TLS; our own commands go over plain TCP always.
    """

    def __init__(self, *, tls: bool = False, deadline: float = 15.0) -> None:
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
        if not self._tls_port:
            return {"address": f"redis://127.0.0.1:{self._port}/0"}
        return {
            "address": f"rediss://127.0.0.1:{self._tls_port}/0",
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
        """Start it, empty, and wait until it answers; the ports stay the same ever after."""
        tls = ["--tls-port", str(self._tls_port)] if self._tls_port else []
        if tls:
            files = {"cert": "server.pem", "key": "server.key", "ca-cert": "ca.pem"}
            for option, name in files.items():
                tls += [f"--tls-{option}-file", str(self._home / name)]
            tls += ["--tls-auth-clients", "no"]
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", *tls]
        options += ["--appendonly", "no", "--dir", str(self._home), "--logfile", str(self._log)]
        self._log.touch()
        self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - fork and exec, nothing to wait for
            ["redis-server", *options],  # noqa: S607 - whichever one is installed
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        await listening(self._process, self._port, self._log, self._deadline)
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
        """Start it again on the same port, with nothing in it."""
        await self.stop()
        await self.start()

    def freeze(self) -> None:
        """Stop it from answering, with its connections open (SIGSTOP)."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after ``freeze()`` (SIGCONT)."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)

    # Commands

    async def command(self, *words: str | int, deadline: float = 5.0) -> Any:
        """Run one command on a connection of its own."""
        # Imported at use: the rest of the tour works without a Redis client.
        from redis.asyncio import Redis

        client = Redis(host="127.0.0.1", port=self._port, socket_timeout=deadline)
        try:
            answer: Any = await client.execute_command(*words)  # type: ignore[no-untyped-call]
            return answer
        finally:
            await client.aclose()

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

    async def blocked(self) -> int:
        """Return how many connections wait in a command, as a layer's ``receive`` does."""
        return sum("b" in client["flags"] for client in await self._clients())

    async def flushall(self) -> None:
        """Delete every key."""
        await self.command("FLUSHALL")

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
