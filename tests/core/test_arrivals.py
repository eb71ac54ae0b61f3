"""New connections per second: a rate, a burst, and times to come back that lie apart."""

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.arrivals import MAX_DELAY, Arrivals

RATE, BURST = 10.0, 20.0


def crowd(arrivals: Arrivals, count: int, now: float = 0.0) -> int:
    """How many of *count* at once come in."""
    return sum(arrivals.admit(RATE, BURST, now) for _ in range(count))


def test_a_burst_comes_in_and_then_as_many_as_the_rate_allows():
    arrivals = Arrivals(BURST, 0.0)

    assert crowd(arrivals, 100) == 20
    assert [crowd(arrivals, 100, float(second)) for second in range(1, 6)] == [10] * 5


def test_what_was_not_used_is_saved_up_to_a_burst_and_no_further():
    arrivals = Arrivals(BURST, 0.0)
    crowd(arrivals, 20)

    assert crowd(arrivals, 100, now=3600.0) == 20


@given(st.lists(st.floats(0, 30), min_size=1, max_size=300), st.floats(0.1, 50), st.integers(1, 40))
def test_no_more_come_in_than_burst_and_rate_allow(times: list[float], rate: float, burst: int):
    arrivals = Arrivals(burst, 0.0)
    times.sort()

    let_in = [now for now in times if arrivals.admit(rate, burst, now)]

    for first, began in enumerate(let_in):
        for last in range(first, len(let_in)):
            allowed = burst + (let_in[last] - began) * rate
            assert last - first + 1 <= allowed + 1e-6


def test_each_who_is_turned_away_is_told_a_later_time():
    arrivals = Arrivals(BURST, 0.0)
    crowd(arrivals, 20)

    delays = []
    for _ in range(100):
        assert not arrivals.admit(RATE, BURST, 0.0)
        delays.append(arrivals.delay(RATE, 0.5))

    assert delays == [pytest.approx((n + 1) / RATE) for n in range(100)]


def test_chance_blurs_a_time_by_half_of_it():
    arrivals = Arrivals(BURST, 0.0)
    crowd(arrivals, 120)

    assert arrivals.delay(RATE, 0.0) == pytest.approx(5.0)
    assert arrivals.delay(RATE, 1.0) == pytest.approx(15.0)


def test_nobody_is_sent_away_for_long():
    arrivals = Arrivals(BURST, 0.0)
    crowd(arrivals, 100_000)

    assert arrivals.delay(RATE, 1.0) <= MAX_DELAY * 1.5


def test_a_crowd_that_does_as_it_was_told_is_in_about_as_soon_as_the_rate_allows():
    """1,000 clients of a process that was restarted, at 100 a second: ten seconds at best."""
    rate, burst = 100.0, 100.0
    arrivals = Arrivals(burst, 0.0)
    waiting = [(n / 100_000, n) for n in range(1000)]
    knocks = ends = 0

    while waiting:
        waiting.sort()
        now, number = waiting.pop(0)
        knocks += 1
        ends = now
        if not arrivals.admit(rate, burst, now):
            chance = (number * 7919 + knocks * 104_729) % 1000 / 1000
            waiting.append((now + arrivals.delay(rate, chance), number))

    assert ends < 25
    assert knocks < 4000


def test_those_who_were_turned_away_are_forgotten_in_time():
    arrivals = Arrivals(BURST, 0.0)
    crowd(arrivals, 120)
    assert not arrivals.is_at_rest(RATE, BURST, 5.0)

    assert arrivals.is_at_rest(RATE, BURST, 10.0)


def test_a_clock_that_begins_again_turns_nobody_away():
    arrivals = Arrivals(BURST, 0.0)
    crowd(arrivals, 120, now=1000.0)

    assert crowd(arrivals, 20, now=1.0) == 20


def test_clocks_of_two_event_loops_that_differ_a_little_let_no_more_in():
    """Some loops read the clock once for each round; the other one may be ahead."""
    arrivals = Arrivals(BURST, 0.0)
    assert crowd(arrivals, 100, now=100.0) == 20

    let_in = sum(crowd(arrivals, 1, now=100.0 - number % 2 / 100) for number in range(1000))

    assert let_in == 0
    assert crowd(arrivals, 100, now=101.0) == 10


def test_a_rate_below_one_lets_somebody_in_now_and_then():
    arrivals = Arrivals(1.0, 0.0)

    assert [n for n in range(100) if arrivals.admit(0.05, 1.0, float(n))] == [0, 20, 40, 60, 80]
