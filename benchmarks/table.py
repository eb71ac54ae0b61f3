"""Results as Markdown tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .results import Figures, Growth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .results import Result, Row


def render_page(results: Sequence[Result | Growth | Figures]) -> list[str]:
    """Return the tables of a run; what was found of one work on several servers is one table."""
    tables = []
    figures: dict[str, list[Figures]] = {}
    for result in results:
        if not isinstance(result, Figures):
            tables.append(render(result))
        else:
            figures.setdefault(result.work, []).append(result)
    return [*tables, *(render_figures(some) for some in figures.values())]


def render_figures(some: Sequence[Figures]) -> str:
    """Return one table with a line for each server."""
    work, about = some[0].work, some[0].about
    rows = [(each.server, *each.cells.values()) for each in some]
    title = f"## {work[:1].upper()}{work[1:]}"
    return "\n".join([title, "", about, "", *_lines(("", *some[0].cells), rows)])


def render(result: Result | Growth | Figures) -> str:
    """Return one table, with what it shows above it."""
    if isinstance(result, Figures):
        return render_figures([result])
    if isinstance(result, Growth):
        above = result.unit
        lines = _grid(result)
    else:
        above = ", ".join(f"{name}: {value}" for name, value in result.facts.items())
        lines = _comparison(result)
    title = f"## {result.work[:1].upper()}{result.work[1:]}, {result.server.capitalize()}"
    return "\n".join([title, "", f"{above[:1].upper()}{above[1:]}.", "", *lines])


def render_environment(environment: Mapping[str, Any], command: str) -> str:
    """Return in a paragraph where and how the tables were made."""
    versions = [f"{name} {found}" for name, found in environment["versions"].items() if found]
    return (
        f"Made by `{command}` with Python {environment['python']} on {environment['system']}, "
        f"{environment['cpus']} CPUs, load {environment['load']} before it began; "
        f"{', '.join(versions)}."
    )


def _comparison(result: Result) -> Iterator[str]:
    if not any(row.ratio for row in result.rows):
        rows = [(row.variant, f"{row.value.median:.1f}") for row in result.rows]
        return _lines(("", result.unit), rows)
    head = ("", result.unit, "ratio", "lowest and highest ratio")
    return _lines(head, [_cells(row) for row in result.rows])


def _grid(growth: Growth) -> Iterator[str]:
    rows = [(name, *(_short(value) for value in values)) for name, values in growth.values.items()]
    return _lines(("", *growth.columns), rows)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = row.ratio
    if ratio is None:
        return row.variant, f"{row.value.median:.1f}", "", ""
    # The floor's own ratio is 1 by definition, and one sample has no spread.
    spread = "" if ratio.low == ratio.high else f"{_short(ratio.low)} - {_short(ratio.high)}"
    return row.variant, f"{row.value.median:.1f}", _short(ratio.median), spread


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    for cells in (head, ["-" * width for width in widths], *rows):
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield f"| {' | '.join(padded)} |"
