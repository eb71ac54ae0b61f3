"""Counting under keys: in order, once each, and nothing is kept of those who are gone."""

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.headcount import Headcount


def test_the_oldest_is_who_came_first_of_those_who_are_there():
    crowd: Headcount[str] = Headcount()
    for name in ("first", "second", "third"):
        crowd.add("room", name)

    assert crowd.oldest("room") == "first"
    crowd.remove("room", "first")
    assert crowd.oldest("room") == "second"


def test_whoever_is_counted_twice_counts_once():
    crowd: Headcount[str] = Headcount()
    crowd.add("room", "one")
    crowd.add("room", "one")

    assert crowd.count("room") == 1


def test_whoever_is_not_counted_can_be_removed():
    crowd: Headcount[str] = Headcount()
    crowd.remove("room", "nobody")
    crowd.add("room", "one")
    crowd.remove("room", "nobody")

    assert crowd.count("room") == 1


def test_of_an_empty_room_nobody_is_the_oldest():
    with pytest.raises(LookupError):
        Headcount[str]().oldest("room")


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(0, 5))))
def test_a_key_is_there_as_long_as_it_has_a_member(steps):
    crowd: Headcount[int] = Headcount()
    expected: dict[str, list[int]] = {"a": [], "b": []}

    for comes, key, member in steps:
        if comes:
            crowd.add(key, member)
            if member not in expected[key]:
                expected[key].append(member)
        else:
            crowd.remove(key, member)
            if member in expected[key]:
                expected[key].remove(member)

        assert {name: crowd.count(name) for name in "ab"} == {
            name: len(members) for name, members in expected.items()
        }
        assert len(crowd) == sum(bool(members) for members in expected.values())
        for name, members in expected.items():
            if members:
                assert crowd.oldest(name) == members[0]
