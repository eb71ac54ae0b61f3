"""The rolling sweep: each membership is doubted in its turn, whoever comes and goes."""

import random

import pytest

from hub.doubles import Member
from resilient_channels.layers.membership import Membership
from support.layers import ScriptedLayer

STEP = 1 / 16


def make(*members):
    known = Membership(ScriptedLayer(), 5.0)
    for member in members:
        known.enter(member)
    return known


def sweep(known, steps, members):
    """Doubt step by step; how often each group of each member was doubted."""
    counts = dict.fromkeys([(member, group) for member in members for group in member.groups], 0)
    for _ in range(steps):
        known.doubt_some(STEP)
        for member in members:
            for group in member.unconfirmed:
                counts[member, group] = counts.get((member, group), 0) + 1
            member.unconfirmed.clear()
    return counts


@pytest.mark.parametrize("sizes", [[1], [2], [1] * 5, [16], [17], [100], [40, 1, 1]], ids=str)
def test_each_membership_is_doubted_once_per_round(sizes):
    """Symptom: with one group, its turn came every third round only, and it had expired."""
    members = [Member(*(f"{n}.{m}" for m in range(size))) for n, size in enumerate(sizes)]
    known = make(*members)

    counts = sweep(known, 16 * 10, members)

    assert set(counts.values()) <= {9, 10}


def test_a_round_is_spread_over_its_steps():
    member = Member(*(str(number) for number in range(160)))
    known = make(member)

    doubted = []
    for _ in range(16):
        known.doubt_some(STEP)
        doubted.append(len(member.unconfirmed))
        member.unconfirmed.clear()

    assert set(doubted) <= {9, 10, 11}


def test_those_who_have_gone_take_nobodys_turn():
    """Symptom: after a busy day the few who stayed the night were not renewed until morning."""
    day = [Member(f"of.{number}") for number in range(1000)]
    known = make(*day)
    sweep(known, 2, day)
    night = day[-5:]
    for member in day[:-5]:
        known.leave(member)

    counts = sweep(known, 16 + 1, night)

    assert set(counts.values()) <= {1, 2}


def test_groups_that_were_left_take_nobodys_turn():
    member = Member(*(f"group.{number}" for number in range(1000)))
    known = make(member)
    known.doubt_some(STEP)
    member.groups = {"group.1", "group.2"}
    member.unconfirmed.clear()

    counts = sweep(known, 16 + 8, [member])

    assert all(counts[member, group] >= 1 for group in member.groups)


@pytest.mark.parametrize("seed", range(20))
def test_whoever_stays_is_doubted_within_two_rounds_whoever_comes_and_goes(seed):
    rng = random.Random(seed)
    stays = Member("here")
    others = [Member(f"of.{number}") for number in range(rng.randint(1, 50))]
    known = make(stays, *others)
    last, longest = 0, 0
    for step in range(16 * 30):
        known.doubt_some(STEP)
        if stays.unconfirmed:
            stays.unconfirmed.clear()
            longest, last = max(longest, step - last), step
        if rng.random() < 0.5 and others:
            known.leave(others.pop(rng.randrange(len(others))))
        if rng.random() < 0.5:
            others.append(Member(f"late.{step}"))
            known.enter(others[-1])

    assert 0 < longest <= 2 * 16 + 16


def test_a_long_pause_is_one_round_and_no_more():
    member = Member("one", "two")
    known = make(member)

    known.doubt_some(1000.0)

    assert member.unconfirmed == {"one", "two"}
    member.unconfirmed.clear()
    known.doubt_some(0.0)
    assert member.unconfirmed == set()


def test_nobody_is_no_error():
    known = make()
    known.doubt_some(1.0)
    member = Member()
    known.enter(member)
    known.doubt_some(1.0)

    assert known.doubt_all() == 0
    assert member.unconfirmed == set()
