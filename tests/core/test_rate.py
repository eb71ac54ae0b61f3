"""The token bucket, against the sentence that describes it and against honest clients."""

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.rate import TokenBucket, default_burst

# Eighths of a second, and rates whose products with them are exact.
GAPS = st.lists(st.integers(0, 40).map(lambda n: n / 8), min_size=1, max_size=60)
RATES = st.integers(1, 80).map(lambda n: n / 8)
BURSTS = st.integers(1, 10)


def spend(bucket: TokenBucket, times: int, now: float) -> list[bool]:
    return [bucket.spend(now) for _ in range(times)]


def test_as_many_as_the_burst_may_come_at_once():
    assert spend(TokenBucket(1.0, 3, now=0.0), 4, now=0.0) == [True, True, True, False]


def test_a_new_token_takes_its_time():
    bucket = TokenBucket(2.0, 1, now=0.0)
    assert bucket.spend(0.0)

    assert not bucket.spend(0.49)
    assert bucket.spend(0.5)


def test_who_was_silent_for_long_may_send_the_burst_and_no_more():
    bucket = TokenBucket(10.0, 3, now=0.0)
    spend(bucket, 3, now=0.0)

    assert spend(bucket, 4, now=1e6) == [True, True, True, False]


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing():
    bucket = TokenBucket(1.0, 2, now=100.0)
    assert bucket.spend(100.0)

    assert bucket.spend(0.0)
    assert not bucket.spend(0.0)
    assert not bucket.spend(100.5)
    assert bucket.spend(101.0)


@pytest.mark.parametrize(
    ("seconds", "now"), [(5.0, 50.0), (0.0, 50.0), (5.0, 100.0), (-5.0, 101.0)]
)
def test_an_excuse_takes_nothing_whatever_the_clock_does(seconds, now):
    bucket = TokenBucket(10.0, 2, now=100.0)

    bucket.excuse(seconds, now)

    assert spend(bucket, 3, now=100.0) == [True, True, False]


@pytest.mark.parametrize("uptime", [0.0, 12345.678, 1e6, 3e7, 1e9])
@pytest.mark.parametrize("rate", [0.1, 1 / 3, 0.7, 7, 33.3, 1000, 10_000])
@pytest.mark.parametrize("burst", [1, 2, 100])
def test_at_the_very_moment_of_a_new_token_it_is_there(uptime, rate, burst):
    """However long the machine has been up: its clock has the fewer digits for it."""
    bucket = TokenBucket(rate, burst, now=uptime)
    assert spend(bucket, burst + 1, now=uptime) == [True] * burst + [False]

    moments = [uptime + number / rate for number in range(1, 2001)]

    assert all(bucket.spend(moment) for moment in moments)
    assert not bucket.spend(moments[-1])


@pytest.mark.parametrize("rate", [1e-9, 1.0, 1e9])
def test_the_most_that_may_be_set_is_counted_to_the_last(rate):
    bucket = TokenBucket(rate, 2**53 - 1, now=0.0)

    assert spend(bucket, 3, now=1e9) == [True] * 3
    assert bucket._tokens == 2**53 - 4
    assert spend(TokenBucket(1e9, 1, now=0.0), 2, now=0.0) == [True, False]
    assert default_burst(1e9) == 2 * 10**9


def test_frames_sent_while_nobody_listened_may_all_come_at_once():
    bucket = TokenBucket(10.0, 2, now=0.0)
    spend(bucket, 2, now=0.0)

    bucket.excuse(5.0, now=5.0)

    assert spend(bucket, 51, now=5.0) == [True] * 50 + [False]


def test_what_is_excused_is_kept_beyond_the_burst_until_it_is_spent():
    bucket = TokenBucket(10.0, 2, now=0.0)
    bucket.excuse(1.0, now=1.0)

    assert spend(bucket, 13, now=500.0) == [True] * 12 + [False]
    assert spend(bucket, 3, now=501.0) == [True, True, False]


def test_no_time_is_excused_twice():
    bucket = TokenBucket(1.0, 1, now=0.0)
    bucket.spend(0.0)

    bucket.excuse(10.0, now=10.0)
    bucket.excuse(10.0, now=10.0)

    assert spend(bucket, 11, now=10.0) == [True] * 10 + [False]


@pytest.mark.parametrize(("rate", "burst"), [(50, 100), (0.1, 1), (0.5, 1), (0.6, 2), (1.25, 3)])
def test_those_of_two_seconds_may_come_at_once_where_nobody_says_otherwise(rate, burst):
    assert default_burst(rate) == burst


@given(rate=RATES, burst=BURSTS, gaps=GAPS)
def test_within_any_time_no_more_come_through_than_burst_and_rate_allow(rate, burst, gaps):
    bucket = TokenBucket(rate, burst, now=0.0)
    passed: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap
        if bucket.spend(now):
            passed.append(now)

    for first, begin in enumerate(passed):
        for last, end in enumerate(passed[first:], first):
            assert last - first + 1 <= burst + (end - begin) * rate


@given(rate=RATES, burst=BURSTS, gaps=GAPS)
def test_who_keeps_to_the_rate_is_never_refused(rate, burst, gaps):
    """A client that counts for itself what it may send, and sends all of it."""
    bucket = TokenBucket(rate, burst, now=0.0)
    tokens, now = float(burst), 0.0
    for gap in gaps:
        now += gap
        tokens = min(burst, tokens + gap * rate)
        while tokens >= 1:
            tokens -= 1
            assert bucket.spend(now)


@given(
    rate=RATES, burst=BURSTS, gaps=GAPS, pauses=st.lists(st.integers(0, 24).map(lambda n: n / 8))
)
def test_who_keeps_to_the_rate_is_never_refused_for_pauses_of_ours(rate, burst, gaps, pauses):
    """What it sends meanwhile is read at the end of the pause, all at once."""
    bucket = TokenBucket(rate, burst, now=0.0)
    tokens, now, seen = float(burst), 0.0, 0.0
    for index, gap in enumerate(gaps):
        now += gap
        tokens = min(burst, tokens + gap * rate)
        sent = int(tokens)
        tokens -= sent
        pause = pauses[index] if index < len(pauses) else 0.0
        seen = max(seen, now) + pause  # the client goes on with its own time
        bucket.excuse(seen - now, seen)
        assert all(spend(bucket, sent, seen))


@given(
    rate=RATES,
    burst=BURSTS,
    steps=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60)), max_size=30),
)
def test_excuses_or_not_in_the_long_run_the_rate_holds(rate, burst, steps):
    bucket = TokenBucket(rate, burst, now=0.0)
    now, passed = 0.0, 0
    for gap, excused in steps:
        now += gap / 8
        bucket.excuse(excused / 8, now)
        while bucket.spend(now):
            passed += 1
        assert passed <= burst + now * rate
