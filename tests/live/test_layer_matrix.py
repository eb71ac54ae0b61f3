"""Under the hub, no fault of Redis ends a socket, and everybody receives again in time."""

import asyncio
import os
from collections import Counter

import pytest

from tour.brokers import available
from tour.matrix import logbook
from tour.matrix.__main__ import measure
from tour.matrix.cells import Cell
from tour.matrix.events import EVENTS
from tour.matrix.findings import Finding
from tour.matrix.page import render
from tour.matrix.promises import broken
from tour.servers import NAMES

pytestmark = pytest.mark.live

# Fewer at once than the matrix itself: these have limits to keep, on whatever machine.
AT_ONCE = 4
# Shorter than the defaults, so that what only a probe or a renewal finds is found sooner.
OPTIONS = {"LAYER": {"probe": 1.0, "deadline": 2.0}}
LAYER_OPTIONS = {"evicted": {"group_expiry": 9}}
# With a timeout of its own, the client would notice a silent Redis in our stead.
HOST_OPTIONS = {name: {"socket_timeout": None} for name in ("frozen", "silent")}


def cell(event, layer, server):
    return Cell(
        event,
        layer,
        server,
        sockets=12,
        options=OPTIONS,
        host_options=HOST_OPTIONS.get(event.name, {}),
        layer_options=LAYER_OPTIONS.get(event.name, {}) if layer == "core" else {},
    )


CELLS = [
    cell(event, layer, NAMES[(number + shift) % 2])
    for number, event in enumerate(EVENTS)
    for shift, layer in enumerate(("core", "pubsub"))
]


@pytest.fixture(scope="module")
def findings(request):
    """What became of every cell that was asked for; they mostly wait, so some run at once."""
    here = [item for item in request.session.items if item.path == request.path]
    cells = [item.callspec.params["cell"] for item in here if "findings" in item.fixturenames]
    return dict(asyncio.run(measure(cells, AT_ONCE, lambda cell, finding: None)))


def name(cell):
    return f"{cell.event.name}-{cell.layer}-{cell.server}"


@pytest.mark.redis
@pytest.mark.skipif(
    not available() and "CI" not in os.environ, reason="redis-server is not installed"
)
@pytest.mark.parametrize("cell", CELLS, ids=name)
def test_the_hub_keeps_every_socket_and_all_receive_again(cell, findings):
    finding = findings[cell]

    assert broken(cell, finding) == [], f"{finding}\n{finding.log[-6000:]}"


def found(**changes):
    measured = {"kept": 12, "hearing": {"shared": 12, "own": 12}, "seconds": 0.5, "sent": 100}
    finding = Finding("killed-empty", "core", "uvicorn", "hub", 12)
    for attribute, value in {**measured, **changes}.items():
        setattr(finding, attribute, value)
    return finding


@pytest.mark.parametrize(
    "changes",
    [
        {"kept": 11},
        {"disconnects": 1},
        {"seconds": None, "hearing": {"shared": 12, "own": 11}},
        {"seconds": 3.1},
        {"records": {"WARNING layer.down": 2, "INFO layer.up": 2}},
        {"records": {"WARNING layer.down": 1}},
        {"tracebacks": {"asyncio": 1}},
        {"error": "ServerFailed: no"},
    ],
)
def test_whatever_is_not_as_promised_is_called_broken(changes):
    killed = CELLS[2]
    assert (killed.event.name, killed.layer) == ("killed-empty", "core")

    assert broken(killed, found()) == []
    assert len(broken(killed, found(**changes))) >= 1


LOG = """\
2026-01-01 00:00:00,000 WARNING resilient_channels.layer layer.down alias=default
2026-01-01 00:00:00,001 ERROR channels_redis.pubsub Unexpected exception in receive task
Traceback (most recent call last):
  File "x.py", line 1, in x
OSError: 1

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
OSError: 2
ERROR:    Exception in ASGI application
Traceback (most recent call last):
OSError: 3
2026-01-01 00:00:01,000 INFO resilient_channels.layer layer.up alias=default
2026-01-01 00:00:01,000 INFO resilient_channels.connection connection.opened connection=c1
2026-01-01 00:00:01,000 ERROR resilient_channels.handler handler.error error=OSError
Traceback (most recent call last):
OSError: 4
"""


def test_the_log_is_counted_by_name_and_a_chain_of_tracebacks_once():
    assert logbook.records(LOG) == {
        "WARNING layer.down": 1,
        "INFO layer.up": 1,
        "ERROR handler.error": 1,
    }
    assert logbook.tracebacks(LOG) == {
        "channels_redis.pubsub": 1,
        "the server": 1,
        "resilient_channels.handler": 1,
    }


class Heard:
    def __init__(self, *numbers):
        self.stream = Counter(numbers)


def test_what_somebody_missed_is_lost_and_what_somebody_heard_twice_is_repeated():
    finding = found()
    notes = ["sent 0", "returned 0", "sent 1", "sent 2", "sent 3", "returned 2", "returned 3"]
    notes += ["failed 1 LayerUnavailable"]

    finding.count_stream(notes, [Heard(0, 3, 3), Heard(0, 2, 3)])

    assert (finding.sent, finding.lost, finding.lost_though_sent) == (4, [1, 2], [2])
    assert (finding.repeated, finding.failed) == ([3], {"LayerUnavailable": 1})


def test_the_page_names_its_command_first_and_leaves_no_cell_empty():
    failed = found(error="ServerFailed: no")
    findings = [(each, found()) for each in CELLS] + [(CELLS[0], failed)]

    page = render(findings, "python -m tour.matrix", "on a machine", 12)

    assert page.startswith("Made by `python -m tour.matrix`, in `example_project/`, on a machine.")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) > 2 * len(EVENTS)
    assert all(cell.strip() for row in rows for cell in row.strip("|").split("|"))
    assert all(f"## {event.title}" in page for event in EVENTS)
