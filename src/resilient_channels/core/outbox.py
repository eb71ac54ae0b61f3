"""What waits for a client that reads more slowly than it is told, within bounds.

Rule 1: a lone frame of any size fits, because refusing it would lose what is delivered today.
Rule 2: a place in the line that a sender waits in is kept whatever happens to frames; only its
sender can give it up.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .traffic_policies import OutboxPolicy

    Message = Mapping[str, Any]


class Put(Enum):
    """What became of a frame that was to wait."""

    QUEUED = "queued"
    REPLACED = "replaced"  # it took the place of an older one with the same key
    DROPPED = "dropped"  # the rule drops the newest
    OVERFLOWED = "overflowed"  # the rule gives up the client


@dataclass(slots=True, eq=False)
class Item:
    """One place in the line: a frame, or a sender that waits for its turn.

    Attributes:
        content: The message; for a sender, whatever tells it that its turn has come.
        size: Bytes, or characters of text.
        key: Frames with the same one replace each other, if the rule says so.
        is_turn: Whether a sender waits here.
    """

    content: Any
    size: int
    key: str | None = None
    is_turn: bool = False


class Outbox:
    """The line of one connection.

    Attributes:
        frames: How many frames wait.
        size: How large they are together.
        dropped: How many frames were dropped or replaced so far.
    """

    __slots__ = ("_by_key", "_items", "_policy", "dropped", "frames", "size")

    def __init__(self, policy: OutboxPolicy) -> None:
        self._policy = policy
        self._items: deque[Item] = deque()
        self._by_key: dict[str, Item] = {}
        self.frames = 0
        self.size = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, message: Message, size: int, key: str | None = None) -> Put:
        """Let a frame wait, as the rule has it."""
        rule = self._policy.overflow
        if rule == "coalesce" and key is not None and key in self._by_key:
            old = self._by_key[key]
            if not self._fits(size - old.size, more=0):
                return Put.OVERFLOWED
            self.size += size - old.size
            self.dropped += 1
            old.content, old.size = message, size
            return Put.REPLACED
        if not self._fits(size):
            if rule == "drop_newest":
                self.dropped += 1
                return Put.DROPPED
            if rule != "drop_oldest":
                return Put.OVERFLOWED
            while not self._fits(size):
                self._drop_oldest()
        item = Item(message, size, key if rule == "coalesce" else None)
        self._items.append(item)
        if item.key is not None:
            self._by_key[item.key] = item
        self.frames += 1
        self.size += size
        return Put.QUEUED

    def put_turn(self, waiter: object, size: int) -> Item:
        """Let a sender wait for its turn. Its frame is its own: it does not count here."""
        item = Item(waiter, size, is_turn=True)
        self._items.append(item)
        return item

    def give_up_turn(self, item: Item) -> None:
        """A sender does not wait any longer; if its turn has come, nothing happens."""
        with suppress(ValueError):
            self._items.remove(item)

    def get(self) -> Item | None:
        """Take what has waited longest; ``None`` if nothing waits."""
        if not self._items:
            return None
        item = self._items.popleft()
        if not item.is_turn:
            self._forget(item)
        return item

    def clear(self) -> list[Item]:
        """Take everything."""
        items = list(self._items)
        self._items.clear()
        self._by_key.clear()
        self.frames = self.size = 0
        return items

    def _fits(self, size: int, more: int = 1) -> bool:
        if self.frames - (1 - more) == 0:
            return True  # it would be alone
        policy = self._policy
        return self.frames + more <= policy.messages and self.size + size <= policy.bytes

    def _drop_oldest(self) -> None:
        place = next(place for place, item in enumerate(self._items) if not item.is_turn)
        self._forget(self._items[place])
        del self._items[place]
        self.dropped += 1

    def _forget(self, item: Item) -> None:
        self.frames -= 1
        self.size -= item.size
        if item.key is not None:
            del self._by_key[item.key]
