"""Nothing that a client, a layer or a project can fill grows without an end.

Every container in the source is listed here with what bounds it; one that is added and not listed
fails. Most belong to a connection and go with it; the test at the end watches all of them.
"""

import ast
import asyncio
import gc
import logging
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer

from resilient_channels import broadcast, compat
from resilient_channels.answers import MAX_WAITING
from resilient_channels.core.credit import Credit
from resilient_channels.layers import ResilientChannelLayer
from security.containers import find_containers
from shells.clients import V1, Listener, control, greeted
from shells.visits import Visit, build, open_visit, settle
from support.hubs import BARE, CORE, GENERIC, around, make_layer
from support.layers import installed
from support.loop import run, virtual

TESTS = Path(__file__).resolve().parents[1]

# A number that a test proves to be the most.
LIMITED = {
    "answers.py:Answers._waiting":
        "test_a_client_that_asks_and_does_not_read_has_32_answers_waiting",
    "compat/__init__.py:_handler_names": "test_only_so_many_types_are_remembered",
    "core/budget.py:ErrorBudget._times": "test_it_agrees_with_counting_by_hand",
    "core/credit.py:Credit._marks": "test_pings_that_nobody_answers_leave_sixteen_marks",
    "core/inbox.py:Inbox.frames":
        "test_while_a_handler_runs_eight_frames_are_read_ahead_and_no_more",
    "core/liveness.py:Liveness._unanswered":
        "test_of_pings_that_nobody_answers_only_the_latest_are_kept",
    "core/networks.py:read_networks()": "test_caches_have_a_size",
    "core/outbox.py:Outbox._items": "test_close_gives_up_at_either_bound_and_keeps_what_it_has",
    "core/outbox.py:Outbox._by_key": "test_a_key_is_free_again_once_its_frame_was_taken",
    "crowds.py:Crowds._arrivals": "test_rates_that_are_at_rest_are_not_kept",
    "intake.py:Intake._events": "test_a_slow_consumer_keeps_the_oldest_up_to_its_capacity",
    "intake.py:Intake._notices": "test_of_notices_that_nobody_takes_the_latest_two_are_kept",
    "isolation.py:_seen_types": "test_the_memory_of_unknown_events_is_bounded",
    "layers/client.py:LayerClient.groups": "test_one_group_too_many_raises_and_is_not_joined",
    "layers/client.py:LayerClient._unconfirmed": "test_the_limit_holds_in_an_outage",
    "layers/directory.py:Losses._boxes": "test_only_so_many_channels_are_told_apart",
    "layers/hub_client.py:HubClient.groups": "test_one_group_too_many_raises_and_is_not_joined",
    "layers/mailbox.py:Mailbox._events": "test_beyond_its_capacity_the_newest_is_refused",
    "layers/membership.py:Membership._leaves": "test_leaves_have_a_bound",
    "layers/membership.py:_orphans": "test_orphans_are_handed_over_once_and_have_a_bound",
    "origins.py:_parse_trusted()": "test_caches_have_a_size",
    "registry.py:Registry.recent": "test_the_memory_is_bounded_and_keeps_the_latest",
}  # fmt: skip

# As many as the source, the settings or the project's own code have of something. Nobody outside
# can add to them.
FIXED = {
    "conf.py:_cache": "consumer classes and middlewares",
    "conf.py:_report()": "settings that make no sense, one after the other",
    "databases.py:Ledger._connections": "DATABASES",
    "databases.py:ledgers": "threads that have open database connections",
    "databases.py:_visitors": "executors",
    "departure.py:Departure._timers": "three",
    "layers/canary.py:Canary._groups": "hosts of the layer",
    "layers/canary.py:Canary._heard": "hosts of the layer",
    "layers/core_uplink.py:CoreUplink._readers": "prefixes and loops",
    "layers/core_uplink.py:CoreUplink._ending": "prefixes and loops: each waits for the one before",
    "layers/outage.py:Outage.event": "the fields of one event",
    "layers/supervisors.py:_supervisors": "layers and loops",
    "mixins.py:_Mixin.resilience": "options",
    "observers/counts.py:counts": "events and their causes, words of ours",
    "observers/logs.py:_get_logger()": "topics of events",
    "watchdog.py:_works": "methods",
    "watchdog.py:Watchdog._loops": "threads with a loop",
}

# As many as there are connections, their groups or what is under way for them.
LIVING = {
    "connection.py:Connection.readers", "control_socket.py:ControlSocket._answers",
    "core/headcount.py:Headcount._members", "crowds.py:Seat.holders", "crowds.py:Seat.keys",
    "crowds.py:Seat.paid", "crowds.py:Crowds._seats", "intake.py:Intake._waiters",
    "layers/control.py:Control._tasks", "layers/control.py:Control.groups",
    "layers/core_uplink.py:CoreUplink._channels", "layers/core_uplink.py:CoreUplink._lines",
    "layers/directory.py:Directory.channels", "layers/directory.py:Directory.groups",
    "layers/generic_uplink.py:GenericUplink._own", "layers/generic_uplink.py:GenericUplink._groups",
    "layers/generic_uplink.py:GenericUplink._listeners",
    "layers/generic_uplink.py:GenericUplink._ending", "layers/hub.py:Hub.unconfirmed",
    "layers/joins.py:Joins._tasks", "layers/loops.py:Loops._hubs",
    "layers/mailbox.py:Mailbox._receivers", "layers/mailbox.py:Mailbox.groups",
    "layers/membership.py:Membership._members", "layers/membership.py:Membership._pending",
    "layers/shared_receivers.py:SharedReceivers._tasks", "queueing.py:Pool._lines",
    "registry.py:Registry._live", "registry.py:Registry._cleanups", "registry.py:_Cleanups.tasks",
    "tasks.py:TaskGroup._tasks", "wheel.py:Wheel._slots", "wheel.py:Wheel._order",
    "wheel.py:Wheel._timers", "wheel.py:Wheel._watchers", "wheel.py:_wheels",
    "writing.py:Writer._waits",
}  # fmt: skip


def test_of_everything_that_can_grow_somebody_has_said_what_bounds_it():
    assert sorted(find_containers()) == sorted([*LIMITED, *FIXED, *LIVING])


@pytest.mark.parametrize("test", sorted(set(LIMITED.values())))
def test_every_limit_is_proven_by_a_test_that_exists(test: str):
    assert test in all_tests()


def all_tests() -> set[str]:
    """The names of all tests of the suite."""
    if not _tests:
        for path in TESTS.rglob("test_*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    _tests.add(node.name)
    return _tests


_tests: set[str] = set()


# --- as long as the connections, and no longer ------------------------------------------------


class Member(AsyncWebsocketConsumer):
    """Joins groups, sends, spawns and fails, as it is told."""

    groups = ["everybody"]

    async def connect(self):
        await self.accept()
        await self.channel_layer.group_add(f"own-{id(self)}", self.channel_name)
        self.resilient.spawn(asyncio.sleep(3600))

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "fail":
            raise LookupError(text_data)
        await self.safe_send("x" * 100, wait=False)

    async def chat_message(self, event):
        await self.safe_send("heard", wait=False)


OPTIONS = {
    "LIMITS": {"connections_per_address": 1000, "new_per_second": 1000.0, "rate": 1000.0},
    "HEARTBEAT": {"interval": 1.0},
    "LIFETIME": {"idle_timeout": 600.0, "max_age": 3600.0},
    "HANDLER": {"deadline": 60.0},
}
CONSUMER = build(Member, **OPTIONS)


async def lives(many: int) -> None:
    visits = [
        Visit(CONSUMER, subprotocols=[V1][: number % 2], client=(f"192.0.2.{number}", 1))
        for number in range(many)
    ]
    await settle(1)
    for number, visit in enumerate(visits):
        visit.client_sends(control(type="hello", version=1))
        visit.client_sends(control(type="ping", n=number))
        visit.client_sends("fail" if number % 3 else "send")
        visit.client_sends(b"binary")
    layer = get_channel_layer()
    await layer.group_send("everybody", {"type": "chat.message"})
    await layer.group_send("everybody", {"type": f"unknown.{many}"})
    await broadcast("everybody", {"n": 1}, type="chat.message")
    await settle(3)
    for number, visit in enumerate(visits):
        if number % 4 == 0:
            visit.client_vanishes()
        elif number % 4 == 1:
            visit.client_closes(4000)
        elif number % 4 == 2:
            visit.task.cancel()
        else:
            await visit.consumer.close(4001)
    await asyncio.gather(*(visit.ended() for visit in visits))
    await settle(2 * 3600)  # until the last moment that a timer was ever set for


def measure() -> Counter[str]:
    """How much is in all containers of each kind, wherever they are."""
    gc.collect()
    things = [thing for thing in gc.get_objects() if is_ours(type(thing))]
    return Counter({place: sum(map(len, find_all(place, things))) for place in sorted(LIVING)})


def is_ours(cls: type) -> bool:
    module = cls.__module__
    return isinstance(module, str) and module.startswith("resilient_channels")


def find_all(place: str, things: list[Any]) -> Iterator[Any]:
    path, name = place.split(":")
    module = path.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
    owner, _, attribute = name.rpartition(".")
    found = import_module(f"resilient_channels.{module}")
    cls = getattr(found, owner) if owner else None
    holders = (
        [found] if cls is None else [thing for thing in things if issubclass(type(thing), cls)]
    )
    for holder in holders:
        container = getattr(holder, attribute, None)
        if container is not None:
            yield container


LAYERS = {
    "plain": lambda: make_layer(BARE),
    "hub alone": ResilientChannelLayer,
    "hub": lambda: around(make_layer(GENERIC)),
    "hub on core": lambda: around(make_layer(CORE)),
}


@pytest.fixture
def memory() -> Iterator[None]:
    """Nothing is hidden from us, and nothing logged: pytest would keep each record for us, with
    its traceback and all that hangs on it."""
    logging.disable()
    gc.unfreeze()  # what was made before the first test counts, too
    yield
    gc.collect()
    gc.freeze()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("kind", LAYERS)
def test_what_connections_fill_is_empty_again_when_they_are_gone(kind: str, memory):
    async def come_and_go() -> Counter[str]:
        await lives(4)
        before = measure()
        await lives(40)
        return measure() - before

    with installed(LAYERS[kind]()):
        assert run(come_and_go(), clocks=True) == Counter()


@pytest.mark.parametrize("kind", LAYERS)
def test_event_loops_that_come_and_go_leave_nothing(kind: str, memory):
    with installed(LAYERS[kind]()):
        for _ in range(2):  # what is kept of the loop before the last one is there, too
            run(lives(4), clocks=True)
        before = measure()

        for _ in range(3):
            run(lives(4), clocks=True)

        assert measure() - before == Counter()


# --- limits that no other test has as its subject ----------------------------------------------


def test_caches_have_a_size():
    from resilient_channels import origins
    from resilient_channels.core import networks

    for cached in (networks.read_networks, origins._parse_trusted):
        assert 0 < cached.cache_info().maxsize <= 128


def test_a_type_too_long_to_be_a_name_is_not_remembered(monkeypatch):
    remembered: dict[str, str] = {}
    monkeypatch.setattr(compat, "_handler_names", remembered)

    compat.find_handler_name({"type": "x" * compat.MAX_REMEMBERED_TYPE})
    name = compat.find_handler_name({"type": "y" * 1_000_000})

    assert name == "y" * 1_000_000
    assert list(remembered) == ["x" * compat.MAX_REMEMBERED_TYPE]


@virtual
async def test_a_client_that_asks_and_does_not_read_has_32_answers_waiting():
    client = await greeted(build(Listener))
    client.on_send = hang  # it does not read: the server's send waits
    for second in range(10):
        for number in range(30):
            client.client_sends(control(type="ping", n=f"{second}-{number}"))
        await settle(1)

    waiting = client.consumer._resilient_driver._answers._waiting

    assert len(waiting) == MAX_WAITING == 32
    assert '"9-19"' in waiting[-1]
    await client.leave()


def hang(message: Any) -> Any:
    return asyncio.sleep(3600)


def test_pings_that_nobody_answers_leave_sixteen_marks():
    credit = Credit(1000, lambda: None)
    for number in range(1000):
        credit.asked(number)

    assert len(credit._marks) == 16


@virtual
async def test_of_notices_that_nobody_takes_the_latest_two_are_kept():
    visit = await open_visit(build(Listener))
    visit.client_sends("work 60")
    await settle()
    intake = visit.consumer._resilient_driver.intake

    for number in range(1000):
        intake.post({"type": "layer.down", "number": number})

    assert [notice["number"] for notice in intake._notices] == [998, 999]
    await visit.leave()
