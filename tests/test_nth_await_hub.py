"""On a hub, too: whatever fails, and whichever await is cancelled, nothing is left.

The same consumers and promises as on a bare layer. Beyond them: nobody stays in a group of the
wrapped layer, nor in the one of all hubs.
"""

import asyncio

import pytest

from resilient_channels.layers.control import CONTROL_GROUP
from support.faults import HANG
from support.hubs import CORE, GENERIC, KINDS, around
from support.layers import installed
from support.nth_await import cancel_at_each_await, fail_at_each_call
from support.scripted import ApplicationEnded, ScriptedServer
from support.servers import Daphne, Uvicorn
from test_nth_await import (
    TEARDOWN,
    Recorder,
    check,
    client_closes,
    client_vanishes,
    make_application,
)

STYLES = [Uvicorn(), Daphne()]
GROUPS = ("declared", "joined")


def make_scenario(setup, colour, style, ending, recorders):
    async def scenario(stage):
        recorder = Recorder()
        recorders.append(recorder)
        layer = recorder.layer = KINDS[setup](stage.faults)
        with installed(around(layer)):
            server = recorder.server = ScriptedServer(style=style, faults=stage.faults)
            stage.application = server.start(make_application(colour, recorder))
            try:
                async with asyncio.timeout(40):  # a fault may swallow an answer
                    server.client_connects()
                    await server.next_sent()
                    server.client_sends('"hello"')
                    await server.next_sent()
                    await asyncio.sleep(2.5)
            except (ApplicationEnded, TimeoutError):
                pass
            ending(server)
            await server.ended()
            recorder.members = {name for name in GROUPS if layer.members(name)}
            # What the layer did not take in time is tried again behind the connection.
            await asyncio.sleep(30)
            # A probe that could not say goodbye is left to whoever comes next, or to expire.
            recorder.members_later = set(layer.all_groups) & {*GROUPS, CONTROL_GROUP}

    return scenario


@pytest.mark.parametrize("ending", [client_closes, client_vanishes])
@pytest.mark.parametrize("colour", ["async", "sync"])
@pytest.mark.parametrize("setup", [GENERIC, CORE])
def test_cancelled_at_any_await_it_disconnects_once_and_leaves_nothing(setup, colour, ending):
    recorders = []
    scenario = make_scenario(setup, colour, STYLES[0], ending, recorders)

    for _, outcome in cancel_at_each_await(scenario):
        check(outcome, recorders[-1])
        assert outcome.ended in ("cancelled", "returned"), outcome
        assert outcome.virtual_seconds < 40 + 30 + TEARDOWN + 3, outcome
        assert recorders[-1].members_later == set(), outcome


@pytest.mark.parametrize(
    ("fault", "calls"),
    [(OSError, "server."), (RuntimeError, "server."), (HANG, "server.send")],
)
@pytest.mark.parametrize("style", STYLES, ids=lambda style: type(style).__name__)
@pytest.mark.parametrize("setup", [GENERIC, CORE])
def test_a_server_that_fails_at_any_call_gets_one_disconnect(setup, style, fault, calls):
    recorders = []
    scenario = make_scenario(setup, "async", style, client_closes, recorders)

    for _, outcome in fail_at_each_call(scenario, fault, only=calls):
        check(outcome, recorders[-1])
        assert outcome.ended == "returned", outcome
        assert recorders[-1].members_later == set(), outcome


@pytest.mark.parametrize("fault", [ConnectionError, RuntimeError, AttributeError, TypeError, HANG])
@pytest.mark.parametrize("colour", ["async", "sync"])
@pytest.mark.parametrize("setup", [GENERIC, CORE])
def test_a_layer_that_fails_at_any_call_ends_nothing_and_keeps_nobody(setup, colour, fault):
    recorders = []
    scenario = make_scenario(setup, colour, STYLES[0], client_closes, recorders)

    for _, outcome in fail_at_each_call(scenario, fault, only="layer."):
        recorder = recorders[-1]
        if fault is HANG and outcome.where == "layer.clean":
            assert "_perform" in outcome.problems.pop()  # the task that hangs is the layer's own
        check(outcome, recorder)
        assert outcome.ended == "returned", outcome
        # A call that hangs ends its handler with LayerUnavailable; one that fails is made again.
        if fault is not HANG or outcome.where != "layer.group_send":
            texts = [sent.get("text") for sent in recorder.server.sent_of_type("websocket.send")]
            assert '"hello"' in texts, outcome
        assert recorder.members_later == set(), outcome


# --- a caller of the layer itself, beside somebody who is to notice nothing --------------------


def make_calls(setup, calls):
    """One who does *calls* and is hit, and a neighbour in the same group."""

    async def scenario(stage):
        layer = KINDS[setup](stage.faults)
        hub = around(layer)
        neighbour = await hub.new_channel()
        await hub.group_add("room", neighbour)
        await asyncio.sleep(1)
        stage.application = asyncio.ensure_future(calls(hub, layer.neighbour()))
        await asyncio.wait({stage.application}, timeout=30)
        stage.application.cancel()
        await asyncio.wait({stage.application})
        await asyncio.sleep(15)
        await layer.neighbour().group_send("room", {"type": "still there"})
        async with asyncio.timeout(1):
            while (await hub.receive(neighbour))["type"] != "still there":
                pass
        await hub.close()
        await asyncio.sleep(3)
        stage.notes.append(set(layer.all_groups))

    return scenario


async def one_who_joins(hub, outside):
    channel = await hub.new_channel()
    await hub.group_add("room", channel)
    await hub.group_add("hall", channel)
    await outside.group_send("hall", {"type": "news"})
    await hub.receive(channel)
    await hub.group_send("hall", {"type": "news"})
    await hub.group_discard("hall", channel)
    await hub.group_discard("room", channel)


async def one_who_works(hub, outside):
    await outside.send("work", {"type": "job"})
    await hub.receive("work")
    await hub.send("work", {"type": "job"})
    await hub.receive("work")
    await hub.receive("work")  # nothing comes any more


@pytest.mark.parametrize("calls", [one_who_joins, one_who_works])
@pytest.mark.parametrize("setup", [GENERIC, CORE])
def test_a_caller_that_is_cancelled_at_any_await_hurts_no_neighbour(setup, calls):
    scenario = make_calls(setup, calls)

    for _, outcome in cancel_at_each_await(scenario):
        assert outcome.scenario_error is None, outcome
        assert outcome.problems == [], outcome
        assert outcome.notes == [set()], outcome


@pytest.mark.parametrize("fault", [ConnectionError, HANG])
@pytest.mark.parametrize("calls", [one_who_joins, one_who_works])
@pytest.mark.parametrize("setup", [GENERIC, CORE])
def test_a_layer_that_fails_a_caller_at_any_call_hurts_no_neighbour(setup, calls, fault):
    scenario = make_calls(setup, calls)

    for _, outcome in fail_at_each_call(scenario, fault, only="layer.group"):
        assert outcome.scenario_error is None, outcome
        assert outcome.problems == [], outcome
        left = {name for name in outcome.notes[0] if not name.startswith("rc.")}
        assert left == set(), outcome
