"""The findings as a page of the documentation, and as JSON."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .. import brokers, table
from .callers import EVERY
from .cells import PATIENCE
from .subjects import PERIOD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .cells import Cell
    from .events import Event
    from .findings import Finding

    Findings = Sequence[tuple[Cell, Finding]]

SETUPS = {"hub": "hub", "mixin": "mixin alone", "plain": "plain Channels"}
LAYERS = {"core": "core", "pubsub": "pubsub", "memory": "in-memory"}
NOTHING_TO_LOSE = "nothing to lose"


def describe() -> str:
    """Return where and with what this run is made; to be asked for before it begins."""
    versions = {**table.versions(), "redis-server": brokers.version()}
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"on {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, load "
        f"{os.getloadavg()[0]:.1f} before it began; {listed}"
    )


def render(findings: Findings, command: str, origin: str, sockets: int) -> str:
    """Return the whole page; *origin* is what ``describe()`` said."""
    return "\n".join(_page(findings, command, origin, sockets)) + "\n"


def _page(findings: Findings, command: str, origin: str, sockets: int) -> Iterator[str]:
    yield f"Made by `{command}`, in `example_project/`, {origin}."
    yield ""
    yield (
        f"{sockets} sockets in each cell, each in one group with all others and in one of its own. "
        f"A consumer of the same process sends a numbered message to the group of all every "
        f"{PERIOD * 1000:.0f} ms. *Again*: seconds from the end of the event until each socket has "
        "heard a new message, sent by another process on the bare layer, in each of its groups; "
        f"tried every {EVERY} s, for {PATIENCE:.0f} s. *Lost*: messages that not every socket got, "
        "and how many of them were sent without an error. *Repeated*: those that some socket got "
        "more than once."
    )
    events = list(dict.fromkeys(cell.event for cell, _ in findings))
    hub = [(cell, finding) for cell, finding in findings if cell.setup == "hub"]
    if hub:
        yield from ("", "## With the hub, in short", "", *_table(_overview(events, hub)))
    for event in events:
        yield from ("", f"## {event.title}", "")
        rows = [_row(cell, finding) for cell, finding in findings if cell.event == event]
        yield from _table([HEADER, *rows])


def _overview(events: Sequence[Event], hub: Findings) -> Iterator[Sequence[str]]:
    yield ("Event", *(f"{title}" for title in LAYERS.values()))
    for event in events:
        cells = []
        for layer in LAYERS:
            found = [item for cell, item in hub if (cell.event, cell.layer) == (event, layer)]
            cells.append(_both_servers(found) if found else _not_measured(event, layer))
        yield (event.title, *cells)


def _not_measured(event: Event, layer: str) -> str:
    return NOTHING_TO_LOSE if layer == "memory" else "not asked for"


def _both_servers(findings: Sequence[Finding]) -> str:
    """Say the worst of both servers."""
    if any(finding.error for finding in findings):
        return "failed"
    kept, sockets = (sum(getattr(f, name) for f in findings) for name in ("kept", "sockets"))
    held = "all kept" if kept == sockets else f"{kept} of {sockets} kept"
    times = [finding.seconds for finding in findings]
    if None in times:
        return f"{held}, not all receive again"
    return f"{held}, again after {max(time for time in times if time is not None):.1f} s"


HEADER = (
    "Layer", "Server", "Kept", "`disconnect()`", "Again", "Lost", "Repeated", "In the log",
)  # fmt: skip


def _row(cell: Cell, finding: Finding) -> Sequence[str]:
    layer = f"{LAYERS[cell.layer]}, {SETUPS[cell.setup]}"
    if finding.error is not None:
        return (layer, cell.server, *["?"] * 5, f"not measured: {finding.error}")
    return (
        layer,
        cell.server,
        f"{finding.kept} of {finding.sockets}",
        str(finding.disconnects),
        _again(finding),
        _lost(finding),
        str(len(finding.repeated)),
        _log(finding),
    )


def _again(finding: Finding) -> str:
    if finding.seconds is not None:
        return f"{finding.seconds:.1f} s"
    heard = finding.hearing
    return f"no: {heard['shared']} heard all, {heard['own']} their own"


def _lost(finding: Finding) -> str:
    lost = f"{len(finding.lost)} of {finding.sent}"
    return f"{lost}, {len(finding.lost_though_sent)} without an error" if finding.lost else lost


def _log(finding: Finding) -> str:
    said = [_times(count, f"`{name.split()[1]}`") for name, count in finding.records.items()]
    said += [_times(count, f"traceback of {who}") for who, count in finding.tracebacks.items()]
    return ", ".join(said) or "nothing"


def _times(count: int, what: str) -> str:
    return what if count == 1 else f"{count} x {what}"


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    rows = [tuple(cell.replace("|", r"\|") for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"| {' | '.join('-' * width for width in widths)} |"


def as_json(findings: Findings, command: str, origin: str) -> dict[str, Any]:
    """Return everything that was found, but for the logs."""
    cells = [{**asdict(finding), "title": cell.event.title} for cell, finding in findings]
    for cell in cells:
        del cell["log"]
    return {"command": command, "origin": origin, "cells": cells}
