"""Asking for the wire protocol in the handshake, beside an application's own subprotocol.

A client offers ``resilient.v1``, or ``resilient.v1.<app protocol>`` where the application has a
subprotocol of its own. The application sees its own offers only, chooses as it always did, and
its choice is translated back. A client that offers neither is not touched in any way.

Source: RFC 6455 section 1.9 (one subprotocol per connection), WHATWG WebSockets (a browser fails
the handshake when its offer is not answered).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKEN = "resilient.v1"  # noqa: S105  # no secret: a subprotocol's name
PREFIX = f"{TOKEN}."

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
"""What a subprotocol may consist of (RFC 9110 section 5.6.2). Anything else that a client has made
up is not answered on our own account: some servers cannot write it into a header."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client offered.

    Attributes:
        visible: The subprotocols as the application gets to see them.
        bare: Whether the client offered ``resilient.v1`` alone.
        combined: Application protocols offered as ``resilient.v1.<app protocol>``.
    """

    visible: tuple[str, ...]
    bare: bool
    combined: frozenset[str]

    def answer(self, chosen: str | None) -> tuple[str | None, bool]:
        """The subprotocol to answer with when the application chose *chosen*.

        Returns:
            The subprotocol, and whether control frames may be sent from now on.
        """
        if chosen in self.combined:
            return f"{PREFIX}{chosen}", True
        if chosen is None and self.bare:
            return TOKEN, True
        return chosen, False

    @property
    def preferred(self) -> str:
        """The subprotocol to answer with when no application is asked."""
        return TOKEN if self.bare else f"{PREFIX}{min(self.combined)}"


def read_offer(subprotocols: Sequence[str]) -> Offer | None:
    """Read what a client offered; ``None`` if the wire protocol is not part of it."""
    visible: dict[str, None] = {}  # each once, in the order of the offer
    combined = set()
    for protocol in subprotocols:
        name = protocol.removeprefix(PREFIX)
        if name != protocol and _NAME.fullmatch(name):
            combined.add(name)
            visible[name] = None
        elif protocol != TOKEN:
            visible[protocol] = None
    if not combined and TOKEN not in subprotocols:
        return None
    return Offer(tuple(visible), TOKEN in subprotocols, frozenset(combined))
