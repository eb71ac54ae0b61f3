"""Writes the tables of the reference from the code: ``python docs/generate.py``.

With ``--check`` nothing is written, and the exit status is 1 if a file is not what the code says.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from resilient_channels.checks import CHECK_IDS
from resilient_channels.core.codes import REGISTRY, CodeInfo
from resilient_channels.core.events import EVENTS, ConnectionEvent, Event
from resilient_channels.core.link import TRANSITIONS
from resilient_channels.core.policies import SECTIONS, option_names, process_wide_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

TARGET = Path(__file__).resolve().parent / "reference" / "_generated"
GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "close-codes.json"
IN_SETTING = " Only in the setting, not on a class."
NOTICE = "<!-- Written by docs/generate.py from {source}; do not edit. -->\n\n"


def settings() -> Iterator[str]:
    """One table per section of RESILIENT_CHANNELS."""
    for name, policy in SECTIONS.items():
        of_process = process_wide_options(name)
        all_are = of_process == set(option_names(name))
        yield f"## {name}\n\n{sentence(policy)}{IN_SETTING if all_are else ''}\n\n"
        marked = () if all_are else of_process
        yield table(
            ("Option", "Default", "Meaning"),
            (
                (
                    code(option.name),
                    code(repr(default_of(option))),
                    option.metadata["doc"] + (IN_SETTING if option.name in marked else ""),
                )
                for option in fields(policy)
            ),
        )


def events() -> Iterator[str]:
    """One section per event."""
    yield table(
        ("Event", "Level", "Logger", "When"),
        (
            (
                f"[{code(event.name)}](#{anchor(event)})",
                level(event),
                logger(event),
                sentence(event),
            )
            for event in EVENTS
        ),
    )
    common = {option.name for option in fields(ConnectionEvent)}
    yield "\nEvents of one connection carry these fields; below they are not repeated:\n\n"
    yield field_table(fields(ConnectionEvent))
    for event in EVENTS:
        yield f"\n({anchor(event)})=\n## {event.name}\n\n{description(event)}\n\n"
        scope = "" if issubclass(event, ConnectionEvent) else " Not tied to one connection."
        yield f"{level(event)} on {logger(event)}.{scope}\n"
        own = [
            option
            for option in fields(event)
            if not (issubclass(event, ConnectionEvent) and option.name in common)
        ]
        if own:
            yield "\n" + field_table(own)


def close_codes() -> Iterator[str]:
    """One row per registered code."""
    yield table(
        ("Code", "Name", "Sent by", "On every server", "Client", "Resume", "Meaning"),
        (
            (
                str(row.code),
                code(row.name),
                row.sender.value,
                portability(row),
                code(row.verdict.value),
                "kept" if row.keeps_resume_state else "",
                row.meaning,
            )
            for row in REGISTRY.values()
        ),
    )


def checks() -> Iterator[str]:
    """One row per check."""
    yield table(("Identifier", "Says"), ((code(name), said) for name, said in CHECK_IDS.items()))


def states() -> Iterator[str]:
    """One row per transition of a connection."""
    yield table(
        ("State", "What happens", "Next state"),
        (
            (code(state.value), cause.value, code(target.value))
            for state, causes in TRANSITIONS.items()
            for cause, target in causes.items()
        ),
    )


def close_codes_for_clients() -> Iterator[str]:
    """The registry as JSON, one row per line: tests of clients in other languages read it."""
    rows = (
        {
            "code": row.code,
            "name": row.name,
            "verdict": row.verdict.value,
            "keeps_resume_state": row.keeps_resume_state,
            "sender": row.sender.name.lower(),
        }
        for row in REGISTRY.values()
    )
    yield "[\n  " + ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n"


PAGES: dict[str, tuple[str, Callable[[], Iterator[str]]]] = {
    "settings.md": ("core/policies.py", settings),
    "events.md": ("core/events.py", events),
    "close-codes.md": ("core/codes.py", close_codes),
    "checks.md": ("checks/identifiers.py", checks),
    "states.md": ("core/link.py", states),
}


def portability(row: CodeInfo) -> str:
    """Say whether a close frame may carry the code, and from every server."""
    if not row.may_travel:
        return "never sent"
    return "yes" if row.every_server_sends_it else "no"


def field_table(options: Iterable[Field[object]]) -> str:
    """Make the table of an event's fields."""
    return table(
        ("Field", "Meaning"), ((code(option.name), option.metadata["doc"]) for option in options)
    )


def default_of(option: Field[object]) -> object:
    """Return an option's default, however it was declared."""
    return option.default_factory() if option.default is MISSING else option.default


def level(event: type[Event]) -> str:
    """Return the level's name."""
    return logging.getLevelName(event.level)


def logger(event: type[Event]) -> str:
    """Return the name of the logger that gets the event."""
    return code(f"resilient_channels.{event.topic}")


def anchor(event: type[Event]) -> str:
    """Return what links point to."""
    return f"event-{event.name.replace('.', '-').replace('_', '-')}"


def description(subject: type) -> str:
    """Return the whole docstring, its lines as they are read in Markdown."""
    lines = (subject.__doc__ or "").strip().splitlines()
    return "\n".join(line.strip() for line in lines)


def sentence(subject: type) -> str:
    """Return the first paragraph of the docstring on one line."""
    return " ".join(description(subject).split("\n\n")[0].split())


def code(text: str) -> str:
    """Mark *text* as code."""
    return f"`{text}`"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(escape(cell) for cell in line)} |\n" for line in lines) + "\n"


def escape(cell: str) -> str:
    """Keep a cell on one line and within its column."""
    return " ".join(cell.replace("|", "\\|").split())


def main() -> int:
    """Write or check every page; return the exit status."""
    parser = argparse.ArgumentParser(description="Write the reference tables from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if one is stale")
    check = parser.parse_args().check
    pages = {
        TARGET / name: NOTICE.format(source=f"src/resilient_channels/{source}") + "".join(make())
        for name, (source, make) in PAGES.items()
    }
    pages[GOLDEN] = "".join(close_codes_for_clients())
    stale = []
    for page, text in pages.items():
        text = text.rstrip("\n") + "\n"
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        stale.append(page.name)
        if not check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
            print(f"wrote {page.name}")
    if check and stale:
        print(f"stale: {', '.join(stale)}; run python docs/generate.py", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
