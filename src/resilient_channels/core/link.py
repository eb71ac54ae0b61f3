"""One client's connection as pure state.

Rule 1: everything that changes the state of a connection is a line in ``TRANSITIONS``. An input
without a line has no effect, which is what makes a second close, a late disconnect or a repeated
teardown harmless. The documentation draws its diagram from this table.

::

    CONNECTING --accept--> OPEN --close--> CLOSING --peer left / give up--> GONE --finish--> ENDED
        |                   |                                                 ^
        +--close--> REFUSED +-------------- peer left / give up --------------+
"""

from __future__ import annotations

from enum import Enum

from .codes import CloseCode
from .disconnects import DisconnectInfo, DisconnectKind


class State(Enum):
    """Where a connection is in its life."""

    CONNECTING = "connecting"  # the handshake is open
    OPEN = "open"  # accepted: frames travel both ways
    REFUSED = "refused"  # we denied the handshake
    CLOSING = "closing"  # we sent a close frame
    GONE = "gone"  # the peer left, or we gave it up
    ENDED = "ended"  # cleaned up


class Input(Enum):
    """What can happen to a connection."""

    ACCEPT = "accept"
    CLOSE = "close"
    REOPEN = "reopen"  # the server refused to send our close frame: still open
    PEER_LEFT = "peer left"
    GIVE_UP = "give up"
    FINISH = "finish"


_LEAVING = {Input.PEER_LEFT: State.GONE, Input.GIVE_UP: State.GONE, Input.FINISH: State.ENDED}

TRANSITIONS: dict[State, dict[Input, State]] = {
    State.CONNECTING: {Input.ACCEPT: State.OPEN, Input.CLOSE: State.REFUSED, **_LEAVING},
    State.OPEN: {Input.CLOSE: State.CLOSING, **_LEAVING},
    State.REFUSED: {Input.REOPEN: State.CONNECTING, **_LEAVING},
    State.CLOSING: {Input.REOPEN: State.OPEN, **_LEAVING},
    State.GONE: {Input.FINISH: State.ENDED},
    State.ENDED: {},
}


class Link:
    """The state of one connection, and how it ended.

    Attributes:
        state: See :class:`State`.
        accepted: Whether the handshake was ever accepted.
        info: How the connection ended, once that is known. The first cause is kept: after our own
            close, what the server reports about it changes nothing.
    """

    __slots__ = ("accepted", "info", "opened_at", "sent", "state", "unsent")

    def __init__(self) -> None:
        self.state = State.CONNECTING
        self.accepted = False
        self.info: DisconnectInfo | None = None
        self.opened_at: float | None = None
        self.sent = 0
        self.unsent = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing may be written any more."""
        return self.state is not State.OPEN and self.state is not State.CONNECTING

    def accept(self, now: float) -> bool:
        """The handshake was accepted at *now*."""
        if not self._step(Input.ACCEPT):
            return False
        self.accepted = True
        self.opened_at = now
        return True

    def close(
        self, code: int | None, reason: str = "", kind: DisconnectKind = DisconnectKind.SERVER
    ) -> bool:
        """We are about to send a close frame (or a refusal). Call *before* it is written."""
        if not self._step(Input.CLOSE):
            return False
        plain_code = CloseCode.NORMAL.value if code is None else int(code)
        self.info = DisconnectInfo(plain_code, reason, kind)
        return True

    def reopen(self) -> None:
        """The server would not send the close frame, so the connection is what it was."""
        if self._step(Input.REOPEN):
            self.info = None

    def peer_left(self, info: DisconnectInfo | None = None) -> bool:
        """The peer is gone: the server says so (*info*), or a send failed (nothing more known)."""
        took_effect = self._step(Input.PEER_LEFT)
        if self.state is State.GONE:
            self._settle(info)
        return took_effect

    def give_up(self, kind: DisconnectKind, code: int = CloseCode.ABNORMAL.value) -> bool:
        """We stop waiting for the peer, or for the server."""
        took_effect = self._step(Input.GIVE_UP)
        if self.state is State.GONE:
            self._settle(DisconnectInfo(code, "", kind))
        return took_effect

    def finish(self) -> bool:
        """Begin the cleanup; true for the first caller only."""
        return self._step(Input.FINISH)

    def _settle(self, info: DisconnectInfo | None) -> None:
        if self.info is None:
            self.info = info

    def _step(self, cause: Input) -> bool:
        target = TRANSITIONS[self.state].get(cause)
        if target is None:
            return False
        self.state = target
        return True
