"""How much may be on its way: never more than the window, and never stuck below it."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from resilient_channels.core.credit import Credit

LIMIT = 100


def test_no_more_than_the_window_is_written_unconfirmed():
    credit = Credit(LIMIT)

    assert [credit.spend(40), credit.spend(40), credit.spend(40)] == [True, True, False]
    assert credit.spend(20)


def test_a_lone_frame_of_any_size_is_written():
    credit = Credit(LIMIT)

    assert credit.spend(1000)
    assert not credit.spend(1)


def test_an_answer_confirms_what_was_written_before_its_ping():
    credit = Credit(LIMIT)
    credit.spend(60)
    credit.asked(1)
    credit.spend(40)
    assert not credit.spend(60)

    credit.answered(1)

    assert not credit.spend(61)
    assert credit.spend(60)


def test_a_later_answer_confirms_what_earlier_ones_would_have():
    credit = Credit(LIMIT)
    credit.spend(50)
    credit.asked(1)
    credit.spend(50)
    credit.asked(2)

    credit.answered(2)

    assert not credit.is_asking
    assert credit.spend(LIMIT)


def test_an_earlier_answer_leaves_the_later_ping_open():
    credit = Credit(LIMIT)
    credit.asked(1)
    credit.spend(60)
    credit.asked(2)

    credit.answered(1)

    assert credit.is_asking
    assert not credit.spend(60)
    credit.answered(None)
    assert credit.spend(60)


def test_it_asks_when_half_of_the_window_is_used_and_nobody_has_asked():
    credit = Credit(LIMIT)
    credit.spend(49)
    assert not credit.wants_to_ask
    credit.spend(1)
    assert credit.wants_to_ask

    credit.asked(1)

    assert not credit.wants_to_ask


def test_an_unknown_answer_confirms_nothing():
    credit = Credit(LIMIT)
    credit.spend(LIMIT)
    credit.asked(1)

    credit.answered(7)

    assert credit.is_asking
    assert not credit.spend(1)


class CreditMachine(RuleBasedStateMachine):
    """A sender, and a client that reads in order and answers pings, beside a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.credit = Credit(LIMIT)
        self.line: list[Any] = []  # sizes of frames and ("ping", nonce), not yet read
        self.pongs: list[int] = []
        self.nonce = 0
        self.unconfirmed: list[tuple[str, int]] = []

    def pending(self) -> int:
        return sum(size for kind, size in self.unconfirmed if kind == "frame")

    @rule(size=st.integers(0, 150))
    def send(self, size: int) -> None:
        pending = self.pending()
        may = self.credit.spend(size)
        assert may is (pending == 0 or pending + size <= LIMIT)
        if may:
            self.unconfirmed.append(("frame", size))

    @precondition(lambda self: sum(kind == "ping" for kind, _ in self.unconfirmed) < 16)
    @rule()
    def ask(self) -> None:
        self.nonce += 1
        self.credit.asked(self.nonce)
        self.unconfirmed.append(("ping", self.nonce))

    @precondition(lambda self: any(kind == "ping" for kind, _ in self.unconfirmed))
    @rule(skipped=st.integers(0, 3))
    def answer(self, skipped: int) -> None:
        pings = [nonce for kind, nonce in self.unconfirmed if kind == "ping"]
        nonce = pings[min(skipped, len(pings) - 1)]
        self.credit.answered(nonce)
        del self.unconfirmed[: self.unconfirmed.index(("ping", nonce)) + 1]

    @invariant()
    def it_knows_whether_an_answer_is_awaited(self) -> None:
        assert self.credit.is_asking is any(kind == "ping" for kind, _ in self.unconfirmed)

    @invariant()
    def it_asks_in_time(self) -> None:
        if not self.credit.is_asking:
            assert self.credit.wants_to_ask is (self.pending() * 2 >= LIMIT)


TestCreditMachine = CreditMachine.TestCase
