"""The matrix's command line: ``python -m tour.matrix``."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .. import brokers, servers
from . import page, promises
from .cells import CROWD, Cell
from .events import EVENTS
from .rigs import LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .findings import Finding
    from .rigs import Setup

    Findings = list[tuple[Cell, Finding]]

PAGE = servers.HERE.parent / "docs" / "reference" / "_generated" / "layer-matrix.md"
# Cells mostly wait, but each is a server, a Redis and a crowd.
AT_ONCE = 6


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="tour.matrix",
        description="Let every fault of a channel layer happen, on every layer and every server.",
    )
    events = [event.name for event in EVENTS]
    parser.add_argument(
        "--only", action="append", choices=events, metavar="EVENT", help="this event; repeatable"
    )
    parser.add_argument("--layer", action="append", choices=LAYERS, help="this one; repeatable")
    parser.add_argument(
        "--server", action="append", choices=servers.WITH_BROKERS, help="this one; repeatable"
    )
    parser.add_argument(
        "--plain", action="store_true", help="and plain consumers on the bare layer, beside it"
    )
    parser.add_argument(
        "--mixin", action="store_true", help="and resilient consumers on the bare layer"
    )
    parser.add_argument("--sockets", type=int, default=CROWD, metavar="N", help="in each cell")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, metavar="N", help="so many cells")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="the page (default: the docs)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there, too")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep each server's log there")
    parser.add_argument("--list", action="store_true", help="name the events, and do nothing")
    options = parser.parse_args(arguments)
    if options.markdown is None and not (options.only or options.layer or options.server):
        options.markdown = PAGE
    return options


def name_command(options: argparse.Namespace) -> str:
    """Return the command that measures the same; where it is written does not matter."""
    words = ["python -m tour.matrix"]
    words += [f"--only {name}" for name in options.only or ()]
    words += [f"--layer {name}" for name in options.layer or ()]
    words += [f"--server {name}" for name in options.server or ()]
    words += ["--plain"] if options.plain else []
    words += ["--mixin"] if options.mixin else []
    words += [f"--sockets {options.sockets}"] if options.sockets != CROWD else []
    return " ".join(words)


def chosen(options: argparse.Namespace) -> Iterator[Cell]:
    """Yield what is to be measured, in the order of the page."""
    setups: list[Setup] = ["hub"]
    setups += ["mixin"] if options.mixin else []
    setups += ["plain"] if options.plain else []
    for event in EVENTS:
        if event.name not in (options.only or [event.name]):
            continue
        for layer in options.layer or LAYERS:
            # A layer in the process has no broker that anything could happen to.
            if layer == "memory" and event.needs_broker:
                continue
            for setup in setups:
                for server in options.server or servers.WITH_BROKERS:
                    yield Cell(event, layer, server, setup, options.sockets)


async def measure(
    cells: Sequence[Cell], at_once: int, report: Callable[[Cell, Finding], None]
) -> Findings:
    """Measure *cells*, some at once, and report each as it is done."""
    gate = asyncio.Semaphore(at_once)

    async def one(cell: Cell) -> tuple[Cell, Finding]:
        async with gate:
            finding = await cell.measure()
        report(cell, finding)
        return cell, finding

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(cell)) for cell in cells]
    return [task.result() for task in tasks]


class Progress:
    """One line per cell that is done."""

    def __init__(self, total: int, logs: Path | None) -> None:
        self._total = total
        self._logs = logs
        self._done = 0
        self._began = time.monotonic()

    def __call__(self, cell: Cell, finding: Finding) -> None:
        """Say that *cell* is done, and keep its log."""
        self._done += 1
        seconds = time.monotonic() - self._began
        broken = promises.broken(cell, finding) if cell.setup == "hub" else []
        state = "; ".join(broken) or ("kept" if cell.setup == "hub" else "measured")
        print(
            f"[{self._done:>3}/{self._total}] {seconds:5.0f} s  {finding.name:<36} {state}",
            flush=True,
        )
        if self._logs is not None:
            path = self._logs / f"{finding.name.replace('/', '-')}.log"
            path.write_text(finding.log, encoding="utf-8")


async def run(options: argparse.Namespace) -> Findings:
    """Measure what *options* ask for."""
    # Who is told to end takes the servers with it.
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    cells = list(chosen(options))
    if options.logs is not None:
        options.logs.mkdir(parents=True, exist_ok=True)
    return await measure(cells, options.at_once, Progress(len(cells), options.logs))


def main() -> int:
    """Measure and write; 1 when the hub broke a promise."""
    options = parse()
    if options.list:
        print("\n".join(f"{event.name:<16} {event.title}" for event in EVENTS))
        return 0
    if not brokers.available():
        print("redis-server is not installed", file=sys.stderr)
        return 2
    origin = page.describe()
    try:
        findings = asyncio.run(run(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\ninterrupted", file=sys.stderr)
        return 130
    command = name_command(options)
    text = page.render(findings, command, origin, options.sockets)
    if options.markdown is None:
        print(f"\n{text}", end="")
    else:
        options.markdown.write_text(text, encoding="utf-8")
        print(f"The page is in {options.markdown}.")
    if options.json is not None:
        content = json.dumps(page.as_json(findings, command, origin), indent=2)
        options.json.write_text(content + "\n", encoding="utf-8")
    return int(any(promises.broken(*item) for item in findings if item[0].setup == "hub"))


if __name__ == "__main__":
    sys.exit(main())
