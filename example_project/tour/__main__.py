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

from . import brokers, runner, table
from .faults import ALL
from .lengths import FULL, SHORT
from .servers import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .faults import Fault
    from .lengths import Lengths


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="tour",
        description="Drive a plain and a resilient consumer through faults on real servers.",
    )
    parser.add_argument("--server", choices=NAMES, help="only this server (default: both)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there, too")
    parser.add_argument(
        "--only", action="append", metavar="NAME", default=[], help="only this fault; repeatable"
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="let slow handlers, stalls and stops last as long as real ones, up to a minute",
    )
    parser.add_argument("--list", action="store_true", help="name the faults, and do nothing")
    options = parser.parse_args(arguments)
    known = {fault.name for fault in ALL}
    unknown = [name for name in options.only if name not in known]
    if unknown:
        parser.error(f"no fault called {', '.join(unknown)}; --list names them")
    return options


def chosen(only: Sequence[str]) -> tuple[list[Fault], list[Fault]]:
    """Return the faults to run, and those that this machine cannot run."""
    faults = [fault for fault in ALL if not only or fault.name in only]
    if brokers.available():
        return faults, []
    in_memory = [fault for fault in faults if fault.layer == "memory"]
    return in_memory, [fault for fault in faults if fault not in in_memory]


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
            f"[{self._done:>3}/{self._total}] {seconds:5.0f} s  {server:<8} {state:<7}"
            f" {row.fault.title}",
            flush=True,
        )


async def tour(
    servers: Sequence[str], faults: Sequence[Fault], lengths: Lengths
) -> dict[str, list[runner.Row]]:
    """Run *faults* on each of *servers* in turn."""
    # A tour that is told to end takes its servers with it.
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    progress = Progress(len(servers) * len(faults))
    return {server: await runner.run(server, faults, lengths, progress) for server in servers}


def main() -> int:
    """Run the tour; 1 when the resilient side broke a promise."""
    options = parse()
    if options.list:
        print("\n".join(f"{fault.name:<24} {fault.title}" for fault in ALL))
        return 0
    faults, left_out = chosen(options.only)
    servers = [options.server] if options.server else list(NAMES)
    print(", ".join(f"{name} {version}" for name, version in table.versions().items()))
    try:
        findings = asyncio.run(tour(servers, faults, FULL if options.full else SHORT))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\ninterrupted", file=sys.stderr)
        return 130
    print(table.render(findings, left_out, shutil.get_terminal_size((120, 24)).columns))
    print(f"\n{table.verdict(findings)}")
    if options.json:
        content = json.dumps(table.as_json(findings, left_out), indent=2)
        options.json.write_text(content + "\n", encoding="utf-8")
    return int(any(table.broken_in(row) for rows in findings.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
