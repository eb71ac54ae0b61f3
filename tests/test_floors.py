"""The house: imports go downward only, and the core touches nothing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import resilient_channels

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(resilient_channels.__file__).parent
CORE = sorted((SOURCE / "core").glob("*.py"))
MODULES = sorted(SOURCE.rglob("*.py"))

# Clock, chance and the outside world.
NOT_IN_CORE = {
    "asyncio",
    "concurrent",
    "contextvars",
    "datetime",
    "logging",
    "os",
    "random",
    "secrets",
    "socket",
    "threading",
    "time",
    "uuid",
}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The level and the name of everything that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def test_every_contract_is_kept():
    pytest.importorskip("importlinter")
    # In a process of its own: it configures logging, and would disable our loggers.
    call = (
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    )

    result = subprocess.run(
        [sys.executable, "-c", call],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_knows_the_standard_library_and_itself_and_nothing_else(path: Path):
    for level, name in imports(path):
        if level == 0:
            top = name.partition(".")[0]
            assert top in sys.stdlib_module_names or top == "__future__"
            assert top not in NOT_IN_CORE
        else:
            assert level == 1, f"{path.name} looks out of the core: {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_imports_a_broker_client_or_a_server(path: Path):
    tops = {name.partition(".")[0] for level, name in imports(path) if level == 0}

    assert not tops & {"redis", "channels_redis", "daphne", "uvicorn", "autobahn", "twisted"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_has_a_docstring_and_stays_readable(path: Path):
    text = path.read_text(encoding="utf-8")

    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 330


def test_only_compat_and_the_shells_import_channels_internals():
    """Generic consumers, layers and exceptions are public; the rest is for ``compat``."""
    public = {
        "channels.consumer",
        "channels.exceptions",
        "channels.generic.websocket",
        "channels.layers",
    }
    for path in MODULES:
        used = {name for level, name in imports(path) if level == 0 and name[:8] == "channels"}
        if path.parent.name != "compat":
            assert used <= public, f"{path.name} imports {used - public}"
