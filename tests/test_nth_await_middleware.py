"""Behind the middleware, too: whatever fails, and whichever await is cancelled, nothing is left."""

import asyncio

import pytest

from resilient_channels import ResilientMiddleware
from resilient_channels.core.wire import MARK
from resilient_channels.registry import registry
from resilient_channels.wheel import get_wheel
from shells.mounts import nothing, receiving_first, wrapping_both, wrapping_send
from support.faults import HANG
from support.nth_await import cancel_at_each_await, fail_at_each_call
from support.scripted import ApplicationEnded
from support.servers import Daphne, Uvicorn
from support.unasync import sync_twin
from test_nth_await_heartbeat import (
    LONGEST,
    RESILIENCE,
    SUBJECTS,
    AnsweringServer,
    Subject,
    client_closes,
    client_freezes,
    client_vanishes,
)

PLAIN = {"async": Subject, "sync": sync_twin(Subject)}


def mount(application):
    return ResilientMiddleware(application, resilience=RESILIENCE)


def make_scenario(application, style, ending):
    async def scenario(stage):
        notes = stage.notes
        server = AnsweringServer(
            style=style, faults=stage.faults, subprotocols=["resilient.v1"], notes=notes
        )
        stage.application = server.start(mount(application))
        try:
            async with asyncio.timeout(40):  # a fault may swallow an answer
                server.client_connects()
                await server.next_sent()
                server.client_sends("hello")
                server.client_sends(MARK + '{"type":"ping","n":"mine"}')
                await server.next_sent()
                await asyncio.sleep(2.5)
        except (ApplicationEnded, TimeoutError):
            pass
        ending(server)
        started = asyncio.get_running_loop().time()
        await server.ended()
        took = asyncio.get_running_loop().time() - started
        await asyncio.sleep(10)
        left = len(get_wheel(asyncio.get_running_loop())) + len(registry)
        was_accepted = bool(server.sent_of_type("websocket.accept"))
        notes.append((was_accepted, took, left))

    return scenario


def check(outcome, *, was_told):
    """The promises that hold whatever happened."""
    assert outcome.problems == [], outcome
    *notes, (was_accepted, took, left) = outcome.notes
    assert left == 0, outcome
    assert took <= LONGEST, outcome
    assert notes.count("disconnect") <= 1, outcome
    assert notes.count("ended") <= 1, outcome
    if was_told and was_accepted and "accepted" in notes:
        assert notes.count("disconnect") == 1, outcome


each_ending = pytest.mark.parametrize("ending", [client_closes, client_vanishes, client_freezes])
each_style = pytest.mark.parametrize("style", [Uvicorn(), Daphne()], ids=lambda style: style.name)
both_colours = pytest.mark.parametrize("colour", ["async", "sync"])
in_between = pytest.mark.parametrize(
    "wrap", [nothing, wrapping_send, wrapping_both, receiving_first], ids=lambda wrap: wrap.__name__
)


@each_ending
@each_style
@both_colours
def test_a_plain_application_cancelled_at_any_await_leaves_nothing(colour, style, ending):
    scenario = make_scenario(PLAIN[colour].as_asgi(), style, ending)
    for _, outcome in cancel_at_each_await(scenario):
        check(outcome, was_told=False)
        assert outcome.ended in ("cancelled", "returned"), outcome


@pytest.mark.parametrize("fault", [OSError, HANG], ids=str)
@each_ending
@each_style
@both_colours
def test_a_plain_application_is_told_of_the_end_whatever_the_server_does(
    colour, style, ending, fault
):
    """What it does when a send raises is its own affair; here none does, for a peer that left."""
    scenario = make_scenario(PLAIN[colour].as_asgi(), style, ending)
    for _, outcome in fail_at_each_call(scenario, fault, "server."):
        check(outcome, was_told=True)
        assert outcome.ended == "returned", outcome


@in_between
@both_colours
def test_a_resilient_one_cancelled_at_any_await_ends_once(colour, wrap):
    scenario = make_scenario(wrap(SUBJECTS[colour].as_asgi()), Uvicorn(), client_closes)
    for _, outcome in cancel_at_each_await(scenario):
        check(outcome, was_told=wrap in (nothing, wrapping_send))
        assert outcome.ended in ("cancelled", "returned"), outcome


@pytest.mark.parametrize("fault", [OSError, RuntimeError, HANG], ids=str)
@in_between
@each_style
def test_a_resilient_one_is_told_of_the_end_whatever_the_server_does(style, wrap, fault):
    scenario = make_scenario(wrap(SUBJECTS["async"].as_asgi()), style, client_closes)
    for _, outcome in fail_at_each_call(scenario, fault, "server."):
        check(outcome, was_told=True)
        assert outcome.ended == "returned", outcome
