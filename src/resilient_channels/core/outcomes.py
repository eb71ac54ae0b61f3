"""What became of something that was sent."""

from __future__ import annotations

from enum import Enum


class SendOutcome(Enum):
    """What ``safe_send`` reports. True in a condition for the first two only.

    ``SENT`` means "handed to the server, and the peer is not known to be gone": no ASGI server
    confirms delivery.
    """

    SENT = "sent"
    QUEUED = "queued"
    CLOSED = "closed"  # the connection is over; nothing was written
    DROPPED = "dropped"  # a bound was reached, and the policy said drop
    TIMED_OUT = "timed out"  # the server did not take it in time; it may or may not arrive

    def __bool__(self) -> bool:
        return self in (SendOutcome.SENT, SendOutcome.QUEUED)
