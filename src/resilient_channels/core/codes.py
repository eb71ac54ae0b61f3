"""Close codes: what each means, who may send it, what the other side should do about it.

Sources: RFC 6455 section 7.4 for 1000-1015, the IANA registry for the rest. The codes of this
library are 3000 + the HTTP status that says the same thing, because 1000 and 3000-4999 are all
that *every* ASGI server can send (Daphne refuses 1001-1014), and 4000-4999 belongs to
applications.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

MAX_REASON_BYTES = 123
"""A close frame's payload is at most 125 bytes, two of which are the code (RFC 6455, 5.5)."""


class CloseCode(IntEnum):
    """The close codes with a meaning of their own."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    SERVER_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_FAILURE = 1015
    BAD_MESSAGES = 3400
    NOT_AUTHENTICATED = 3401
    FORBIDDEN = 3403
    HEARTBEAT_TIMEOUT = 3408
    REPLACED = 3409
    REVOKED = 3410
    CREDENTIALS_EXPIRED = 3411
    GAP = 3412
    TOO_BIG = 3413
    SLOW_CONSUMER = 3420
    TOO_MANY_CONNECTIONS = 3428
    RATE_LIMITED = 3429
    IDLE = 3440
    HANDLER_ERRORS = 3500
    OVERLOAD = 3503
    LAYER_DOWN = 3504
    RESTART = 3512
    MAX_AGE = 3513


class Sender(Enum):
    """Who may put a code on the wire."""

    BOTH = "either side"
    SERVER = "server"
    CLIENT = "client"
    NOBODY = "nobody (local report only)"


class Verdict(Enum):
    """What a client should do after a close."""

    NOW = "now"  # full jitter, growing; the server is well, or will be soon
    BACKOFF = "backoff"  # the same; it may take a while
    AUTH = "auth"  # fetch credentials once, then NOW
    NEVER = "never"  # stop and tell the application


@dataclass(frozen=True, slots=True)
class CodeInfo:
    """One row of the registry."""

    code: int
    name: str
    sender: Sender
    verdict: Verdict
    keeps_resume_state: bool
    meaning: str

    @property
    def may_travel(self) -> bool:
        """Whether the code may appear in a close frame at all."""
        return self.sender is not Sender.NOBODY

    @property
    def every_server_sends_it(self) -> bool:
        """Whether Daphne, Uvicorn, Hypercorn and Granian all accept it in ``close()``."""
        return is_portable(self.code)


def _row(
    code: CloseCode, sender: Sender, verdict: Verdict, keeps_resume_state: bool, meaning: str
) -> CodeInfo:
    return CodeInfo(int(code), code.name.lower(), sender, verdict, keeps_resume_state, meaning)


_C, _S, _V = CloseCode, Sender, Verdict
REGISTRY: dict[int, CodeInfo] = {
    row.code: row
    for row in (
        _row(_C.NORMAL, _S.BOTH, _V.NEVER, False, "Done. From a server that merely lost patience "
             "(Daphne after 24 hours) it is retried slowly."),
        _row(_C.GOING_AWAY, _S.BOTH, _V.NOW, True, "The browser leaves the page, or the server stops."),
        _row(_C.PROTOCOL_ERROR, _S.BOTH, _V.BACKOFF, True, "A frame broke the WebSocket protocol."),
        _row(_C.UNSUPPORTED_DATA, _S.BOTH, _V.BACKOFF, True, "Text where binary was expected, or the reverse."),
        _row(_C.NO_STATUS, _S.NOBODY, _V.NOW, True, "A clean close that carried no code."),
        _row(_C.ABNORMAL, _S.NOBODY, _V.NOW, True, "The connection ended without a close frame."),
        _row(_C.INVALID_PAYLOAD, _S.BOTH, _V.BACKOFF, True, "Text that is not UTF-8."),
        _row(_C.POLICY_VIOLATION, _S.BOTH, _V.AUTH, False, "Refused by a policy; often a proxy's."),
        _row(_C.MESSAGE_TOO_BIG, _S.BOTH, _V.BACKOFF, True, "Over the server's size limit."),
        _row(_C.MANDATORY_EXTENSION, _S.CLIENT, _V.NEVER, False, "The client missed an extension."),
        _row(_C.SERVER_ERROR, _S.SERVER, _V.BACKOFF, True, "The server failed."),
        _row(_C.SERVICE_RESTART, _S.SERVER, _V.NOW, True, "The server restarts; spread the return."),
        _row(_C.TRY_AGAIN_LATER, _S.SERVER, _V.BACKOFF, True, "The server is overloaded."),
        _row(_C.BAD_GATEWAY, _S.SERVER, _V.BACKOFF, True, "A gateway got a bad answer."),
        _row(_C.TLS_FAILURE, _S.NOBODY, _V.BACKOFF, True, "The TLS handshake failed."),
        _row(_C.BAD_MESSAGES, _S.SERVER, _V.NEVER, False, "The budget for bad messages is spent."),
        _row(_C.NOT_AUTHENTICATED, _S.SERVER, _V.AUTH, False, "Credentials are missing or wrong."),
        _row(_C.FORBIDDEN, _S.SERVER, _V.NEVER, False, "Not allowed to this user or origin."),
        _row(_C.HEARTBEAT_TIMEOUT, _S.BOTH, _V.NOW, True, "No answer to heartbeats in time."),
        _row(_C.REPLACED, _S.SERVER, _V.NEVER, False, "A newer connection took over."),
        _row(_C.REVOKED, _S.SERVER, _V.NEVER, False, "The session ended: logout, ban, password change."),
        _row(_C.CREDENTIALS_EXPIRED, _S.SERVER, _V.AUTH, True, "Credentials need a refresh."),
        _row(_C.GAP, _S.SERVER, _V.NOW, True, "Messages were missed on a live connection."),
        _row(_C.TOO_BIG, _S.SERVER, _V.BACKOFF, True, "Over the application's size limit."),
        _row(_C.SLOW_CONSUMER, _S.SERVER, _V.BACKOFF, True, "The client does not read fast enough."),
        _row(_C.TOO_MANY_CONNECTIONS, _S.SERVER, _V.NEVER, False, "Too many connections of this user or address."),
        _row(_C.RATE_LIMITED, _S.SERVER, _V.BACKOFF, True, "Too many messages."),
        _row(_C.IDLE, _S.SERVER, _V.NEVER, True, "Idle longer than the application allows."),
        _row(_C.HANDLER_ERRORS, _S.SERVER, _V.BACKOFF, True, "Handlers failed more often than the budget allows."),
        _row(_C.OVERLOAD, _S.SERVER, _V.BACKOFF, True, "The consumer cannot keep up with this connection."),
        _row(_C.LAYER_DOWN, _S.SERVER, _V.BACKOFF, True, "The channel layer was down longer than tolerated."),
        _row(_C.RESTART, _S.SERVER, _V.NOW, True, "The process stops; spread the return."),
        _row(_C.MAX_AGE, _S.SERVER, _V.NOW, True, "The connection reached its maximum age."),
    )
}  # fmt: skip


def verdict_for(code: int) -> Verdict:
    """Say what a client should do after *code*, also for codes nobody registered.

    Unknown 34xx codes mean "the client is at fault", unknown 35xx "the server is", as in HTTP.
    """
    if code in REGISTRY:
        return REGISTRY[code].verdict
    return Verdict.NEVER if 3400 <= code <= 3499 else Verdict.BACKOFF


def is_portable(code: int) -> bool:
    """Whether every ASGI server can send *code*: 1000 and 3000-4999."""
    return code == CloseCode.NORMAL or 3000 <= code <= 4999


def may_travel(code: int) -> bool:
    """Whether *code* may appear in a close frame at all (RFC 6455 section 7.4)."""
    if 3000 <= code <= 4999:
        return True
    return 1000 <= code <= 1014 and code not in (1004, 1005, 1006)


def check_close_frame(code: object, reason: object) -> None:
    """Refuse a close frame that would be illegal, before the server chokes on it.

    Raises:
        TypeError: *code* is not an ``int`` or ``None``, *reason* not a ``str`` or ``None``.
        ValueError: the code may not travel, or the reason is over 123 bytes.
    """
    if code is not None:
        if isinstance(code, bool) or not isinstance(code, int):
            raise TypeError(f"close code must be an int or None, not {code!r}")
        if not may_travel(code):
            raise ValueError(
                f"close code {int(code)} may not be sent; allowed are 1000-1003, 1007-1014 "
                "and 3000-4999 (4000-4999 are for applications)"
            )
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"close reason must be a str or None, not {reason!r}")
    if reason and len(reason.encode()) > MAX_REASON_BYTES:
        raise ValueError(
            f"close reason takes {len(reason.encode())} bytes of UTF-8; "
            f"a close frame has room for {MAX_REASON_BYTES}"
        )


def check_portable_close(code: object, reason: object) -> None:
    """As :func:`check_close_frame`, and refuse what some server cannot send.

    Raises:
        TypeError: as above.
        ValueError: as above, or the code is one of 1001-1014.
    """
    check_close_frame(code, reason)
    if isinstance(code, int) and not is_portable(code):
        raise ValueError(
            f"close code {int(code)} cannot be sent by every ASGI server; "
            "allowed are 1000 and 3000-4999 (4000-4999 are for applications)"
        )
