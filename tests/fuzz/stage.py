"""What has to hold whatever comes: nobody killed, no traceback, nothing left behind."""

import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import channel_layers, get_channel_layer

from resilient_channels import isolation
from resilient_channels.core.codes import REGISTRY
from resilient_channels.observers.logs import FieldsFormatter
from resilient_channels.registry import registry
from shells.visits import Visit, note, settle
from support.leaks import group_members
from support.loop import run

STANDARD = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
QUESTION, ANSWER = "are you there?", "still here"
HORIZON = 3600.0  # virtual seconds; no example needs more


class HandlersOwn(Exception):
    """Raised by a handler of a consumer here: the one error that may be logged with a traceback."""


Excuse = Callable[[logging.LogRecord], bool]


def nothing_excused(record: logging.LogRecord) -> bool:
    return False


class Resident(AsyncWebsocketConsumer):
    """Answers a question, whatever else came before it."""

    groups = ["crowd"]

    async def receive(self, text_data=None, bytes_data=None):
        note(self, "receive", text_data if bytes_data is None else bytes_data)
        if text_data == QUESTION:
            await self.send(ANSWER)
        if text_data == "fail":
            raise HandlersOwn

    async def chat_message(self, event):
        note(self, "chat", event)

    async def disconnect(self, code):
        note(self, "disconnect", code)


class Witness(logging.Handler):
    """Hears every record of every logger."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def check(self, excused: Excuse) -> None:
        """Fail over a traceback of ours, and over a record that is more than one line."""
        formatter = FieldsFormatter("%(name)s %(message)s")
        for record in self.records:
            error = record.exc_info[1] if record.exc_info else None
            if isinstance(error, HandlersOwn) or (error is not None and excused(record)):
                continue
            assert error is None, f"{record.getMessage()} with {error!r}"
            if record.name.startswith("resilient_channels"):
                line = formatter.format(record)
                assert line.isprintable(), f"not one printable line: {line!r}"
                # Other formatters write the fields as they are.
                fields = vars(record).keys() - STANDARD
                told = [value for value in map(vars(record).get, fields) if isinstance(value, str)]
                assert all(value.isprintable() for value in told), f"not printable: {told}"


@contextmanager
def witnessed(excused: Excuse = nothing_excused) -> Iterator[Witness]:
    """Listen to all logs; afterwards check them, and that nobody was left anywhere."""
    witness, root, ours = Witness(), logging.getLogger(), logging.getLogger("resilient_channels")
    before = set(registry)  # an example that has failed may have left some
    level, own_level = root.level, ours.level
    root.addHandler(witness)
    ours.setLevel(logging.DEBUG)
    isolation._seen_types.clear()  # each example is reported as if it were the first
    try:
        yield witness
    finally:
        root.removeHandler(witness)
        root.setLevel(level)
        ours.setLevel(own_level)
        members = group_members()
        channel_layers.backends.clear()
    witness.check(excused)
    assert not members, f"members were left behind: {members}"
    left = set(registry) - before
    assert not left, f"connections were left behind: {left}"


def play(scene: Coroutine[Any, Any, None], excused: Excuse = nothing_excused) -> None:
    """Run *scene* on virtual time. Hangs, tasks left and unread failures fail it, too.

    Args:
        excused: Which records may have a traceback.
    """
    with witnessed(excused):
        run(scene, clocks=True, horizon=HORIZON)


async def is_alive(visit: Visit) -> bool:
    """Whether the consumer answers; false if the connection was closed, as it may be."""
    if visit.closed:
        return False
    visit.client_sends(QUESTION)
    await settle(0.1)
    assert visit.texts[-1:] == [ANSWER] or visit.closed, f"no answer: {visit.sent[-3:]}"
    return not visit.closed


async def say_goodbye(visit: Visit) -> None:
    """End the visit, and see that it ended as every connection does."""
    if not visit.closed:
        visit.client_closes()
    error = await visit.ended()
    assert error is None, f"the consumer was killed: {error!r}"
    ends = [what for what in visit.notes if what[0] == "disconnect"]
    if visit.accepted:
        assert len(ends) == 1, f"disconnect() was called {len(ends)} times"
        assert type(ends[0][1]) is int
    for code in visit.closes:
        assert code is None or code in REGISTRY, f"closed with {code}"
    await settle(1)


async def crowd_hears(number: int) -> None:
    """Send a message to everybody's group."""
    layer = get_channel_layer()
    await layer.group_send("crowd", {"type": "chat.message", "number": number})
    await settle(0.1)
