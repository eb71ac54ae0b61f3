"""``python -m benchmarks``: every work on every server, as tables and as a JSON file."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import suppress
from pathlib import Path

from tour.servers import NAMES

from . import (
    ROOT,
    churn,
    disconnects,
    echo,
    fairness,
    frozen,
    group,
    heartbeat,
    memory,
    redis_idle,
    stalled,
)
from .environment import describe
from .scale import FULL, QUICK
from .table import render, render_environment, render_page

WORKS = {
    "echo": echo.measure,
    "group": group.measure,
    "broadcast": group.measure_broadcast,
    "memory": memory.measure,
    "churn": churn.measure,
    "heartbeat": heartbeat.measure,
    "fairness": fairness.measure,
    "redis": redis_idle.measure,
}
# Not what it costs, but what it stands up to. Only when asked for; on every server.
STRAINS = {
    "stalled": stalled.measure,
    "disconnects": disconnects.measure,
    "frozen": frozen.measure,
}
# What they measure has little to do with the server, and they take their time.
ONCE = {"churn", "redis"}
SERVERS = ("uvicorn", "daphne")
RESULTS = ROOT / "benchmarks" / "results.json"


def read_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        choices=[*WORKS, *STRAINS],
        action="append",
        help=f"this work; repeatable. Without it, all but {', '.join(STRAINS)}",
    )
    parser.add_argument("--server", choices=NAMES, action="append", help="this one; repeatable")
    parser.add_argument("--loop", help="Uvicorn's --loop; its own choice without it")
    parser.add_argument("--quick", action="store_true", help="small, short, and not to be quoted")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there, too")
    return parser.parse_args(argv)


def choose(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Return which work is to be done on which server, in that order."""
    servers = arguments.server or SERVERS
    works = arguments.only or WORKS
    costs = [
        (server, work)
        for server in servers
        for work in works
        if work in WORKS and (work not in ONCE or server == servers[0])
    ]
    everywhere = arguments.server or NAMES
    return costs + [(server, work) for work in works if work in STRAINS for server in everywhere]


def name_command(arguments: argparse.Namespace) -> str:
    """Return the command that makes the same numbers; where they are written does not matter."""
    words = ["python -m benchmarks"]
    words += [f"--only {work}" for work in arguments.only or ()]
    words += [f"--server {server}" for server in arguments.server or ()]
    words += [f"--loop {arguments.loop}"] if arguments.loop else []
    words += ["--quick"] if arguments.quick else []
    return " ".join(words)


def allow_open_files() -> None:
    """Open as many files as the system lets us; every connection is one here, and one there."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def run(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    began = time.monotonic()
    scale = QUICK if arguments.quick else FULL
    environment = describe()
    if environment["load"] > environment["cpus"] / 2:
        print(f"the machine is busy: load {environment['load']}; so ratios spread", file=sys.stderr)
    results, measured = [], []
    for server, work in choose(arguments):
        print(f"measuring {work} on {server}", file=sys.stderr)
        started = time.monotonic()
        found = await {**WORKS, **STRAINS}[work](server, scale, arguments.loop)
        took = round(time.monotonic() - started, 1)
        print(f"{took} s", file=sys.stderr)
        for result in found:
            results.append({**result.as_json(), "seconds": took})
            measured.append(result)
            print(render(result), end="\n\n", flush=True)
    command = name_command(arguments)
    report = {
        "command": command,
        "seconds": round(time.monotonic() - began, 1),
        "environment": environment,
        "results": results,
    }
    arguments.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if arguments.markdown:
        page = [render_environment(environment, command), *render_page(measured)]
        arguments.markdown.write_text("\n\n".join(page) + "\n", "utf-8")
    print(f"{report['seconds']} s; every sample is in {arguments.json}")


def main() -> None:
    """Run what the command line asks for."""
    arguments = read_arguments()
    if not sys.platform.startswith("linux"):
        raise SystemExit("The benchmarks read /proc and CPU clocks of other processes: Linux only.")
    allow_open_files()
    with suppress(KeyboardInterrupt):
        asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
