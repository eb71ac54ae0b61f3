"""The tour's command line: ``python -m tour``."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import brokers, page, runner, table
from .faults import ALL
from .lengths import FULL, SHORT
from .servers import NAMES, WITH_BROKERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .faults import Fault
    from .lengths import Lengths

SERVERS_AT_ONCE = 2


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="tour",
        description="Drive a plain and a resilient consumer through faults on real servers.",
    )
    parser.add_argument(
        "--server", action="append", choices=NAMES, help="this server; repeatable (default: all)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there, too")
    parser.add_argument(
        "--only", action="append", metavar="NAME", default=[], help="only this fault; repeatable"
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="let slow handlers, stalls and stops last as long as real ones, up to a minute",
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="write the faults of the socket on every server there, as Markdown; - to print it",
    )
    parser.add_argument(
        "--at-once", type=int, default=SERVERS_AT_ONCE, metavar="N", help="so many servers"
    )
    parser.add_argument("--plain", action="store_true", help="with --table: plain Channels, too")
    parser.add_argument("--list", action="store_true", help="name the faults, and do nothing")
    options = parser.parse_args(arguments)
    known = {fault.name for fault in ALL}
    unknown = [name for name in options.only if name not in known]
    if unknown:
        parser.error(f"no fault called {', '.join(unknown)}; --list names them")
    if options.plain and options.table is None:
        parser.error("--plain belongs to --table")
    return options


def chosen(options: argparse.Namespace) -> tuple[dict[str, list[Fault]], list[Fault]]:
    """Return the faults to run on each server, and those that this machine cannot run.

    A broker's faults do not depend on the server; all servers have them only on request.
    """
    faults = [fault for fault in ALL if not options.only or fault.name in options.only]
    of_sockets = [fault for fault in faults if fault.layer == "memory"]
    of_brokers = [] if options.table else [fault for fault in faults if fault.layer != "memory"]
    left_out = [] if brokers.available() else of_brokers
    everything = [fault for fault in faults if fault in of_sockets or fault in of_brokers]
    plan = {}
    for server in options.server or NAMES:
        wanted = server in WITH_BROKERS or bool(options.server)
        plan[server] = everything if wanted and not left_out else of_sockets
    return plan, left_out


def name_command(options: argparse.Namespace) -> str:
    """Return the command that measures the same."""
    words = ["python -m tour", f"--table {options.table}"]
    words += [f"--server {name}" for name in options.server or ()]
    words += [f"--only {name}" for name in options.only]
    words += ["--plain"] if options.plain else []
    words += ["--full"] if options.full else []
    return " ".join(words)


class Progress:
    """One line per fault that is done."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._began = time.monotonic()

    def __call__(self, server: str, row: runner.Row) -> None:
        """Say that *row* is done."""
        self._done += 1
        state = "BROKEN" if table.broken_in(row) else "kept"
        seconds = time.monotonic() - self._began
        print(
            f"[{self._done:>3}/{self._total}] {seconds:5.0f} s  {server:<15} {state:<6}"
            f" {row.fault.title}",
            flush=True,
        )


async def tour(
    plan: Mapping[str, Sequence[Fault]], lengths: Lengths, at_once: int
) -> dict[str, list[runner.Row]]:
    """Run the faults of *plan* on its servers, some at once: they mostly wait."""
    # A tour that is told to end takes its servers with it.
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    progress = Progress(sum(map(len, plan.values())))
    gate = asyncio.Semaphore(at_once)

    async def one(server: str) -> list[runner.Row]:
        async with gate:
            return await runner.run(server, plan[server], lengths, progress)

    async with asyncio.TaskGroup() as group:
        tasks = {server: group.create_task(one(server)) for server in plan}
    return {server: task.result() for server, task in tasks.items()}


def main() -> int:
    """Run the tour; 1 when the resilient side broke a promise."""
    options = parse()
    if options.list:
        print("\n".join(f"{fault.name:<24} {fault.title}" for fault in ALL))
        return 0
    plan, left_out = chosen(options)
    print(", ".join(f"{name} {version}" for name, version in table.versions().items()))
    try:
        findings = asyncio.run(tour(plan, FULL if options.full else SHORT, options.at_once))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\ninterrupted", file=sys.stderr)
        return 130
    if options.table:
        text = page.render(findings, name_command(options), plain=options.plain)
        if str(options.table) == "-":
            print(text)
        else:
            options.table.write_text(text, encoding="utf-8")
    else:
        width = shutil.get_terminal_size((120, 24)).columns
        print(table.render(findings, left_out, width))
    print(f"\n{table.verdict(findings)}")
    if options.json:
        content = json.dumps(table.as_json(findings, left_out), indent=2)
        options.json.write_text(content + "\n", encoding="utf-8")
    return int(any(table.broken_in(row) for rows in findings.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
