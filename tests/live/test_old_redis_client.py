"""With a redis-py of an older major version, the hub survives the same faults of Redis.

The tests of ``test_redis`` run again in processes that find that version first. A directory that
already holds one can be named in ``OLD_REDIS_CLIENT``.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from live.stage import TESTS
from tour.brokers import available

pytestmark = [
    pytest.mark.live,
    pytest.mark.redis,
    pytest.mark.skipif(
        not available() and "CI" not in os.environ, reason="redis-server is not installed"
    ),
]

OLD = "redis<6"
INSTALL = ("install", "--quiet", "--disable-pip-version-check", "--no-input", "--upgrade")
CLAIMS = (
    "test_killed_for_three_seconds_and_restarted_empty",
    "test_connections_killed",
    "test_flushed",
    "test_frozen",
    "test_leaving_in_an_outage_runs_disconnect_in_time",
)
CELLS = ("uvicorn-core-hub", "daphne-pubsub-hub")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Of processes that import the old version."""
    given = os.environ.get("OLD_REDIS_CLIENT")
    directory = Path(given) if given else tmp_path_factory.mktemp("redis")
    if not (directory / "redis").is_dir():
        complaint = install(directory)
        if complaint is not None:
            assert "CI" not in os.environ, complaint
            pytest.skip(f"cannot install {OLD}: {complaint.splitlines()[-1]}")
    paths = [str(directory), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def install(directory):
    """Install the old version there; what was said if that cannot be done, else None."""
    said = "no pip"
    # An environment need not have a pip of its own.
    for python in dict.fromkeys((sys.executable, sys._base_executable)):
        command = [python, "-m", "pip", *INSTALL, "--target", str(directory), OLD]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode == 0:
            return None
        said = (done.stderr + done.stdout).strip() or said
    return said


@pytest.fixture(scope="module")
def runs(environment, tmp_path_factory):
    """What became of each cell; they mostly wait, so they run at once."""

    async def run_all():
        return await asyncio.gather(
            *(run(cell, environment, tmp_path_factory.mktemp(cell)) for cell in CELLS)
        )

    return dict(zip(CELLS, asyncio.run(run_all()), strict=True))


async def run(cell, environment, directory):
    claims = [f"{TESTS}/live/test_redis.py::{claim}[{cell}]" for claim in CLAIMS]
    pytest_options = ("-q", "-p", "no:cacheprovider", f"--basetemp={directory}/run")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", *pytest_options, *claims, cwd=TESTS.parent,
        env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(240):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return output.decode(errors="replace")


def test_what_the_servers_import_is_old(environment):
    program = "import redis; print(redis.__version__)"
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )

    assert answer.stdout.startswith("5."), answer.stdout


@pytest.mark.parametrize("cell", CELLS)
def test_the_hub_survives_the_same_faults(cell, runs):
    assert f"{len(CLAIMS)} passed" in runs[cell], runs[cell][-6000:]
