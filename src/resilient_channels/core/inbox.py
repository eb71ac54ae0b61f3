"""What was read from the client and not yet handled, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Message = Mapping[str, Any]


def frame_size(message: Message) -> int:
    """Roughly the memory a received frame takes: characters of text, or bytes."""
    return len(message.get("text") or message.get("bytes") or "")


class Inbox:
    """A queue that is full at *max_frames* or *max_bytes*, but always holds one frame.

    A lone frame of any size fits, because refusing it would close connections that work today.

    Attributes:
        frames: What is queued, each with its size. Only to be looked at.
        is_full: Whether the reader must stop reading until a frame has been handled.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_frames", "frames", "is_full")

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        # A list, because nearly always it is empty, and an empty deque takes half a kilobyte.
        self.frames: list[tuple[Message, int]] = []
        self._bytes = 0
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self.is_full = False

    def __len__(self) -> int:
        return len(self.frames)

    def put(self, message: Message) -> None:
        """Append a frame. Ask :attr:`is_full` first: the bound is kept by not reading on."""
        size = frame_size(message)
        self.frames.append((message, size))
        self._bytes += size
        self.is_full = len(self.frames) >= self._max_frames or self._bytes >= self._max_bytes

    def get(self) -> Message | None:
        """Take the oldest frame; ``None`` if there is none."""
        if not self.frames:
            return None
        message, size = self.frames.pop(0)
        self._bytes -= size
        self.is_full = len(self.frames) >= self._max_frames or self._bytes >= self._max_bytes
        return message
