"""How much may be on its way: never more than the window, and never stuck below it."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from resilient_channels.core.credit import Credit

LIMIT = 100


class Window(Credit):
    """A window, and how often it has asked."""

    def __init__(self) -> None:
        super().__init__(LIMIT, self.ask)
        self.asks = 0

    def ask(self) -> None:
        self.asks += 1


def test_no_more_than_the_window_is_written_unconfirmed():
    credit = Window()

    assert [credit.spend(40), credit.spend(40), credit.spend(40)] == [True, True, False]
    assert credit.spend(20)


def test_a_lone_frame_of_any_size_is_written():
    credit = Window()

    assert credit.spend(1000)
    assert not credit.spend(1)


def test_what_is_written_anyway_is_owed_all_the_same():
    credit = Window()
    credit.spend(LIMIT)

    assert credit.spend(50, anyway=True)
    credit.asked(1)
    assert credit.spend(60, anyway=True)

    credit.answered(1)
    assert not credit.spend(41)
    assert credit.spend(40)


def test_an_answer_confirms_what_was_written_before_its_ping():
    credit = Window()
    credit.spend(60)
    credit.asked(1)
    credit.spend(40)
    assert not credit.spend(60)

    credit.answered(1)

    assert not credit.spend(61)
    assert credit.spend(60)


def test_a_later_answer_confirms_what_earlier_ones_would_have():
    credit = Window()
    credit.spend(50)
    credit.asked(1)
    credit.spend(50)
    credit.asked(2)

    credit.answered(2)

    assert credit.spend(LIMIT)


def test_an_earlier_answer_leaves_the_later_ping_open():
    credit = Window()
    credit.asked(1)
    credit.spend(60)
    credit.asked(2)

    credit.answered(1)

    assert not credit.spend(60)
    assert credit.asks == 0
    credit.answered(None)
    assert credit.spend(60)


def test_it_asks_when_half_of_the_window_is_used_and_nobody_has_asked():
    credit = Window()
    credit.spend(49)
    credit.spend(1)
    assert credit.asks == 0
    credit.spend(1)
    assert credit.asks == 1

    credit.asked(1)
    credit.spend(1)

    assert credit.asks == 1


def test_it_asks_when_there_is_no_room_and_nobody_has_asked():
    credit = Window()
    credit.spend(10)

    assert not credit.spend(LIMIT)

    assert credit.asks == 1


def test_an_unknown_answer_confirms_nothing():
    credit = Window()
    credit.spend(LIMIT)
    credit.asked(1)

    credit.answered(7)

    assert not credit.spend(1)
    assert credit.asks == 0


class CreditMachine(RuleBasedStateMachine):
    """A sender, and a client that reads in order and answers pings, beside a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.credit = Window()
        self.nonce = 0
        self.unconfirmed: list[tuple[str, int]] = []

    def pending(self) -> int:
        return sum(size for kind, size in self.unconfirmed if kind == "frame")

    def is_asking(self) -> bool:
        return any(kind == "ping" for kind, _ in self.unconfirmed)

    @rule(size=st.integers(0, 150), anyway=st.booleans())
    def send(self, size: int, anyway: bool) -> None:
        pending, asks = self.pending(), self.credit.asks
        may = self.credit.spend(size, anyway=anyway)
        assert may is (anyway or pending == 0 or pending + size <= LIMIT)
        is_time = not may or pending * 2 >= LIMIT
        assert (self.credit.asks > asks) is (is_time and not self.is_asking())
        if may:
            self.unconfirmed.append(("frame", size))

    @precondition(lambda self: sum(kind == "ping" for kind, _ in self.unconfirmed) < 16)
    @rule()
    def ask(self) -> None:
        self.nonce += 1
        self.credit.asked(self.nonce)
        self.unconfirmed.append(("ping", self.nonce))

    @precondition(lambda self: self.is_asking())
    @rule(skipped=st.integers(0, 3))
    def answer(self, skipped: int) -> None:
        pings = [nonce for kind, nonce in self.unconfirmed if kind == "ping"]
        nonce = pings[min(skipped, len(pings) - 1)]
        self.credit.answered(nonce)
        del self.unconfirmed[: self.unconfirmed.index(("ping", nonce)) + 1]


TestCreditMachine = CreditMachine.TestCase
