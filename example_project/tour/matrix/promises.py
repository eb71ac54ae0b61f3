"""What the hub promises for every cell, and which of it a finding does not bear out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilient_channels.core.policies import LayerPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cells import Cell
    from .findings import Finding

# Seconds from the return of the broker.
RESUMED_BY = {"core": 2.0, "pubsub": 4.0, "memory": 1.0}
# Calls come every 0.2 s, and the machine has other things to do.
MARGIN = 1.0
# And a probe is sent up to a second late.
PROBE_MARGIN = 1.5
# The event loop's own traces of a task of the layer's that nobody waits for, and the layer's log.
UPSTREAM = "channels_redis"


def time_limit(cell: Cell) -> float:
    """Return within how many seconds of the event's end everybody has to hear again."""
    resumed_by = RESUMED_BY[cell.layer]
    if cell.event.name == "silent":
        # What is asked over a link that is dead takes its time to fail.
        policy = LayerPolicy(**cell.options.get("LAYER", {}))
        return policy.probe + policy.deadline + resumed_by + PROBE_MARGIN
    if cell.layer == "core" and cell.event.found_by == "probe":
        policy = LayerPolicy(**cell.options.get("LAYER", {}))
        return policy.probe + resumed_by + PROBE_MARGIN
    if cell.layer == "core" and cell.event.found_by == "renewal":
        return float(cell.all_layer_options["group_expiry"]) / 3 + resumed_by + MARGIN
    return resumed_by + MARGIN


def broken(cell: Cell, finding: Finding) -> list[str]:
    """Return what was promised and is not so."""
    return list(_broken(cell, finding))


def _broken(cell: Cell, finding: Finding) -> Iterator[str]:
    if finding.error is not None:
        yield f"not measured: {finding.error}"
        return
    if finding.kept < finding.sockets:
        yield f"{finding.kept} of {finding.sockets} sockets kept"
    if finding.disconnects:
        yield f"disconnect() called {finding.disconnects} times"
    limit = time_limit(cell)
    if finding.seconds is None:
        yield f"of {finding.sockets} heard again: {finding.hearing}"
    elif finding.seconds > limit:
        yield f"all heard again after {finding.seconds} s, more than {limit:.1f} s"
    for record in ("WARNING layer.down", "INFO layer.up"):
        if finding.records.get(record, 0) > 1:
            yield f"{finding.records[record]} records {record!r} of one outage"
    ups, downs = (finding.records.get(name, 0) for name in ("INFO layer.up", "WARNING layer.down"))
    if ups != downs and finding.seconds is not None:
        yield f"{downs} times layer.down, {ups} times layer.up"
    for owner, count in finding.tracebacks.items():
        if not owner.startswith(UPSTREAM):
            yield f"{count} tracebacks in the log, of {owner}"
