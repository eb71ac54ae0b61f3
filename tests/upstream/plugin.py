"""A pytest plugin that puts the hub where the tests of channels_redis say the layers' names.

It is loaded into a pytest of its own. ``UPSTREAM_RUN`` holds, as JSON:

    wrapped: whether to put the hub there; without it the tests run as they are
    address: of the broker
    sentinel: what a host entry says instead, to ask a Sentinel for the broker
    report: file to write what became of each test to
"""

import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings

from support.limits import bounded
from upstream.deselected import DESELECTED

RUN = json.loads(os.environ["UPSTREAM_RUN"])
LIMIT = 20.0  # seconds; the longest test takes 8
LAYERS = {layer.__name__: layer for layer in (RedisChannelLayer, RedisPubSubChannelLayer)}

outcomes: defaultdict[str, list[str]] = defaultdict(list)


def pytest_configure() -> None:
    # Some send a lot, beside each other; how long that takes here is not what they are about.
    settings.configure(RESILIENT_CHANNELS={"LAYER": {"deadline": 15.0}})
    # They count the records of a test. What ours say is tested elsewhere.
    logging.getLogger("resilient_channels").setLevel(logging.CRITICAL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for module in {item.module for item in items if isinstance(item, pytest.Function)}:
        rebind(module)
    kept, left_out = [], []
    for item in items:
        reasons = DESELECTED.get(item.path.name, {})
        (left_out if getattr(item, "originalname", "") in reasons else kept).append(item)
    for item in left_out:
        outcomes[item.name].append("deselected")
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


def rebind(module: ModuleType) -> None:
    """Give a test module our broker, and layers of our making under their own names."""
    for name in ("TEST_HOSTS", "MULTIPLE_TEST_HOSTS"):
        if hasattr(module, name):
            setattr(module, name, [ours(host) for host in getattr(module, name)])
    for name, layer in LAYERS.items():
        if hasattr(module, name):
            setattr(module, name, maker(layer, module.TEST_HOSTS))


def ours(host: Any) -> Any:
    """The same host, on our broker."""
    if isinstance(host, dict):
        return host | RUN["sentinel"]
    database = host.rpartition("/")[2] if host.count("/") > 2 else "0"
    return f"{RUN['address']}/{database}"


def maker(layer: type, hosts: list[Any]) -> Any:
    """What a test calls instead of the class; some name no hosts, and mean the default ones."""

    def make(**config: Any) -> Any:
        config = {"hosts": hosts} | config
        if not RUN["wrapped"]:
            return layer(**config)

        from resilient_channels.layers import ResilientChannelLayer

        return ResilientChannelLayer(BACKEND=layer, CONFIG=config)

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    with bounded(LIMIT):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with bounded(LIMIT):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    with bounded(LIMIT):
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    name = report.nodeid.partition("::")[2]
    if hasattr(report, "wasxfail"):
        outcomes[name].append("xfailed")
    elif report.when == "call" or not report.passed:
        outcomes[name].append(report.outcome)


def pytest_sessionfinish() -> None:
    Path(RUN["report"]).write_text(json.dumps(outcomes))
