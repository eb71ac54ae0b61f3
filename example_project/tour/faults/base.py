"""What a fault is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..facts import Facts
    from ..judge import Promise
    from ..stage import Stage

# Which channel layer a fault needs: the in-memory one, or a Redis of its own, with hosts that
# name no timeout, or with everything at its default, or over TLS; or, on the resilient side only,
# the library's layer around that of the plain side.
Layer = Literal["memory", "redis", "redis-defaults", "redis-tls", "redis-hub"]


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        name: What ``--only`` takes.
        title: What the table says.
        run: Provokes the fault on one side and measures.
        promises: What the resilient side has to bear out.
        layer: The channel layer it needs.
        provoked: Whether the plain side met what this fault is about; the row proves nothing
            otherwise.
        alone: Whether it would disturb other faults in the same process.
        own_server: Whether it disturbs the process so much, or for so long, that it gets its own.
    """

    name: str
    title: str
    run: Callable[[Stage], Awaitable[Facts]]
    promises: tuple[Promise, ...]
    layer: Layer = "memory"
    alone: bool = False
    own_server: bool = False
    provoked: Callable[[Facts], bool] = lambda facts: True
