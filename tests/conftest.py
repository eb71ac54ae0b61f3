"""Fixtures for every test."""

import gc

import pytest
from pytest_asyncio import is_async_test

from support import profiles
from support.databases import hops, make_database
from support.leaks import no_tasks_left, nothing_left_behind

# Servers and browsers that all tests of a module use; in another process they would be others.
SHARE_A_STAGE = (
    "tests/live/test_demo_page.py",
    "tests/live/test_browser_client.py",
    "tests/live/test_example.py",
    "tests/third_party/test_third_party_live.py",
)

__all__ = ["hops", "make_database", "no_tasks_left", "nothing_left_behind"]

profiles.load()  # before any test is imported, as they ask for more or less of it


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "leaves(*what): the test may leave descriptors, groups or failures behind"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every async test on a real loop must end its tasks. What belongs together stays together."""
    # Where tests run beside each other: those that wait most begin first.
    items.sort(key=lambda item: item.get_closest_marker("live") is None)
    for item in items:
        if item.nodeid.startswith(SHARE_A_STAGE):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
        elif item.nodeid.startswith("tests/contract/"):
            # What the plain variant did is what the others have to do.
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("[")[0]))
        if is_async_test(item):
            item.fixturenames.append("no_tasks_left")


def pytest_collection_finish() -> None:
    # Every test ends with a full collection, to find failures that nobody looked at. What was
    # imported by now stays for good and need not be walked each time.
    gc.collect()
    gc.freeze()
