"""The findings as a table, and as JSON."""

from __future__ import annotations

import platform
import textwrap
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

from .judge import broken, words
from .servers import TITLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .faults import Fault
    from .runner import Row

    Findings = Mapping[str, Sequence[Row]]

PACKAGES = (
    "Django", "channels", "channels_redis", "redis", "daphne", "uvicorn", "websockets", "wsproto",
    "hypercorn", "granian",
)  # fmt: skip
FAULT_WIDTH = 27


def broken_in(row: Row) -> list[str]:
    """Return what the resilient side did not keep."""
    return broken(row.fault.promises, row.facts["resilient"], row.server)


def is_void(row: Row) -> bool:
    """Whether the plain side was spared, so that the row proves nothing."""
    plain = row.facts["plain"]
    return plain.error is not None or not row.fault.provoked(plain)


def versions() -> dict[str, str]:
    """Return what was installed in this run."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def render(findings: Findings, left_out: Sequence[Fault], width: int) -> str:
    """Return the table, one block per server."""
    return "\n".join(_lines(findings, left_out, width))


def _lines(findings: Findings, left_out: Sequence[Fault], width: int) -> Iterator[str]:
    column = max(24, (min(width, 140) - FAULT_WIDTH - 6) // 2)
    widths = (FAULT_WIDTH, column, column)
    rule = "-" * (sum(widths) + 6)
    for server, rows in findings.items():
        yield from ("", TITLES[server], rule)
        yield from _cells(("fault", "plain Channels", "resilient"), widths)
        yield rule
        for row in rows:
            kept = [f"BROKEN: {sentence}" for sentence in broken_in(row)]
            if is_void(row):
                kept.append("(not provoked on the plain side this time: proves nothing)")
            resilient = "\n".join([words(row.facts["resilient"]), *kept])
            yield from _cells((row.fault.title, words(row.facts["plain"]), resilient), widths)
        yield rule
    if left_out:
        yield ""
        titles = "; ".join(fault.title for fault in left_out)
        yield from textwrap.wrap(
            f"Left out, because no redis-server is installed: {titles}.", sum(widths) + 6
        )


def _cells(texts: Iterable[str], widths: Sequence[int]) -> Iterator[str]:
    columns = [
        [line for part in text.split("\n") for line in textwrap.wrap(part, width) or [""]]
        for text, width in zip(texts, widths, strict=True)
    ]
    for number in range(max(map(len, columns))):
        parts = [column[number] if number < len(column) else "" for column in columns]
        yield "   ".join(
            part.ljust(width) for part, width in zip(parts, widths, strict=True)
        ).rstrip()


def verdict(findings: Findings) -> str:
    """Return the tour's result in one line."""
    rows = [row for rows in findings.values() for row in rows]
    failed = [row for row in rows if broken_in(row)]
    servers = ", ".join(TITLES[name] for name in findings)
    void = sum(map(is_void, rows))
    but = f" {void} of them proved nothing." if void else ""
    if failed:
        return f"BROKEN: {len(failed)} of {len(rows)} rows on {servers} broke a promise.{but}"
    return f"Kept: every promise, in all {len(rows)} rows on {servers}.{but}"


def as_json(findings: Findings, left_out: Sequence[Fault]) -> dict[str, Any]:
    """Return everything that was found."""
    return {
        "versions": versions(),
        "verdict": verdict(findings),
        "left_out": [fault.name for fault in left_out],
        "servers": {server: [_row(row) for row in rows] for server, rows in findings.items()},
    }


def _row(row: Row) -> dict[str, Any]:
    sides: dict[str, Any] = {
        side: {"words": words(facts), "facts": asdict(facts)} for side, facts in row.facts.items()
    }
    return {
        "fault": row.fault.name,
        "title": row.fault.title,
        **sides,
        "broken": broken_in(row),
        "proves_nothing": is_void(row),
    }
