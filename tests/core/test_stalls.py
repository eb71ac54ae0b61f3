"""Who is told of for having been at work too long, and how often."""

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.stalls import Suspect, find_lost


def told(suspect: Suspect, *looks: tuple[object, float]) -> list[float | None]:
    return [suspect.seen(key, now, after=5.0) for key, now in looks]


def test_nobody_is_told_of_before_the_time_is_over():
    assert told(Suspect(), ("a", 0.0), ("a", 1.0), ("a", 4.9)) == [None, None, None]


def test_who_is_seen_for_too_long_is_told_of_with_the_seconds():
    assert told(Suspect(), ("a", 10.0), ("a", 15.5)) == [None, 5.5]


def test_who_goes_on_and_on_is_told_of_once():
    looks = [("a", float(now)) for now in range(100)]

    assert [seconds for seconds in told(Suspect(), *looks) if seconds is not None] == [5.0]


def test_another_ones_time_begins_anew():
    assert told(Suspect(), ("a", 0.0), ("b", 4.0), ("b", 8.0), ("b", 9.0)) == [None, None, None, 5]


def test_whoever_has_gone_on_meanwhile_may_be_told_of_again():
    suspect = Suspect()
    assert told(suspect, ("a", 0.0), ("a", 5.0)) == [None, 5.0]

    suspect.clear()

    assert told(suspect, ("a", 6.0), ("a", 10.0), ("a", 11.0)) == [None, None, 5.0]


def test_time_in_which_nobody_could_go_on_does_not_count():
    suspect = Suspect()
    told(suspect, ("a", 0.0))

    suspect.forgive(3600.0)

    assert told(suspect, ("a", 3604.0), ("a", 3605.0)) == [None, 5.0]


@given(looks=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), max_size=40))
def test_as_often_as_somebody_stays_for_long_enough_and_no_more(looks: list[tuple[str, int]]):
    suspect, now, expected = Suspect(), 0.0, []
    key, since, was_told = None, 0.0, False
    found = []
    for who, gap in looks:
        now += gap / 8
        if who != key:
            key, since, was_told = who, now, False
        elif now - since >= 2.0 and not was_told:
            was_told = True
            expected.append(now - since)
        seconds = suspect.seen(who, now, after=2.0)
        if seconds is not None:
            found.append(seconds)

    assert found == expected


@pytest.mark.parametrize(
    ("late", "spent", "lost"),
    [
        (0.1, 0.0, 0.0),  # as always
        (3600.0, 0.1, 3600.0),  # stopped, or asleep
        (6.0, 5.9, 0.0),  # a handler has let nobody else run
        (6.0, 2.9, 6.0),
        (6.0, 3.0, 0.0),
        (-0.2, 0.0, 0.0),
    ],
)
def test_time_in_which_the_process_stood_still_is_nobodys_fault(late, spent, lost):
    assert find_lost(late, 1.0, spent) == lost
