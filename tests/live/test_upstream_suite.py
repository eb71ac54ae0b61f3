"""The tests that channels_redis ships with its source pass with the hub around its layers."""

import asyncio
import os

import pytest

from tour.brokers import available
from upstream.deselected import DESELECTED
from upstream.runs import run_all
from upstream.source import SourceUnavailable, fetch_tests

pytestmark = [
    pytest.mark.live,
    pytest.mark.redis,
    # In CI nothing is skipped: the broker says there what is missing.
    pytest.mark.skipif(
        not available() and "CI" not in os.environ, reason="redis-server is not installed"
    ),
]

# file -> how many of its tests pass, at the least
FILES = {
    "test_core.py": 21,
    "test_pubsub.py": 13,
    "test_sentinel.py": 22,
    "test_pubsub_sentinel.py": 10,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    try:
        tests = fetch_tests(tmp_path_factory.mktemp("channels_redis"))
    except SourceUnavailable as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))
    return asyncio.run(run_all(tests, list(FILES), wrapped=True))


@pytest.mark.parametrize("file", FILES)
def test_their_tests_pass_on_wrapped_layers(runs, file):
    run = runs[file]

    failed = {name for name, each in run.outcomes.items() if {"failed", "error"} & set(each)}
    assert not failed, run.output
    assert run.count("passed") >= FILES[file], run.output
    assert run.count("skipped") == 0, run.output


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_left_behind_when_their_loops_and_processes_end(runs, file, request):
    run = runs[file]
    if "pubsub" in file:
        # They close event loops by hand, without `close()` of the layer.
        reason = "a loop that is closed by hand takes the hub's tasks with it"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=False))

    assert run.ended, run.output
    assert "was destroyed but it is pending" not in run.output, run.output


@pytest.mark.parametrize("file", FILES)
def test_what_is_left_out_is_there_to_be_left_out(runs, file):
    left_out = {name for name, each in runs[file].outcomes.items() if each == ["deselected"]}

    assert left_out == set(DESELECTED[file])
