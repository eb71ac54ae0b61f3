"""What is said on a connection beside the application's frames: control frames and app pings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import compat
from .core import events, wire
from .core.codes import REGISTRY, CloseCode
from .core.credit import Credit
from .core.liveness import MAX_UNANSWERED
from .core.subprotocols import Offer, read_offer
from .inbound import make_inbound
from .observers import notify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .connection import Connection
    from .core.inbox import Message

FRAMES_PER_SECOND = 20
"""Control frames of a client that are read within a second; more are counted, and that is all."""

NO_ANSWER = ""


class Conversation:
    """The part of a connection that the application does not see.

    Attributes:
        is_negotiated: Whether the client asked for the wire protocol and was given it.
        taken: Frames of the client that were not for the application.
        ignored: Those among them that came to nothing.
        owed: Answers that the client owes us; they are read however many there are.
    """

    __slots__ = (
        "_connection", "_has_greeted", "_in_second", "_offer", "_second", "ignored",
        "is_negotiated", "owed", "taken",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._offer: Offer | None = None
        self.is_negotiated = False
        self._has_greeted = False
        self._second = 0.0
        self._in_second = 0
        self.taken = 0
        self.ignored = 0
        self.owed = 0

    # --- the handshake -------------------------------------------------------------------------

    def read_offer(self, scope: Mapping[str, Any]) -> Mapping[str, Any]:
        """The scope as the application gets to see it; the same one for an ordinary client."""
        self._offer = read_offer(scope.get("subprotocols") or ())
        if self._offer is None:
            return scope
        return {**scope, "subprotocols": list(self._offer.visible)}

    def accepting(self, message: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
        """The application's ``accept``, translated, and what to greet the client with."""
        chosen = message.get("subprotocol")
        if self._offer is not None:
            answer, self.is_negotiated = self._offer.answer(chosen)
            message = {**message, "subprotocol": answer}
        heartbeat = self._connection.choose_heartbeat(
            negotiated=self.is_negotiated, foreign=bool(chosen) and not self.is_negotiated
        )
        policy = self._connection.policies.heartbeat
        expected = [*policy.reply, policy.pong] if heartbeat is not None else [*policy.reply]
        marks = {text[0] for text in expected if text}
        if self.is_negotiated:
            marks.add(wire.MARK)
        self._connection.intake.marks = "".join(marks)
        self._connection.intake.sift = self.sift if marks else None
        self._connection.intake.guard = make_inbound(self._connection)
        self._connection.gate.set_protocol(is_ours=self.is_negotiated, credit=self._make_credit())
        if not self.is_negotiated:
            return message, None
        if heartbeat is None:
            return message, wire.encode_hello(self._connection.id, None, None)
        hello = wire.encode_hello(self._connection.id, policy.interval, policy.timeout)
        return message, hello

    def _make_credit(self) -> Credit | None:
        """For a server that takes whatever it is given: what the client may owe us."""
        connection = self._connection
        heartbeat = connection.heartbeat if self.is_negotiated else None
        if heartbeat is None or not compat.never_waits(connection.scope):
            return None
        return Credit(connection.policies.outbox.bytes, heartbeat.ask)

    def opened(self) -> None:
        """The handshake was accepted; what was offered is history."""
        self._offer = None

    def asked(self) -> None:
        """A ping has gone out."""
        self.owed = min(self.owed + 1, MAX_UNANSWERED)

    def let_in_to_tell(
        self, code: int, after: float | None
    ) -> tuple[Mapping[str, Any] | None, list[str]]:
        """How to accept a client that is refused, and what to say to it.

        Nothing if it would not understand.
        """
        if self._offer is None:
            return None, []
        accept = {"type": "websocket.accept", "subprotocol": self._offer.preferred}
        hello = wire.encode_hello(self._connection.id, None, None)
        bye = self.farewell(code, None, after or 0.0)
        return accept, [hello] if bye is None else [hello, bye]

    def farewell(self, code: int | None, reason: str | None, after: float = 0.0) -> str | None:
        """What to say before a close frame with *code* and *reason*.

        Nothing for a code of the application's own: what follows from that only the client knows.

        Args:
            after: Seconds that the client should stay away.
        """
        known = REGISTRY.get(CloseCode.NORMAL if code is None else code)
        if known is None or not known.every_server_sends_it:
            return None
        if not reason and known.code != CloseCode.NORMAL:
            reason = known.name
        return wire.encode_bye(known.code, reason or "", known.verdict.value, round(after * 1000))

    # --- frames of the client ------------------------------------------------------------------

    def sift(self, message: Message) -> Message | str:
        """Look at a text that may be ours: the message if it is not, else what to answer."""
        text = message["text"]
        heartbeat = self._connection.heartbeat
        if heartbeat is not None and text == heartbeat.awaited and self._is_heard():
            self.taken += 1
            self.owed = 0  # whoever has answered the latest will not come back to earlier ones
            return NO_ANSWER if heartbeat.answered_latest() else self._count(NO_ANSWER)
        if self.is_negotiated and text[0] == wire.MARK:
            if text[1:2] == wire.MARK:
                return {**message, "text": text[1:]}
            self.taken += 1
            return self._obey(text)
        policy = self._connection.policies.heartbeat
        reply = policy.reply.get(text)
        if reply is not None:
            self.taken += 1
            return self._count(reply)
        return message

    def _is_heard(self) -> bool:
        """Whether answers count: not before the client's hello, if it speaks the protocol."""
        return self._has_greeted or not self.is_negotiated

    def _obey(self, text: str) -> str:
        now = self._connection.loop.time()
        if now - self._second >= 1.0:
            self._second, self._in_second = now, 0
        if self._in_second < FRAMES_PER_SECOND:
            self._in_second += 1
        elif self.owed:
            self.owed -= 1
        else:
            return self._ignore("too many")
        try:
            frame = wire.decode(text)
        except wire.WireError as error:
            return self._ignore(str(error))
        if isinstance(frame, wire.Hello):
            if self._has_greeted:
                return self._ignore("unasked")
            self._has_greeted = True
            return NO_ANSWER
        if not self._has_greeted:
            return self._ignore("before hello")
        if isinstance(frame, wire.Ping):
            return self._count(wire.encode_pong(frame.nonce))
        heartbeat = self._connection.heartbeat
        if heartbeat is None or not heartbeat.answered(frame.nonce):
            return self._ignore("unasked")
        return NO_ANSWER

    def _ignore(self, cause: str) -> str:
        if not self.ignored:
            notify(events.ControlIgnored(**self._connection.who, cause=cause))
        self.ignored += 1
        return self._count(NO_ANSWER)

    def _count(self, answer: str) -> str:
        """Count a frame that is not for the application, if it need not have come."""
        guard = self._connection.intake.guard
        return answer if guard is None or guard.counts() else NO_ANSWER
