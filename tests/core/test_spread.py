"""A spread: how many are sent away when, and when they should be back."""

from bisect import bisect_left
from itertools import pairwise

from hypothesis import given, strategies as st

from resilient_channels.core.spread import EACH, MOST, STEP, Spread, default_duration

counts = st.integers(min_value=1, max_value=3000)
durations = st.floats(min_value=0.05, max_value=60)
fractions = st.floats(min_value=0, max_value=1, exclude_max=True)


def play(spread: Spread, stalls: dict[int, float] | None = None) -> list[float]:
    """When each is closed, if turn number n comes *stalls[n]* seconds late."""
    now, closed, turn = 0.0, 0, 0
    times: list[float] = []
    while closed < spread.count:
        due = spread.due(now, closed)
        times += [now] * due
        closed += due
        turn += 1
        now += spread.wait(now, closed, due) + (stalls or {}).get(turn, 0.0)
    return times


def most_in_a_second(times: list[float]) -> int:
    times = sorted(times)
    return max(bisect_left(times, begin + 1) - bisect_left(times, begin) for begin in times)


@given(counts, durations)
def test_all_are_closed_within_the_duration(count: int, duration: float):
    times = play(Spread(count, duration, duration))

    assert len(times) == count
    assert times == sorted(times)
    # The last one a gap before, or in the turn that its place in a group falls into.
    assert times[-1] <= duration * 1.02 + 2 * STEP


def test_they_are_at_even_distances():
    times = play(Spread(50, 25.0, 25.0))

    gaps = [after - before for before, after in pairwise(times)]
    assert all(abs(gap - 0.5) < 1e-9 for gap in gaps)


@given(counts, st.floats(min_value=2, max_value=60))
def test_no_second_has_twice_its_share(count: int, duration: float):
    times = play(Spread(count, duration, duration))

    assert most_in_a_second(times) <= max(2 * count / duration, 2)


@given(
    st.integers(min_value=100, max_value=3000),
    st.floats(min_value=2, max_value=30),
    st.dictionaries(st.integers(1, 50), st.floats(min_value=0, max_value=5), max_size=5),
)
def test_not_even_after_the_loop_stood_still(count: int, duration: float, stalls: dict[int, float]):
    times = play(Spread(count, duration, duration), stalls)

    assert len(times) == count
    assert most_in_a_second(times) <= 2 * count / duration + 2


@given(counts, durations, st.floats(min_value=1, max_value=4), fractions)
def test_returns_are_at_even_distances_too(
    count: int, duration: float, factor: float, fraction: float
):
    spread = Spread(count, duration, duration * factor)
    share = spread.returns / count

    for index in (0, count // 2, count - 1):
        elapsed = index * spread.gap
        back = elapsed + spread.stay_away(elapsed, index, fraction)
        assert index * share - 1e-6 <= back <= (index + 1) * share + 1e-6


@given(counts, durations, fractions)
def test_nobody_is_told_to_be_back_before_being_closed(
    count: int, duration: float, fraction: float
):
    spread = Spread(count, duration, returns=duration / 10)

    assert spread.stay_away(duration, count - 1, fraction) >= 0


def test_a_spread_of_nobody_is_over_at_once():
    spread = Spread(0, 0.0, 0.0)

    assert spread.due(0.0, 0) == 0
    assert spread.stay_away(0.0, 0, 0.5) == 0


def test_the_duration_grows_with_the_crowd_up_to_a_limit():
    assert default_duration(0) == 0
    assert default_duration(1) == EACH
    assert default_duration(10) == 10 * EACH
    assert default_duration(10_000) == MOST == 7.0


def test_a_duration_of_next_to_nothing_is_none():
    assert Spread(500, 1e-310, 0.0).due(0.0, 0) == 500
