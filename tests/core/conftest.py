"""The core has no loop and opens nothing: its tests need no fixture, and run in milliseconds."""

import os

import pytest
from hypothesis import settings

settings.register_profile(
    "laptop", max_examples=40, stateful_step_count=20, deadline=None, database=None
)
settings.register_profile("ci", settings.get_profile("laptop"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")


@pytest.fixture
def nothing_left_behind() -> None:
    """Instead of the fixture for everybody else, which collects garbage after every test."""
