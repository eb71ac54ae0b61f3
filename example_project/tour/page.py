"""The findings as Markdown: the table of the docs, every socket's fault on every server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .judge import differences, told
from .servers import TITLES
from .table import versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .facts import Facts
    from .runner import Row
    from .stage import Side
    from .table import Findings

NOTICE = "<!-- Written by `{command}` in example_project; do not edit. -->\n"
LEGEND = """
A cell has the code and the kind that the library reports, how often `disconnect()` ran, and after
how many seconds. *Open* is a connection that the fault did not end, and when it answered. A `?`
stands for `certain=False`.
"""
PLAIN_LEGEND = """
The same faults with plain Channels: what `disconnect()` got, how often it ran, and after how many
seconds.
"""


def render(findings: Findings, command: str, *, plain: bool) -> str:
    """Return the page; with *plain* followed by the same table of plain Channels."""
    return "".join(_page(findings, command, plain=plain))


def _page(findings: Findings, command: str, *, plain: bool) -> Iterator[str]:
    yield NOTICE.format(command=command)
    yield LEGEND
    notes: list[str] = []
    yield from _table(findings, "resilient", notes)
    if notes:
        yield "\nWhat no library above ASGI can hide:\n\n"
        for number, note in enumerate(notes, 1):
            yield f"{number}. {note}\n"
    if plain:
        yield PLAIN_LEGEND
        yield from _table(findings, "plain", [])
    installed = ", ".join(f"{name} {version}" for name, version in versions().items())
    yield f"\nMeasured with {installed}.\n"


def _table(findings: Findings, side: Side, notes: list[str]) -> Iterator[str]:
    yield "\n"
    yield _line(["Fault", *(TITLES[server] for server in findings)])
    yield _line(["---"] * (len(findings) + 1))
    for rows in zip(*findings.values(), strict=True):
        cells = [f"{cell(row.facts[side])}{_marks(row, side, notes)}" for row in rows]
        yield _line([rows[0].fault.title, *cells])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def _marks(row: Row, side: Side, notes: list[str]) -> str:
    """Refer to what is different on this server, where the cell shows it."""
    if side == "plain" or row.facts[side].alive:
        return ""
    numbers = []
    for note in differences(row.fault.promises, row.server):
        if note not in notes:
            notes.append(note)
        numbers.append(str(notes.index(note) + 1))
    return f" <sup>{','.join(numbers)}</sup>" if numbers else ""


def cell(facts: Facts) -> str:
    """Say in few words what became of one side under one fault on one server."""
    if facts.error is not None:
        return f"not measured: {facts.error}"
    return ", ".join(_cell(facts))


def _cell(facts: Facts) -> Iterator[str]:
    after = "" if facts.took is None else f"{facts.took:.1f} s"
    if facts.alive and facts.total == 1:
        yield f"open, {after}"
    elif facts.alive is not None and facts.total > 1:
        yield f"{facts.alive} of {facts.total} open, {after}"
    elif "status" in facts.extra:
        yield f"refused with {facts.extra['status']}, {after}"
    else:
        yield from _end(facts, after)
    if facts.extra.get("unnoticed"):
        yield "at our reset"
    if facts.members:
        yield f"{facts.members} dead in the group"
    if facts.background:
        yield "its task still sends"
    if facts.ended < facts.total:
        yield "still running"


def _end(facts: Facts, after: str) -> Iterator[str]:
    if not facts.disconnects:
        yield "no `disconnect()`"
        return
    calls = f"{len(facts.disconnects)} call{'s' * (len(facts.disconnects) > 1)}"
    codes = "/".join(dict.fromkeys(str(code) for code in facts.disconnects))
    kinds = "/".join(dict.fromkeys(told(info) for info in facts.infos))
    yield f"{codes} {kinds}".strip()
    yield calls
    yield after
