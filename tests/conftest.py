"""Fixtures for every test."""

import gc

import pytest
from pytest_asyncio import is_async_test

from support import profiles
from support.databases import hops, make_database
from support.leaks import no_tasks_left, nothing_left_behind

LONGEST = ("tests/live/test_tour.py", "tests/live/test_demo_page.py")

__all__ = ["hops", "make_database", "no_tasks_left", "nothing_left_behind"]

profiles.load()  # before any test is imported, as they ask for more or less of it


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "leaves(*what): the test may leave descriptors, groups or failures behind"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every async test on a real loop must end its tasks. Those that wait stand among the rest."""
    live = [item for item in items if item.get_closest_marker("live")]
    live.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    others = [item for item in items if not item.get_closest_marker("live")]
    # Where tests run beside each other, each process has as much of both, and the longest first.
    places = {item: n / len(kind) for kind in (live, others) for n, item in enumerate(kind)}
    items.sort(key=places.__getitem__)
    for item in items:
        if is_async_test(item):
            item.fixturenames.append("no_tasks_left")


def pytest_collection_finish() -> None:
    # Every test ends with a full collection, to find failures that nobody looked at. What was
    # imported by now stays for good and need not be walked each time.
    gc.collect()
    gc.freeze()
