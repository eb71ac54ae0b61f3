"""The reference says what the code says."""

import ast
import inspect
import json
import logging
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from textwrap import dedent

import pytest

from resilient_channels import broadcast, conversation, notify, safe_group_send
from resilient_channels.checks import CHECK_IDS
from resilient_channels.checks.hubs import METHODS, OPTIONS
from resilient_channels.conf import find_problems
from resilient_channels.core import liveness, wire
from resilient_channels.core.codes import REGISTRY
from resilient_channels.core.disconnects import DisconnectKind
from resilient_channels.core.events import EVENTS, ControlIgnored
from resilient_channels.core.outcomes import SendOutcome
from resilient_channels.core.policies import SECTIONS, build_section, option_names
from resilient_channels.core.subprotocols import PREFIX, TOKEN
from resilient_channels.layers import ResilientChannelLayer

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
GENERATE = DOCS / "generate.py"
GOLDEN = Path(__file__).parent / "golden" / "wire-v1.json"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])


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


@pytest.mark.parametrize("key", OPTIONS)
def test_every_key_of_the_hub_is_documented(key: str):
    assert f"| `{key}` |" in page("layers.md")


@pytest.mark.parametrize("method", [*METHODS, "flush", "close"])
def test_every_method_of_the_hub_is_documented_as_it_is_called(method: str):
    parameters = inspect.signature(getattr(ResilientChannelLayer, method)).parameters
    names = [name for name in parameters if name not in ("self", "args", "kwargs")]

    assert re.search(rf"^.*`{method}\({', '.join(names)}.*\)`", page("layers.md"), re.MULTILINE)


@pytest.mark.parametrize("function", [safe_group_send, broadcast, notify])
def test_every_function_that_sends_is_documented_with_its_signature(function):
    names = inspect.signature(function).parameters

    said = re.search(
        rf"`(?:await )?{function.__name__}\((.*?)\) -> SendOutcome`", page("layers.md")
    )
    assert re.findall(r"(\w+)(?:=\S+)?(?:,|$)", said[1]) == list(names)


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


# --- examples --------------------------------------------------------------------------------


def examples(path: Path) -> list[str]:
    """The Python code of a page, block by block."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```python\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [dedent(code) for _, code in blocks]


def read(code: str) -> ast.AST:
    try:
        return ast.parse(code)
    except SyntaxError:
        return ast.parse(f"{{{code}}}")  # a part of a dict


def options_in(path: Path) -> list[tuple[bool, dict]]:
    """Every dict that is given as ``resilience`` (true), or as the settings."""
    found = []
    for example in examples(path):
        for node in ast.walk(read(example)):
            if isinstance(node, ast.keyword) and node.arg == "resilience":
                found.append((True, node.value))
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in (
                "resilience", "RESILIENT_CHANNELS",
            ):  # fmt: skip
                found.append((ast.unparse(node.targets[0]) == "resilience", node.value))
    return [(of_class, ast.literal_eval(value)) for of_class, value in found]


@pytest.mark.parametrize(
    "path", [path for path in PAGES if examples(path)], ids=lambda path: path.stem
)
def test_every_example_can_be_read_and_its_options_are_options(path: Path):
    for of_class, options in options_in(path):
        assert list(find_problems(options, path.name, of_class=of_class)) == []
        heartbeat = build_section("HEARTBEAT", options.get("HEARTBEAT", {}))
        assert heartbeat.contradiction is None


# --- the wire protocol -----------------------------------------------------------------------

FRAME = re.compile(r'`(\{"type":.*?\})`')
WRITTEN = [name.removeprefix("encode_") for name in vars(wire) if name.startswith("encode_")]


def test_the_wire_protocol_page_shows_a_frame_of_every_type():
    shown = [json.loads(frame)["type"] for frame in FRAME.findall(page("wire-protocol.md"))]
    read = [kind.__name__.lower() for kind in wire.ClientFrame.__args__]

    assert set(shown) == {*WRITTEN, *read}
    for kind in shown:
        assert re.search(rf"^## .*\b{kind}\b", page("wire-protocol.md"), re.MULTILINE)


def test_every_frame_it_shows_is_one_that_both_sides_are_tested_with():
    rows = json.loads(GOLDEN.read_text(encoding="utf-8"))["frames"]
    golden = {row["text"].removeprefix(wire.MARK) for row in rows}

    assert set(FRAME.findall(page("wire-protocol.md"))) <= golden


@pytest.mark.parametrize("kind", WRITTEN)
def test_it_names_every_key_that_the_server_writes(kind: str):
    keys = set(re.findall(r"(\w+)=", inspect.getsource(getattr(wire, f"encode_{kind}"))))
    shown = [json.loads(frame) for frame in FRAME.findall(page("wire-protocol.md"))]
    shown = [set(frame) for frame in shown if frame["type"] == kind]

    assert keys <= set.union(*shown)


@pytest.mark.parametrize(
    "limit",
    [
        wire.MAX_LENGTH,
        wire.MAX_NONCE,
        wire.MAX_INTEGER,
        conversation.FRAMES_PER_SECOND,
        liveness.MAX_UNANSWERED,
    ],
)
def test_it_states_every_limit(limit: int):
    table = page("wire-protocol.md").split("## Limits")[1].split("\n## ")[0]

    assert re.search(rf"\b({limit}|{limit:,})\b", table)


def test_it_states_the_names_the_version_and_the_jitter():
    text = page("wire-protocol.md")

    assert f"`{TOKEN}`" in text
    assert f"`{PREFIX}<name>`" in text
    assert f"# Wire protocol v{wire.VERSION}\n" in text
    assert f"{1 - liveness.JITTER} to 1.0 intervals" in text


def test_it_names_every_cause_for_which_a_frame_is_ignored():
    doc = {field.name: field.metadata["doc"] for field in fields(ControlIgnored)}["cause"]
    said = page("wire-protocol.md").replace("\n", " ")

    for cause in re.findall(r"`(.+?)`", doc):
        assert f"`{cause}`" in said


def test_the_verdicts_are_those_of_the_registry():
    text = page("wire-protocol.md").split("## When the connection has ended")[1].split("\n## ")[0]

    assert set(re.findall(r"^`(\w+)`$", text, re.MULTILINE)) == {
        row.verdict.value for row in REGISTRY.values()
    }
