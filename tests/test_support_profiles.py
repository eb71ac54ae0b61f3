"""How often, and with how much luck, Hypothesis looks."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings, strategies as st

from support import profiles


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    profiles.load()


def test_in_ci_the_examples_are_the_same_every_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CI", "true")
    profiles.load()

    assert numbers() == numbers()


def test_on_a_laptop_they_are_others_each_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CI", raising=False)
    profiles.load()

    assert numbers() != numbers()


def numbers() -> list[int]:
    """What a test is given that asks for any number."""
    seen: list[int] = []

    @settings(database=None)
    @given(st.integers())
    def takes_any(number: int) -> None:
        seen.append(number)

    takes_any()
    return seen


@pytest.mark.parametrize("profile", ["ci", "laptop", "long"])
def test_no_example_fails_for_being_slow_and_each_can_be_seen_again(profile: str):
    known = settings.get_profile(profile)

    assert known.deadline is None
    assert known.print_blob


def test_what_needs_more_luck_gets_it_and_a_long_run_takes_no_example_away():
    assert profiles.thorough(100, steps=40).max_examples == 100
    settings.load_profile("long")

    assert profiles.thorough(100, steps=40).max_examples == 3000
    assert profiles.thorough(100, steps=40).stateful_step_count == 40
