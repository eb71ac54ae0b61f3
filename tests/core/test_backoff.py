"""Full jitter: always within the ceiling, and back to the start after a success."""

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.backoff import Backoff

fractions = st.floats(0, 1, exclude_max=True)
seconds = st.floats(0.001, 3600)


@pytest.mark.parametrize(("attempt", "ceiling"), [(0, 0.1), (1, 0.2), (2, 0.4), (3, 0.8)])
def test_the_ceiling_doubles_with_each_attempt(attempt: int, ceiling: float):
    backoff = Backoff(base=0.1, cap=1.0, attempt=attempt)

    assert backoff.next_delay(0.5) == pytest.approx(ceiling / 2)


def test_the_ceiling_stops_at_the_cap():
    backoff = Backoff(base=0.1, cap=1.0, attempt=4)

    assert [backoff.next_delay(0.5) for _ in range(3)] == [0.5, 0.5, 0.5]


def test_a_fraction_of_zero_means_at_once():
    assert Backoff().next_delay(0.0) == 0.0


@given(base=seconds, cap=seconds, draws=st.lists(fractions, min_size=1, max_size=80))
def test_no_delay_is_negative_or_above_the_cap(base: float, cap: float, draws: list[float]):
    backoff = Backoff(base=base, cap=cap)

    delays = [backoff.next_delay(fraction) for fraction in draws]

    assert all(0 <= delay <= cap for delay in delays)
    assert all(
        delay <= base * 2**attempt * (1 + 1e-9)
        for attempt, delay in enumerate(delays)
        if attempt < 60
    )


def test_a_million_failed_attempts_do_not_overflow():
    backoff = Backoff(base=0.1, cap=30.0, attempt=1_000_000)

    assert backoff.next_delay(0.5) == 15.0


@given(attempts=st.integers(0, 100), fraction=fractions)
def test_after_a_reset_it_is_as_good_as_new(attempts: int, fraction: float):
    used = Backoff(base=0.2, cap=5.0)
    for _ in range(attempts):
        used.next_delay(fraction)

    used.reset()

    fresh = Backoff(base=0.2, cap=5.0)
    assert [used.next_delay(fraction) for _ in range(8)] == [
        fresh.next_delay(fraction) for _ in range(8)
    ]
