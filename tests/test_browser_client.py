"""The browser client: its own tests, run by Node, and what a page needs it to be."""

import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import rjsmin

from resilient_channels.core.codes import REGISTRY

HERE = Path(__file__).resolve().parent
STATIC = HERE.parent / "src" / "resilient_channels" / "static" / "resilient_channels"
MODULE = STATIC / "resilient-socket.js"
SUITES = sorted((HERE / "js").glob("*.test.mjs"))
OLDEST_NODE = 20
MAX_SIZE = 6 * 1024


def run(*command: str | Path) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def node() -> str:
    """Node's command; without it a laptop skips, and CI fails."""
    found = shutil.which("node")
    version = run(found, "--version") if found else "none"
    if found and int(re.match(r"v(\d+)", version)[1]) >= OLDEST_NODE:
        return found
    why = f"needs Node {OLDEST_NODE} or newer; found: {version.strip()}"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name)
def test_suite(node: str, suite: Path):
    report = run(node, "--test", "--test-reporter=tap", suite)

    # A file without a single test passes, too.
    assert int(re.search(r"^# pass (\d+)$", report, re.MULTILINE)[1]) > 1


def test_the_suites_are_found():
    assert {path.name for path in SUITES} >= {"wire.test.mjs", "liveness.test.mjs"}


def test_the_module_is_small():
    text = MODULE.read_text(encoding="utf-8")
    # Comments and blanks go, names stay: a minifier that renames makes it smaller still.
    minified = rjsmin.jsmin(text)

    assert len(minified) < len(text)
    assert len(gzip.compress(minified.encode(), compresslevel=9, mtime=0)) <= MAX_SIZE


def test_the_minified_module_is_the_same_module(node: str, tmp_path: Path):
    copy = tmp_path / "resilient-socket.min.mjs"
    copy.write_text(rjsmin.jsmin(MODULE.read_text(encoding="utf-8")), encoding="utf-8")
    script = "import(process.argv[1]).then((module) => console.log(Object.keys(module).join()))"

    names = [run(node, "-e", script, path.as_uri()) for path in (MODULE, copy)]

    assert names[0] == names[1] != "\n"


@pytest.mark.parametrize(
    "forbidden",
    [r"\beval\b", r"\bnew Function\b", r"\.innerHTML\b", r"\.style\b", r"^\s*import\b"],
)
def test_nothing_is_used_that_a_strict_policy_forbids_or_a_build_resolves(forbidden: str):
    code = rjsmin.jsmin(MODULE.read_text(encoding="utf-8"))  # without comments
    assert "class ResilientSocket" in code

    assert not re.search(forbidden, code, re.MULTILINE)


def test_the_close_codes_that_the_client_is_tested_with_are_the_registrys():
    rows = json.loads((HERE / "golden" / "close-codes.json").read_text(encoding="utf-8"))

    assert rows == [
        {
            "code": row.code,
            "name": row.name,
            "verdict": row.verdict.value,
            "keeps_resume_state": row.keeps_resume_state,
            "sender": row.sender.name.lower(),
        }
        for row in REGISTRY.values()
    ]


@pytest.mark.skipif(not shutil.which("tsc"), reason="the TypeScript compiler is not installed")
def test_the_declarations_compile_as_they_are_meant_to_be_used():
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"]

    run(shutil.which("tsc"), *options, HERE / "js" / "usage.ts")
