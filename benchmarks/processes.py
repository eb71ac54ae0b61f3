"""The measured server processes: how they are started, and what they have used so far."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tour.brokers import Broker, available
from tour.servers import Server, ServerFailed

from . import ROOT
from .load import LoadFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from .variants import Variant

# What both do per connection besides the work, and per line of a log nobody reads.
_QUIET_UVICORN = ("--log-level", "warning", "--no-access-log")
OPTIONS = {
    "uvicorn": _QUIET_UVICORN,
    "uvicorn-wsproto": _QUIET_UVICORN,
    "daphne": ("-v", "0"),
    "hypercorn": ("--log-level", "warning"),
    "granian": ("--log-level", "warning", "--no-access-log"),
}
REST = 0.03
# The server's own pings, one per connection at about the same moment, are more work than a short
# sample of the floor. Where samples are short and connections many, they are put off.
WITHOUT_PINGS = {
    "uvicorn": ("--ws-ping-interval", "3600"),
    "uvicorn-wsproto": ("--ws-ping-interval", "3600"),
    "daphne": ("--ping-interval", "3600"),
    "hypercorn": (),
    "granian": (),
}


@asynccontextmanager
async def serving(
    server: str,
    variants: Iterable[Variant],
    loop: str | None = None,
    *,
    options: tuple[str, ...] = (),
    broker: Broker | None = None,
) -> AsyncIterator[dict[Variant, Server]]:
    """Run one process per variant, and a broker for those that need one if none is given.

    Without redis-server on the PATH, what needs it is left out.
    """
    options = (*OPTIONS[server], *options)
    if loop is not None and server.startswith("uvicorn"):
        options += ("--loop", loop)
    variants = list(possible(variants))
    async with AsyncExitStack() as stack:
        if broker is None and any(variant.needs_redis for variant in variants):
            broker = await stack.enter_async_context(Broker())
        address = {} if broker is None else {"BENCHMARK_REDIS": broker.host["address"]}
        processes = {
            variant: Server(
                server,
                variant.application,
                environment={**variant.environment, **address},
                directory=ROOT,
                options=options,
            )
            for variant in variants
        }
        async with _running(processes):
            yield processes


def possible(variants: Iterable[Variant]) -> Iterator[Variant]:
    """Leave out what needs a broker where none can be started, and say so."""
    for variant in variants:
        if not variant.needs_redis or available():
            yield variant
        else:
            print(f"left out, there is no redis-server: {variant.name}", file=sys.stderr)


@asynccontextmanager
async def _running(processes: dict[Variant, Server]) -> AsyncIterator[None]:
    try:
        async with asyncio.TaskGroup() as starting:
            for process in processes.values():
                starting.create_task(_start(process))
        yield
    except (LoadFailed, OSError) as error:
        for variant, process in processes.items():
            if said := process.log_text()[-2000:]:
                error.add_note(f"{variant.name} said:\n{said}")
        raise
    finally:
        ending = asyncio.gather(
            *(process.__aexit__(None, None, None) for process in processes.values())
        )
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending  # Ctrl-C while a sample was taken comes here, and no process may stay
            raise


async def _start(process: Server) -> None:
    # The port was free when it was chosen. By now somebody else may listen there, and answer.
    for _ in range(3):
        await process.__aenter__()
        if await asyncio.to_thread(answers, process):
            return
        await process.stop()
    raise ServerFailed(f"{process.name} does not answer:\n{process.log_text()[-2000:]}")


def answers(process: Server) -> bool:
    """Whether it is this process that listens on its port, or a worker of its."""
    try:
        pid = ask(process.port)["pid"]
        return bool(process.pid in (pid, _read_parent(pid)))
    except (OSError, HTTPException, ValueError, KeyError):
        return False


def find_worker(process: Server) -> int:
    """The process id of the one that serves; Hypercorn and Granian always have a worker."""
    pid: int = ask(process.port)["pid"]
    return pid


def _read_parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def cpu_seconds(pid: int) -> float:
    """User and system time of every thread of a process, also those that have ended."""
    try:
        # The same sum as in /proc, in nanoseconds instead of ticks of 10 ms: Linux's clock of
        # another process, whose id holds the complement of the pid (clock_getcpuclockid).
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_at_rest(pid: int, deadline: float = 60.0) -> float:
    """Wait until a process has next to nothing left to do, and return what it has used by then.

    What a client waits for may be far from all that the server does for it: with its in-memory
    layer, plain Channels has most of the work when everybody has been served.
    """
    give_up, before = time.monotonic() + deadline, cpu_seconds(pid)
    while time.monotonic() < give_up:
        time.sleep(REST)
        now = cpu_seconds(pid)
        if now - before < REST / 10:
            return now
        before = now
    raise LoadFailed(f"process {pid} is still busy after {deadline} s")


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Rss:\s+(\d+) kB", rollup, re.MULTILINE)[1]) * 1024


def forget_peak(pid: int) -> None:
    """From now on :func:`peak_bytes` tells of what comes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(pid: int) -> int:
    """The most memory that was resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


def ask(port: int, path: str = "/") -> dict[str, Any]:
    """Ask a measured process over HTTP; see ``served.inspection``."""
    # Not urlopen: it would go by way of a proxy that the environment names.
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path)
        found: dict[str, Any] = json.load(connection.getresponse())
        return found
