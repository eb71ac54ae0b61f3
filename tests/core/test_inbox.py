"""The inbox: in order, within bounds, and never too small for one frame."""

from collections import deque
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from resilient_channels.core.inbox import Inbox, frame_size


def text(size: int) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": "x" * size}


@pytest.mark.parametrize(
    ("message", "size"),
    [
        ({"text": "four"}, 4),
        ({"bytes": b"\x00\x01"}, 2),
        ({"text": None, "bytes": b"abc"}, 3),
        ({"text": "abc", "bytes": None}, 3),
        ({"text": "", "bytes": None}, 0),
        ({"text": "", "bytes": b""}, 0),
        ({"type": "websocket.receive"}, 0),
    ],
    ids=repr,
)
def test_a_frame_is_as_big_as_its_content(message: dict[str, Any], size: int):
    assert frame_size(message) == size


def test_a_frame_of_any_size_fits_into_an_empty_inbox():
    inbox = Inbox(max_frames=1, max_bytes=1)

    assert not inbox.is_full
    inbox.put(text(10_000_000))

    assert len(inbox) == 1
    assert inbox.is_full


@pytest.mark.parametrize(("frames", "is_full"), [(7, False), (8, True)])
def test_it_is_full_at_its_number_of_frames(frames: int, is_full: bool):
    inbox = Inbox(max_frames=8, max_bytes=1000)

    for _ in range(frames):
        inbox.put(text(0))

    assert inbox.is_full is is_full


@pytest.mark.parametrize(("size", "is_full"), [(99, False), (100, True), (101, True)])
def test_it_is_full_at_its_number_of_bytes(size: int, is_full: bool):
    inbox = Inbox(max_frames=8, max_bytes=100)

    inbox.put(text(size))

    assert inbox.is_full is is_full


def test_handling_a_frame_makes_room():
    inbox = Inbox(max_frames=8, max_bytes=100)
    inbox.put(text(60))
    inbox.put(text(60))

    inbox.get()

    assert not inbox.is_full


def test_a_frame_leaves_with_the_size_it_came_with():
    inbox = Inbox(max_frames=8, max_bytes=100)
    message = text(60)
    inbox.put(message)
    message["text"] = ""

    inbox.get()
    inbox.put(text(99))

    assert not inbox.is_full


class InboxMachine(RuleBasedStateMachine):
    """A reader and a consumer at one inbox, beside a list that cannot be wrong."""

    @initialize(max_frames=st.integers(1, 5), max_bytes=st.integers(1, 40))
    def create(self, max_frames: int, max_bytes: int) -> None:
        self.bounds = max_frames, max_bytes
        self.inbox = Inbox(max_frames, max_bytes)
        self.model: deque[dict[str, Any]] = deque()

    @precondition(lambda self: not self.inbox.is_full)
    @rule(content=st.one_of(st.text(max_size=30), st.binary(max_size=30)))
    def read(self, content: str | bytes) -> None:
        frame = {"text" if isinstance(content, str) else "bytes": content}
        self.inbox.put(frame)
        self.model.append(frame)

    @precondition(lambda self: self.model)
    @rule()
    def handle(self) -> None:
        assert self.inbox.get() is self.model.popleft()

    @invariant()
    def it_knows_how_much_it_holds(self) -> None:
        max_frames, max_bytes = self.bounds
        size = sum(map(frame_size, self.model))

        assert len(self.inbox) == len(self.model)
        assert self.inbox.is_full is (len(self.model) >= max_frames or size >= max_bytes)

    @invariant()
    def it_is_bounded(self) -> None:
        max_frames, max_bytes = self.bounds

        assert len(self.model) <= max_frames
        assert sum(map(frame_size, list(self.model)[:-1])) < max_bytes

    @invariant()
    def an_empty_one_is_never_full(self) -> None:
        assert self.model or not self.inbox.is_full


TestInboxMachine = InboxMachine.TestCase
