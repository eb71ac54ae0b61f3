"""Who is given up and who is not: arithmetic, then any peer against any run of bad luck."""

import pytest
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from resilient_channels.core.liveness import JITTER, MAX_UNANSWERED, Liveness
from support.profiles import thorough

CHANCE = st.floats(0, 1, exclude_max=True)


def pinged(at: float = 100.0, *, heard: float = 90.0, stalled: float = 0.0) -> Liveness:
    """A peer of whom a sign of life is wanted since *at*."""
    liveness = Liveness(interval=25.0, timeout=20.0)
    liveness.expect(at, stalled, heard)
    liveness.ping(at)
    return liveness


# --- beats -----------------------------------------------------------------------------------


@given(chance=CHANCE, interval=st.floats(0.01, 1e6))
def test_the_first_beats_of_a_crowd_are_spread_over_the_interval(chance: float, interval: float):
    delay = Liveness(interval, 1.0).first_delay(chance)

    assert 0 <= delay <= interval
    assert delay == pytest.approx(interval * chance)


@given(chance=CHANCE, interval=st.floats(0.01, 1e6))
def test_a_beat_is_early_by_a_tenth_at_most_and_never_late(chance: float, interval: float):
    assert JITTER == 0.1
    assert interval * 0.9 <= Liveness(interval, 1.0).next_delay(chance) <= interval


def test_each_ping_has_a_number_of_its_own():
    liveness = Liveness(25.0, 20.0)

    assert [liveness.ping(at) for at in (1.0, 2.0, 3.0)] == [1, 2, 3]


# --- patience --------------------------------------------------------------------------------


def test_before_anything_is_expected_nobody_is_given_up():
    assert Liveness(25.0, 20.0).patience(now=1e9, stalled=0.0, last_heard=0.0) is None


def test_patience_runs_out_a_timeout_after_the_ping():
    liveness = pinged(at=100.0)

    assert liveness.patience(now=105.0, stalled=0.0, last_heard=90.0) == 15.0
    assert liveness.patience(now=120.0, stalled=0.0, last_heard=90.0) == 0.0


@pytest.mark.parametrize("heard", [100.0, 100.001, 119.0])
def test_any_frame_since_the_ping_settles_it(heard: float):
    liveness = pinged(at=100.0)

    assert liveness.patience(now=120.0, stalled=0.0, last_heard=heard) is None
    assert liveness.patience(now=9999.0, stalled=0.0, last_heard=heard) is None


def test_silence_is_counted_from_the_first_ping_that_nothing_followed():
    liveness = pinged(at=100.0)
    liveness.expect(110.0, 0.0, 90.0)
    liveness.expect(119.0, 0.0, 90.0)

    assert liveness.patience(now=119.0, stalled=0.0, last_heard=90.0) == 1.0


def test_a_ping_after_a_sign_of_life_starts_anew():
    liveness = pinged(at=100.0)
    liveness.expect(110.0, 0.0, 105.0)

    assert liveness.patience(now=115.0, stalled=0.0, last_heard=105.0) == 15.0


def test_a_stall_after_the_ping_is_given_back():
    liveness = pinged(at=100.0, stalled=7.0)

    assert liveness.patience(now=150.0, stalled=37.0, last_heard=90.0) == 0.0
    assert liveness.patience(now=150.0, stalled=40.0, last_heard=90.0) == 3.0


def test_a_stall_before_the_ping_is_no_excuse():
    liveness = pinged(at=100.0, stalled=1000.0)

    assert liveness.patience(now=120.0, stalled=1000.0, last_heard=90.0) == 0.0


def test_silence_is_measured_from_the_last_frame():
    assert pinged().silent_for(now=120.0, last_heard=90.0) == 30.0


# --- round trips -----------------------------------------------------------------------------


def test_before_the_first_answer_there_is_no_round_trip():
    assert pinged().rtt is None


def test_an_answer_measures_the_round_trip():
    liveness = pinged(at=100.0)

    assert liveness.answered(1, 100.25)
    assert liveness.rtt == 0.25


def test_an_answer_without_a_number_measures_the_round_trip_too():
    liveness = pinged(at=100.0)

    liveness.answered_latest(100.5)

    assert liveness.rtt == 0.5


@pytest.mark.parametrize(
    ("taken", "told"),
    [(3.0234375, 3.023438), (0.0078125, 0.007812), (0.0000004, 0.0), (0.0000006, 0.000001)],
)
def test_a_round_trip_is_told_to_the_nearest_microsecond(taken: float, told: float):
    liveness = pinged(at=0.0)

    liveness.answered(1, taken)

    assert liveness.rtt == told


@pytest.mark.parametrize("nonce", [0, 2, -1, True, 1.0, "1", "", 2**53])
def test_an_answer_to_what_nobody_asked_measures_nothing(nonce: object):
    liveness = pinged(at=100.0)

    assert not liveness.answered(nonce, 100.25)
    assert liveness.rtt is None


def test_an_answer_to_an_older_ping_measures_its_own_way():
    liveness = pinged(at=100.0)
    liveness.ping(105.0)
    liveness.ping(110.0)

    assert liveness.answered(1, 112.0)
    assert liveness.rtt == 12.0
    assert liveness.answered(2, 113.0)
    assert liveness.rtt == 8.0


def test_who_has_answered_a_ping_does_not_come_back_to_earlier_ones():
    liveness = pinged(at=100.0)
    liveness.ping(105.0)

    assert liveness.answered(2, 106.0)
    assert not liveness.answered(1, 107.0)
    assert liveness.rtt == 1.0


def test_a_ping_that_was_never_answered_does_not_lengthen_later_round_trips():
    liveness = pinged(at=100.0)
    liveness.ping(105.0)

    liveness.answered_latest(106.0)
    assert liveness.rtt == 1.0

    liveness.answered_latest(107.0)
    assert liveness.rtt == 1.0
    assert not liveness.answered(1, 107.0)


def test_of_pings_that_nobody_answers_only_the_latest_are_kept():
    liveness = Liveness(25.0, 20.0)
    for number in range(1000):
        liveness.ping(float(number))

    answered = [nonce for nonce in range(1, 1001) if liveness.answered(nonce, 2000.0)]

    assert answered == list(range(1001 - MAX_UNANSWERED, 1001))


def test_a_second_answer_measures_nothing():
    liveness = pinged(at=100.0)
    liveness.answered(1, 100.25)

    assert not liveness.answered(1, 119.0)
    liveness.answered_latest(119.0)
    assert liveness.rtt == 0.25


def test_without_a_ping_there_is_nothing_to_answer():
    liveness = Liveness(25.0, 20.0)

    assert not liveness.answered(0, 1.0)
    liveness.answered_latest(1.0)
    assert liveness.rtt is None


# --- any peer, any luck ----------------------------------------------------------------------

TIMEOUT = 20.0
TOO_LONG = 1e-6  # what floats may add up to


class PeerAndLuck(RuleBasedStateMachine):
    """Beats and looks as the shell does, on a clock that may jump while nothing runs."""

    interval = 25.0

    def __init__(self) -> None:
        super().__init__()
        self.liveness = Liveness(self.interval, TIMEOUT)
        self.now = self.stalled = self.heard = 0.0
        self.heard_after = 0.0  # seconds that the loop had run when the peer was last heard
        self.next_beat = 0.0
        self.next_look: float | None = None
        self.answers: list[tuple[float, int]] = []
        self.latency = 0.1
        self.chance = 0.0
        self.is_frozen = self.is_given_up = False

    # -- what the shell does -----------------------------------------------------------------

    def hear(self) -> None:
        self.heard, self.heard_after = self.now, self.now - self.stalled

    def read_answers(self) -> None:
        for due, nonce in [answer for answer in self.answers if answer[0] <= self.now]:
            self.answers.remove((due, nonce))
            self.liveness.answered(nonce, self.now)
            self.hear()

    def beat(self) -> None:
        self.liveness.expect(self.now, self.stalled, self.heard)
        nonce = self.liveness.ping(self.now)
        if not self.is_frozen:
            self.answers.append((self.now + self.latency, nonce))
        self.next_beat = self.now + self.liveness.next_delay(self.chance)
        if self.next_look is None:
            self.next_look = self.now + TIMEOUT

    def look(self) -> None:
        patience = self.liveness.patience(self.now, self.stalled, self.heard)
        if patience is not None and patience <= 0:
            self.is_given_up = True
        self.next_look = None if patience is None else self.now + patience

    def do_what_is_due(self) -> None:
        if self.next_look is not None and self.next_look <= self.now:
            self.look()
        if self.next_beat <= self.now:
            self.beat()

    # -- what happens to it ------------------------------------------------------------------

    @precondition(lambda self: not self.is_given_up)
    @rule(seconds=st.floats(0.01, 120))
    def time_passes(self, seconds: float) -> None:
        end = self.now + seconds
        while not self.is_given_up:
            moments = [self.next_beat, *(due for due, _ in self.answers)]
            if self.next_look is not None:
                moments.append(self.next_look)
            if min(moments) > end:
                break
            self.now = max(self.now, min(moments))
            self.read_answers()
            self.do_what_is_due()
        self.now = max(self.now, end) if not self.is_given_up else self.now

    @precondition(lambda self: not self.is_given_up)
    @rule(seconds=st.floats(0.1, 1000), answers_are_read_first=st.booleans())
    def the_loop_stalls(self, seconds: float, answers_are_read_first: bool) -> None:
        self.now += seconds
        self.stalled += seconds
        if answers_are_read_first:
            self.read_answers()
        self.do_what_is_due()
        self.read_answers()

    @precondition(lambda self: not self.is_frozen and not self.is_given_up)
    @rule()
    def the_peer_sends_a_frame(self) -> None:
        self.hear()

    @rule(latency=st.floats(0, TIMEOUT - 0.001), chance=CHANCE)
    def the_road_changes(self, latency: float, chance: float) -> None:
        self.latency, self.chance = latency, chance

    @precondition(lambda self: not self.is_given_up)
    @rule()
    def the_peer_freezes(self) -> None:
        self.is_frozen = True
        self.answers.clear()

    # -- what must hold ----------------------------------------------------------------------

    @invariant()
    def a_peer_that_answers_in_time_is_never_given_up(self) -> None:
        assert self.is_frozen or not self.is_given_up

    @invariant()
    def a_silent_peer_is_given_up_within_interval_and_timeout_of_running(self) -> None:
        silence = self.now - self.stalled - self.heard_after
        if not self.is_given_up and self.is_frozen:
            assert silence <= self.interval + TIMEOUT + TOO_LONG

    @invariant()
    def a_round_trip_is_never_longer_than_what_happened(self) -> None:
        # Round trips are told to the microsecond, so half of one may have been added.
        assert self.liveness.rtt is None or 0 <= self.liveness.rtt <= round(self.now, 6)


class PeerAndLuckWithPingsInBetween(PeerAndLuck):
    """Pings follow each other sooner than anybody has to answer."""

    interval = 5.0


def test_a_round_trip_that_is_rounded_up_is_no_longer_than_what_happened():
    luck = PeerAndLuckWithPingsInBetween()
    luck.the_road_changes(latency=2.0, chance=0.0)
    luck.time_passes(seconds=1.109375)
    luck.the_loop_stalls(seconds=1.9140625, answers_are_read_first=False)

    assert luck.liveness.rtt == 3.023438
    luck.a_round_trip_is_never_longer_than_what_happened()


TestPeerAndLuck = PeerAndLuck.TestCase
TestPeerAndLuckWithPingsInBetween = PeerAndLuckWithPingsInBetween.TestCase
for machine in (TestPeerAndLuck, TestPeerAndLuckWithPingsInBetween):
    machine.settings = thorough(100, steps=40)
del machine
