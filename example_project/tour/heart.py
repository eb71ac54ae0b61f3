"""What a client does about heartbeats without bothering its user: the wire protocol's other side.

A client that speaks ``resilient.v1`` answers every ping at once. An existing client knows nothing
of that; if it answers pings at all, they are its own application's texts: ``replies``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOL = "resilient.v1"
MARK = "\x1e"


def control(kind: str, **content: Any) -> str:
    """Return a control frame's text."""
    return MARK + json.dumps({"type": kind, **content}, separators=(",", ":"))


@dataclass
class Heart:
    """Answers heartbeats.

    Attributes:
        replies: Texts that are pings of the application's own, and their answers.
        delay: Seconds until an answer goes out, as behind a slow link.
        is_beating: Whether it answers; what comes is noted either way.
        frames: Every control frame that came, in order.
        answered: How many pings of either sort were answered.
    """

    replies: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    is_beating: bool = True
    frames: list[dict[str, Any]] = field(default_factory=list)
    answered: int = 0

    def beat(self, text: str) -> tuple[bool, str | None]:
        """Whether *text* is a heartbeat's, and what to answer at once."""
        if text.startswith(MARK):
            frame = json.loads(text[len(MARK) :])
            self.frames.append(frame)
            answer = _answer(frame)
            is_ping = frame["type"] == "ping"
        elif text in self.replies:
            answer, is_ping = self.replies[text], True
        else:
            return False, None
        if not self.is_beating:
            return True, None
        self.answered += is_ping
        return True, answer

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """Return the control frames of that type."""
        return [frame for frame in self.frames if frame["type"] == kind]


def _answer(frame: Mapping[str, Any]) -> str | None:
    if frame["type"] == "hello":
        return control("hello", version=1)
    if frame["type"] == "ping":
        return control("pong", n=frame["n"])
    return None
