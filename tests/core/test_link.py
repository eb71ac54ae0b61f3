"""The connection's states: any order of inputs, and what must hold throughout."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from resilient_channels.core.codes import CloseCode
from resilient_channels.core.disconnects import DisconnectInfo, DisconnectKind
from resilient_channels.core.link import TRANSITIONS, Input, Link, State

LEFT = DisconnectInfo(1001, "", DisconnectKind.CLIENT)


def open_link() -> Link:
    link = Link()
    link.accept(now=5.0)
    return link


def link_in(state: State) -> Link:
    """A link that came to *state* by the shortest way."""
    link = Link()
    if state in (State.OPEN, State.CLOSING, State.GONE, State.ENDED):
        link.accept(now=0.0)
    if state in (State.CLOSING, State.REFUSED):
        link.close(None)
    if state in (State.GONE, State.ENDED):
        link.peer_left(LEFT)
    if state is State.ENDED:
        link.finish()
    assert link.state is state
    return link


# --- the table -------------------------------------------------------------------------------


def test_every_state_has_a_row():
    assert set(TRANSITIONS) == set(State)


def test_an_ended_connection_stays_ended():
    assert TRANSITIONS[State.ENDED] == {}


@pytest.mark.parametrize("state", [state for state in State if state is not State.ENDED])
def test_every_living_state_can_be_finished(state: State):
    assert TRANSITIONS[state][Input.FINISH] is State.ENDED


def test_only_the_handshake_can_be_accepted():
    accepting = [state for state, row in TRANSITIONS.items() if Input.ACCEPT in row]

    assert accepting == [State.CONNECTING]


def test_reopening_is_the_exact_opposite_of_closing():
    for state, row in TRANSITIONS.items():
        if Input.CLOSE in row:
            assert TRANSITIONS[row[Input.CLOSE]][Input.REOPEN] is state
        if Input.REOPEN in row:
            assert TRANSITIONS[row[Input.REOPEN]][Input.CLOSE] is state


# --- one step --------------------------------------------------------------------------------


def test_an_accepted_connection_remembers_when():
    link = Link()

    assert link.accept(now=5.0) is True

    assert (link.state, link.accepted, link.opened_at) == (State.OPEN, True, 5.0)


def test_a_second_accept_has_no_effect():
    link = open_link()

    assert link.accept(now=9.0) is False

    assert link.opened_at == 5.0


def test_a_close_without_a_code_is_1000():
    link = open_link()

    link.close(None)

    assert link.info == DisconnectInfo(1000, "", DisconnectKind.SERVER)


def test_a_close_code_is_kept_as_a_plain_int():
    link = open_link()

    link.close(CloseCode.RESTART, "", DisconnectKind.DRAIN)

    assert link.info is not None
    assert type(link.info.code) is int


def test_what_the_server_says_about_our_own_close_changes_nothing():
    link = open_link()
    link.close(4001, "bye")

    link.peer_left(DisconnectInfo(1005, "", DisconnectKind.CLIENT))

    assert link.state is State.GONE
    assert link.info == DisconnectInfo(4001, "bye", DisconnectKind.SERVER)


def test_a_failed_send_waits_for_the_servers_word_on_how_it_ended():
    link = open_link()

    assert link.peer_left() is True
    assert link.info is None
    assert link.peer_left(LEFT) is False

    assert link.info == LEFT


def test_a_peer_given_up_is_lost_with_1006_unless_told_otherwise():
    link = open_link()

    link.give_up(DisconnectKind.TIMEOUT)

    assert link.info == DisconnectInfo(1006, "", DisconnectKind.TIMEOUT)


def test_a_close_that_the_server_refused_leaves_everything_as_it_was():
    link = open_link()
    link.close(4001)

    link.reopen()

    assert (link.state, link.info, link.is_over) == (State.OPEN, None, False)


def test_a_refusal_that_the_server_refused_leaves_the_handshake_open():
    link = Link()
    link.close(4001)

    link.reopen()

    assert (link.state, link.info) == (State.CONNECTING, None)


def test_reopening_cannot_bring_back_a_peer_that_left():
    link = link_in(State.CLOSING)
    link.peer_left(LEFT)

    link.reopen()

    assert link.state is State.GONE
    assert link.info is not None


@pytest.mark.parametrize("state", State)
def test_a_connection_is_over_unless_it_is_connecting_or_open(state: State):
    assert link_in(state).is_over is (state not in (State.CONNECTING, State.OPEN))


@pytest.mark.parametrize("state", [state for state in State if state is not State.ENDED])
def test_only_the_first_to_finish_cleans_up(state: State):
    link = link_in(state)

    assert [link.finish(), link.finish(), link.finish()] == [True, False, False]


def test_a_finished_connection_learns_nothing_more():
    link = Link()
    link.finish()

    link.peer_left(LEFT)
    link.give_up(DisconnectKind.TIMEOUT)

    assert (link.state, link.info) == (State.ENDED, None)


# --- any order -------------------------------------------------------------------------------

codes = st.one_of(st.none(), st.integers(3000, 4999), st.sampled_from(CloseCode))
kinds = st.sampled_from(DisconnectKind)
infos = st.builds(
    DisconnectInfo, code=st.integers(1000, 4999), reason=st.text(max_size=3), kind=kinds
)


class LinkMachine(RuleBasedStateMachine):
    """Everything that can happen to a connection, in any order."""

    @initialize()
    def connect(self) -> None:
        self.link = Link()
        self.finished = 0
        self.was_accepted = False
        self.expected: DisconnectInfo | None = None

    def step(self, cause: Input) -> tuple[State, State | None]:
        """Where the table says that *cause* leads."""
        return self.link.state, TRANSITIONS[self.link.state].get(cause)

    def check(self, before: State, target: State | None) -> bool:
        assert self.link.state is (target or before)
        return target is not None

    @rule(now=st.floats(0, 1e6))
    def accept(self, now: float) -> None:
        before, target = self.step(Input.ACCEPT)

        took_effect = self.link.accept(now)

        assert took_effect is self.check(before, target)
        if took_effect:
            self.was_accepted = True
            assert self.link.opened_at == now

    @rule(code=codes, reason=st.text(max_size=3), kind=kinds)
    def close(self, code: int | None, reason: str, kind: DisconnectKind) -> None:
        before, target = self.step(Input.CLOSE)

        took_effect = self.link.close(code, reason, kind)

        assert took_effect is self.check(before, target)
        if took_effect:
            assert self.expected is None
            self.expected = DisconnectInfo(1000 if code is None else code, reason, kind)

    @rule()
    def reopen(self) -> None:
        before, target = self.step(Input.REOPEN)

        self.link.reopen()

        if self.check(before, target):
            self.expected = None

    @rule(info=st.one_of(st.none(), infos))
    def peer_left(self, info: DisconnectInfo | None) -> None:
        before, target = self.step(Input.PEER_LEFT)

        took_effect = self.link.peer_left(info)

        assert took_effect is self.check(before, target)
        if self.link.state is State.GONE and self.expected is None:
            self.expected = info

    @rule(kind=kinds, code=st.integers(1000, 4999))
    def give_up(self, kind: DisconnectKind, code: int) -> None:
        before, target = self.step(Input.GIVE_UP)

        took_effect = self.link.give_up(kind, code)

        assert took_effect is self.check(before, target)
        if self.link.state is State.GONE and self.expected is None:
            self.expected = DisconnectInfo(code, "", kind)

    @rule()
    def finish(self) -> None:
        before, target = self.step(Input.FINISH)

        took_effect = self.link.finish()

        assert took_effect is self.check(before, target)
        self.finished += took_effect

    @invariant()
    def the_first_cause_is_kept(self) -> None:
        assert self.link.info == self.expected
        assert self.link.info is None or type(self.link.info.code) is int

    @invariant()
    def accepted_is_never_taken_back(self) -> None:
        assert self.link.accepted is self.was_accepted
        assert (self.link.opened_at is not None) is self.was_accepted

    @invariant()
    def cleanup_happens_at_most_once(self) -> None:
        assert self.finished == (self.link.state is State.ENDED)

    @invariant()
    def nothing_is_writable_after_the_end(self) -> None:
        assert self.link.is_over is (self.link.state not in (State.CONNECTING, State.OPEN))
        assert self.link.info is None or self.link.is_over


TestLinkMachine = LinkMachine.TestCase
