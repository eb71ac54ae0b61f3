"""The fixtures that fail a test which leaves something behind, on tests that do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LEAKY = """
import asyncio, os
import pytest
from channels.layers import get_channel_layer

kept = []

async def forever():
    await asyncio.Event().wait()

async def fails():
    raise ZeroDivisionError

async def test_task():
    kept.append(asyncio.ensure_future(forever()))

def test_descriptor():
    kept.append(os.open(__file__, os.O_RDONLY))

async def test_group():
    await get_channel_layer().group_add("room", "c")

async def test_failure():
    asyncio.ensure_future(fails())
    await asyncio.sleep(0.01)

@pytest.mark.leaves("groups")
async def test_allowed():
    await get_channel_layer().group_add("room", "c")

async def test_clean():
    task = asyncio.ensure_future(asyncio.sleep(0.01))
    await get_channel_layer().group_add("room", "c")
    await get_channel_layer().group_discard("room", "c")
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says about the leaky tests, run in a process of its own."""
    here = Path(__file__).parent
    folder = tmp_path_factory.mktemp("leaky")
    (folder / "conftest.py").write_text((here / "conftest.py").read_text())
    (folder / "test_leaky.py").write_text(LEAKY)
    ini = (
        f"[pytest]\npythonpath = {here}\nDJANGO_SETTINGS_MODULE = settings\n"
        "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    (folder / "pytest.ini").write_text(ini)
    command = [sys.executable, "-m", "pytest", "-rA", "-q", "--tb=line", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(here)}
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return finished.stdout


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("test_task", "tasks were left pending"),
        ("test_descriptor", "{'descriptors'"),
        ("test_group", "{'groups'"),
        ("test_failure", "Task exception was never retrieved"),
    ],
)
def test_what_is_left_behind_fails_the_test(report: str, name: str, complaint: str) -> None:
    assert f"ERROR test_leaky.py::{name}" in report
    assert complaint in report


@pytest.mark.parametrize("name", ["test_allowed", "test_clean"])
def test_what_is_allowed_or_cleaned_up_passes(report: str, name: str) -> None:
    assert f"PASSED test_leaky.py::{name}" in report
    assert f"ERROR test_leaky.py::{name}" not in report
