"""How long the long faults last: short enough for every run, or as long as real ones."""

from __future__ import annotations

from dataclasses import dataclass

# As in the tour's settings.
HEARTBEAT_INTERVAL = 1.0
HEARTBEAT_TIMEOUT = 1.5
# Within this time a peer that is not there any more is given up.
FOUND_WITHIN = HEARTBEAT_INTERVAL + HEARTBEAT_TIMEOUT + 1.0


@dataclass(frozen=True)
class Lengths:
    """Seconds.

    Attributes:
        handler: How long a slow handler takes.
        stall: How long the event loop does not run.
        stop: How long the server's process does not run.
        patience: How long we wait for a server to find out that nobody is there.
    """

    handler: float
    stall: float
    stop: float
    patience: float

    @property
    def row_deadline(self) -> float:
        """No row takes longer on its own; what does has hung."""
        return 60 + max(self.handler, self.stall, self.stop, self.patience)


# Several times what it takes to give a peer up.
SHORT = Lengths(handler=8.0, stall=10.0, stop=10.0, patience=5.0)
FULL = Lengths(handler=60.0, stall=30.0, stop=60.0, patience=60.0)
