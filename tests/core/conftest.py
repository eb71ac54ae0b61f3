"""The core has no loop and opens nothing: its tests need no fixture, and run in milliseconds."""

import pytest


@pytest.fixture
def nothing_left_behind() -> None:
    """Instead of the fixture for everybody else, which collects garbage after every test."""
