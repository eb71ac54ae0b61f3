"""What becomes of frames that nobody waits for: it is counted, and nothing is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .core.outcomes import SendOutcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from .connection import Connection
    from .core.link import Link


async def write_here(connection: Connection, message: Mapping[str, Any]) -> None:
    """Write a frame in the running task; what becomes of it is counted."""
    await settle(connection, connection.gate.write(message))


async def settle(connection: Connection, writing: Awaitable[SendOutcome]) -> None:
    """Wait until a frame is written, or is not; what becomes of it is counted."""
    try:
        outcome = await writing
    except Exception as error:  # noqa: BLE001  # sorted there
        outcome = judge(connection, error)
    count(connection.link, outcome)


def count(link: Link, outcome: SendOutcome) -> SendOutcome:
    """Count what became of a frame."""
    if outcome is SendOutcome.SENT:
        link.sent += 1
    else:
        link.unsent += 1
    return outcome


def judge(connection: Connection, error: Exception) -> SendOutcome:
    """What it means that the server refused a frame. Never raises."""
    try:
        return connection.gate.judge(error)
    except Exception as refusal:  # noqa: BLE001  # the server's own
        connection.tell_step(f"the server refused a frame: {type(refusal).__name__}")
        return SendOutcome.CLOSED
