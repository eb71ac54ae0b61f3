"""The worlds that the contract suite runs in, and the mark of what is known to deviate."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from layers.deviations import UNDECIDED, reason_for
from support.layers_contract import PAIRS, SUBJECTS, Subject, World
from tour.brokers import Broker, available

HERE = Path(__file__).parent
LIVE = (
    pytest.mark.live,
    pytest.mark.redis,
    # In CI nothing is skipped: the broker says there what is missing.
    pytest.mark.skipif(
        not available() and "CI" not in os.environ, reason="redis-server is not installed"
    ),
)


def case(*subjects: Subject):
    """A parameter for ``world``."""
    marks = LIVE if any(subject.live for subject in subjects) else ()
    return pytest.param(subjects, marks=marks, id="+".join(subject.name for subject in subjects))


ALONE = [case(subject) for subject in SUBJECTS]
on_shared_brokers = pytest.mark.parametrize(
    "world", [case(subject) for subject in SUBJECTS if subject.shared], indirect=True
)
on_redis = pytest.mark.parametrize(
    "world", [case(subject) for subject in SUBJECTS if subject.live], indirect=True
)
on_hubs = pytest.mark.parametrize(
    "world", [case(subject) for subject in SUBJECTS if subject.hub], indirect=True
)
# Behind a hub a message may wait in two places, each with a capacity of its own.
without_a_relay = pytest.mark.parametrize(
    "world",
    [case(subject) for subject in SUBJECTS if not (subject.hub and subject.shared)],
    indirect=True,
)
on_virtual_time = pytest.mark.parametrize(
    "world", [case(subject) for subject in SUBJECTS if not subject.live], indirect=True
)
in_two_processes = pytest.mark.parametrize("world", [case(*pair) for pair in PAIRS], indirect=True)


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One redis-server for the whole suite; each world has a prefix of its own."""
    broker = Broker()
    asyncio.run(broker.__aenter__())
    yield broker
    asyncio.run(broker.__aexit__(None, None, None))


@pytest.fixture(params=ALONE)
def world(request: pytest.FixtureRequest) -> World:
    """A broker that nobody else is on, with the layers that the test is about."""
    world = World(request.param)
    if any(subject.live for subject in world.subjects):
        world.hosts = [request.getfixturevalue("broker").host["address"]]
    if request.node.get_closest_marker("xfail"):
        world.patience = 0.3  # what is missing will not come later either
    return world


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Expect the deviations of the table to fail, and nothing else; strictly."""
    undecided = []
    for item in items:
        if HERE in item.path.parents and isinstance(item, pytest.Function):
            where = item.callspec.id if hasattr(item, "callspec") else ""
            if reason := reason_for(item.originalname, where):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
            if reason_for(item.originalname, where, UNDECIDED):
                undecided.append(item)
    if undecided:
        config.hook.pytest_deselected(items=undecided)
        items[:] = [item for item in items if item not in undecided]
