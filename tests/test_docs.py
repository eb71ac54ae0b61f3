"""The reference says what the code says."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from resilient_channels.checks import CHECK_IDS
from resilient_channels.core.codes import REGISTRY
from resilient_channels.core.disconnects import DisconnectKind
from resilient_channels.core.events import EVENTS
from resilient_channels.core.outcomes import SendOutcome
from resilient_channels.core.policies import SECTIONS, option_names

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
GENERATE = DOCS / "generate.py"


def page(name: str) -> str:
    """A page of the reference, with the generated tables that it includes."""
    text = (REFERENCE / name).read_text(encoding="utf-8")
    return re.sub(
        r"```\{include\} (\S+)\n(:.*\n)*```",
        lambda match: (REFERENCE / match[1]).read_text(encoding="utf-8"),
        text,
    )


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(GENERATE), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_generated_tables_are_up_to_date():
    result = generate("--check")

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("check_id", CHECK_IDS)
def test_every_check_is_documented(check_id: str):
    assert check_id in page("checks.md")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_every_event_is_documented_with_its_level(event):
    assert f"## {event.name}\n" in page("events.md")
    level = logging.getLevelName(event.level)
    assert re.search(
        rf"`{event.name}`.*{level}.*`resilient_channels\.{event.topic}`", page("events.md")
    )


@pytest.mark.parametrize("section", SECTIONS)
def test_every_option_is_documented_with_its_default(section: str):
    text = page("settings.md")

    assert f"## {section}\n" in text
    for option in option_names(section):
        default = getattr(SECTIONS[section](), option)
        assert re.search(rf"\| `{option}` \| `{re.escape(repr(default))}` \|", text)


@pytest.mark.parametrize("code", REGISTRY)
def test_every_close_code_is_documented(code: int):
    assert f"| {code} | `{REGISTRY[code].name}` |" in page("close-codes.md")


@pytest.mark.parametrize("member", [*DisconnectKind, *SendOutcome], ids=str)
def test_every_kind_and_outcome_is_documented(member):
    assert f"| `{member.name}` |" in page("consumers.md")


def test_no_page_speaks_of_a_check_that_does_not_exist():
    pages = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))

    assert set(re.findall(r"resilient_channels\.[EW]\d{3}", pages)) <= set(CHECK_IDS)


def test_every_included_file_exists():
    for path in DOCS.rglob("*.md"):
        for target in re.findall(r"```\{include\} (\S+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).is_file(), f"{path.name} includes {target}"


def test_every_relative_link_leads_somewhere():
    for path in DOCS.rglob("*.md"):
        if "_build" in path.parts:
            continue
        for target in re.findall(r"\]\(([^)\s#:]+\.md)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).is_file(), f"{path.name} links to {target}"
