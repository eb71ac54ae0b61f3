"""Fixtures that fail any test which leaves something behind."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from channels.layers import channel_layers

from support.reports import describe_task

# Opened once per process by the machinery around the tests, not by a test.
NOT_A_LEAK = ("/dev/null", "/dev/urandom", "anon_inode:[eventpoll]")
GRACE = 0.5  # real seconds for a task that was cancelled to come to its end


def open_descriptors() -> dict[int, str]:
    """What this process has open; empty where the system cannot tell."""
    found = {}
    if not os.path.isdir("/proc/self/fd"):
        return found
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the listing itself, closed again
    return found


def descriptors_left(before: dict[int, str]) -> list[str]:
    return sorted(
        f"{number}: {target}"
        for number, target in open_descriptors().items()
        if before.get(number) != target and target not in NOT_A_LEAK
    )


def group_members() -> dict[str, dict[str, list[str]]]:
    """Members of every in-memory layer: alias -> group -> channels."""
    return {
        alias: {name: sorted(channels) for name, channels in layer.groups.items() if channels}
        for alias, layer in channel_layers.backends.items()
        if any(getattr(layer, "groups", {}).values())
    }


class AsyncioErrors(logging.Handler):
    """Collects what asyncio complains about, "never retrieved" among it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.complaints.append(record.getMessage())


def leaves(request: pytest.FixtureRequest) -> frozenset[str]:
    """What a test says it leaves behind: ``@pytest.mark.leaves("groups")``."""
    return frozenset(name for marker in request.node.iter_markers("leaves") for name in marker.args)


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a descriptor, a group member or an unread failure."""
    allowed = leaves(request)
    before = open_descriptors()
    errors = AsyncioErrors()
    logging.getLogger("asyncio").addHandler(errors)
    unraisable: list[str] = []
    previous_hook = sys.unraisablehook
    sys.unraisablehook = lambda info: unraisable.append(f"{info.err_msg}: {info.exc_value!r}")
    try:
        yield
        gc.collect()
    finally:
        sys.unraisablehook = previous_hook
        logging.getLogger("asyncio").removeHandler(errors)
        members = group_members()
        channel_layers.backends.clear()
    found: dict[str, Any] = {
        "descriptors": descriptors_left(before),
        "groups": members,
        "failures": errors.complaints + unraisable,
    }
    left = {what: found[what] for what in found if found[what] and what not in allowed}
    assert not left, f"the test left behind: {left}"


@pytest.fixture
async def no_tasks_left() -> AsyncIterator[None]:
    """Fail an async test that leaves a task on its (real) event loop."""
    before = asyncio.all_tasks()
    yield
    pending = asyncio.all_tasks() - before - {asyncio.current_task()}
    if pending:
        await asyncio.wait(pending, timeout=GRACE)
    left = [describe_task(task) for task in pending if not task.done()]
    assert not left, "tasks were left pending:\n" + "\n".join(left)
