"""The outbox: in order, within bounds, and never too small for one frame."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from resilient_channels.core.inbox import frame_size
from resilient_channels.core.outbox import Outbox, Put
from resilient_channels.core.policies import OutboxPolicy

RULES = ("close", "drop_oldest", "drop_newest", "coalesce")


def make(overflow: Any = "close", messages: int = 3, size: int = 100) -> Outbox:
    return Outbox(OutboxPolicy(messages=messages, bytes=size, overflow=overflow))


def put(outbox: Outbox, text: str, key: str | None = None) -> Put:
    return outbox.put({"text": text}, len(text), key)


def take_all(outbox: Outbox) -> list[str]:
    return [item.content["text"] for item in outbox.clear() if not item.is_turn]


@pytest.mark.parametrize("overflow", RULES)
def test_what_was_put_first_is_taken_first(overflow: str):
    outbox = make(overflow)

    assert [put(outbox, text) for text in "abc"] == [Put.QUEUED] * 3

    assert take_all(outbox) == ["a", "b", "c"]


@pytest.mark.parametrize("overflow", RULES)
def test_a_lone_frame_of_any_size_fits(overflow: str):
    outbox = make(overflow, size=10)

    assert put(outbox, "x" * 1000) is Put.QUEUED
    assert (outbox.frames, outbox.size) == (1, 1000)


@pytest.mark.parametrize(("messages", "size"), [(3, 1000), (100, 3)])
def test_close_gives_up_at_either_bound_and_keeps_what_it_has(messages: int, size: int):
    outbox = make("close", messages, size)

    assert [put(outbox, text) for text in "abcd"] == [*[Put.QUEUED] * 3, Put.OVERFLOWED]
    assert (outbox.frames, outbox.size, outbox.dropped) == (3, 3, 0)


def test_drop_newest_keeps_the_oldest():
    outbox = make("drop_newest")

    assert [put(outbox, text) for text in "abcde"][3:] == [Put.DROPPED] * 2

    assert outbox.dropped == 2
    assert take_all(outbox) == ["a", "b", "c"]


def test_drop_oldest_keeps_the_newest():
    outbox = make("drop_oldest")

    assert [put(outbox, text) for text in "abcde"] == [Put.QUEUED] * 5

    assert outbox.dropped == 2
    assert take_all(outbox) == ["c", "d", "e"]


def test_drop_oldest_drops_as_many_as_the_new_one_needs():
    outbox = make("drop_oldest", messages=10, size=10)
    for text in ("aaa", "bbb", "ccc"):
        put(outbox, text)

    assert put(outbox, "x" * 7) is Put.QUEUED
    assert take_all(outbox) == ["ccc", "x" * 7]

    put(outbox, "aaa")
    assert put(outbox, "x" * 50) is Put.QUEUED
    assert take_all(outbox) == ["x" * 50]


def test_coalesce_replaces_what_has_the_same_key_where_it_stands():
    outbox = make("coalesce")
    put(outbox, "a1", "a")
    put(outbox, "b1", "b")
    put(outbox, "none")

    assert put(outbox, "a2", "a") is Put.REPLACED
    assert put(outbox, "b22", "b") is Put.REPLACED

    assert (outbox.frames, outbox.size, outbox.dropped) == (3, 9, 2)
    assert take_all(outbox) == ["a2", "b22", "none"]


def test_coalesce_gives_up_when_that_is_not_enough():
    outbox = make("coalesce", messages=2, size=10)
    put(outbox, "a", "a")
    put(outbox, "b", "b")

    assert put(outbox, "c", "c") is Put.OVERFLOWED
    assert put(outbox, "none") is Put.OVERFLOWED
    assert put(outbox, "x" * 10, "b") is Put.OVERFLOWED
    assert take_all(outbox) == ["a", "b"]


def test_a_key_is_free_again_once_its_frame_was_taken():
    outbox = make("coalesce")
    put(outbox, "a1", "a")
    outbox.get()

    assert put(outbox, "a2", "a") is Put.QUEUED
    outbox.clear()
    assert put(outbox, "a3", "a") is Put.QUEUED


@pytest.mark.parametrize("overflow", ["close", "drop_oldest", "drop_newest"])
def test_other_rules_do_not_look_at_keys(overflow: str):
    outbox = make(overflow)
    put(outbox, "a1", "a")
    put(outbox, "a2", "a")

    assert take_all(outbox) == ["a1", "a2"]


def test_a_sender_keeps_its_place_whatever_is_dropped():
    outbox = make("drop_oldest", messages=2)
    outbox.put_turn("first", 1000)
    put(outbox, "a")
    outbox.put_turn("second", 1000)
    for text in "bcde":
        put(outbox, text)

    order = [item.content if item.is_turn else item.content["text"] for item in outbox.clear()]
    assert order == ["first", "second", "d", "e"]


def test_nothing_is_left_when_all_is_taken():
    outbox = make("coalesce")
    put(outbox, "a", "a")
    outbox.put_turn("sender", 5)

    while outbox.get() is not None:
        pass

    assert (len(outbox), outbox.frames, outbox.size) == (0, 0, 0)
    assert outbox.get() is None


class OutboxMachine(RuleBasedStateMachine):
    """An outbox beside a list that cannot be wrong."""

    @initialize(
        overflow=st.sampled_from(RULES), messages=st.integers(1, 4), size=st.integers(1, 30)
    )
    def create(self, overflow: Any, messages: int, size: int) -> None:
        self.overflow, self.messages, self.bytes = overflow, messages, size
        self.outbox = make(overflow, messages, size)
        self.model: list[tuple[str, Any, str | None]] = []
        self.lost = 0

    def frames(self) -> list[Any]:
        return [content for kind, content, _ in self.model if kind == "frame"]

    def fits(self, frame: Any) -> bool:
        frames = self.frames()
        size = sum(map(frame_size, frames)) + frame_size(frame)
        return not frames or (len(frames) < self.messages and size <= self.bytes)

    @rule(text=st.text("x", max_size=20), key=st.sampled_from([None, "a", "b"]))
    def put(self, text: str, key: str | None) -> None:
        frame = {"text": text}
        outcome = self.outbox.put(frame, len(text), key)
        same = [
            place
            for place, (kind, _, known) in enumerate(self.model)
            if kind == "frame" and key is not None and known == key
        ]
        if self.overflow == "coalesce" and same:
            others = [entry for place, entry in enumerate(self.model) if place != same[0]]
            kept, self.model = self.model, others
            fits = self.fits(frame)
            self.model = kept
            assert outcome is (Put.REPLACED if fits else Put.OVERFLOWED)
            if fits:
                self.model[same[0]] = ("frame", frame, key)
                self.lost += 1
            return
        if self.overflow == "drop_oldest":
            while not self.fits(frame):
                oldest = next(entry for entry in self.model if entry[0] == "frame")
                self.model.remove(oldest)
                self.lost += 1
        if self.fits(frame):
            assert outcome is Put.QUEUED
            self.model.append(("frame", frame, key))
        elif self.overflow == "drop_newest":
            assert outcome is Put.DROPPED
            self.lost += 1
        else:
            assert outcome is Put.OVERFLOWED

    @rule(size=st.integers(0, 100))
    def wait(self, size: int) -> None:
        turn = object()
        self.outbox.put_turn(turn, size)
        self.model.append(("turn", turn, None))

    @precondition(lambda self: self.model)
    @rule()
    def get(self) -> None:
        kind, content, _ = self.model.pop(0)
        item = self.outbox.get()
        assert item is not None
        assert item.content is content
        assert item.is_turn is (kind == "turn")

    @invariant()
    def it_knows_what_it_holds_and_is_bounded(self) -> None:
        frames = self.frames()
        size = sum(map(frame_size, frames))
        assert (len(self.outbox), self.outbox.frames) == (len(self.model), len(frames))
        assert self.outbox.size == size
        assert self.outbox.dropped == self.lost
        assert len(frames) <= self.messages
        assert size <= self.bytes or len(frames) == 1


TestOutboxMachine = OutboxMachine.TestCase
