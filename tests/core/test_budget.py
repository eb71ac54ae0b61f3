"""The error budget, against the sentence that describes it."""

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.budget import ErrorBudget


def spend_all(budget: ErrorBudget, *times: float) -> list[bool]:
    return [budget.spend(now) for now in times]


def test_as_many_errors_as_are_allowed_are_survived():
    assert spend_all(ErrorBudget(5, 60), 0, 1, 2, 3, 4) == [False] * 5


def test_one_more_than_allowed_is_too_much():
    assert spend_all(ErrorBudget(5, 60), 0, 1, 2, 3, 4, 5)[-1] is True


def test_a_budget_of_none_is_overdrawn_by_the_first_error():
    assert ErrorBudget(0, 60).spend(0.0) is True


@pytest.mark.parametrize(("last", "overdrawn"), [(60.0, True), (60.001, False)])
def test_an_error_counts_until_its_window_has_passed(last: float, overdrawn: bool):
    assert spend_all(ErrorBudget(1, 60), 0.0, last) == [False, overdrawn]


def test_many_errors_at_one_moment_all_count():
    assert spend_all(ErrorBudget(2, 60), 7.0, 7.0, 7.0) == [False, False, True]


def test_an_overdrawn_budget_recovers_when_its_errors_are_old():
    budget = ErrorBudget(1, 10)
    spend_all(budget, 0, 1, 2)

    assert spend_all(budget, 50) == [False]


# Eighths of a second, so that sums and differences are exact.
@given(
    allowed=st.integers(0, 6),
    window=st.integers(1, 80).map(lambda n: n / 8),
    gaps=st.lists(st.integers(0, 40).map(lambda n: n / 8), min_size=1, max_size=30),
)
def test_it_agrees_with_counting_by_hand(allowed: int, window: float, gaps: list[float]):
    budget = ErrorBudget(allowed, window)
    times: list[float] = []
    for gap in gaps:
        times.append((times[-1] if times else 0.0) + gap)
        recent = [time for time in times if times[-1] - time <= window]

        assert budget.spend(times[-1]) is (len(recent) > allowed)
