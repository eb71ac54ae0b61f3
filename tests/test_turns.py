"""Who is sending: a handler, a task that outlived one, or a ``safe_send``."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from resilient_channels.core.outcomes import SendOutcome
from resilient_channels.turns import (
    Ticket,
    collect_outcome,
    current_ticket,
    handler_turn,
    is_in_handler,
)
from support.loop import virtual

# --- turns -----------------------------------------------------------------------------------


def test_outside_of_a_handler_there_is_no_turn():
    assert not is_in_handler()


def test_a_turn_lasts_as_long_as_its_handler():
    with handler_turn():
        assert is_in_handler()

    assert not is_in_handler()


def test_a_turn_ends_when_its_handler_fails():
    with pytest.raises(ValueError, match="boom"), handler_turn():
        raise ValueError("boom")

    assert not is_in_handler()


def test_a_turn_within_a_turn_gives_the_outer_one_back():
    with handler_turn():
        with handler_turn():
            pass
        assert is_in_handler()


@virtual
async def test_a_task_that_a_handler_started_shares_its_turn():
    async def ask() -> bool:
        return is_in_handler()

    with handler_turn():
        assert await asyncio.create_task(ask())


@virtual
async def test_a_task_that_outlives_its_handler_has_no_turn_any_more():
    async def ask_later() -> bool:
        await asyncio.sleep(1)
        return is_in_handler()

    with handler_turn():
        task = asyncio.create_task(ask_later())

    assert await task is False


@virtual
async def test_an_outlived_turn_is_not_revived_by_the_next_one():
    async def ask_later() -> bool:
        await asyncio.sleep(1)
        return is_in_handler()

    with handler_turn():
        task = asyncio.create_task(ask_later())
    with handler_turn():
        assert await task is False


@virtual
async def test_a_thread_of_a_handler_shares_its_turn():
    with handler_turn():
        assert await sync_to_async(is_in_handler)()

    assert not await sync_to_async(is_in_handler)()


@virtual
async def test_a_task_that_no_handler_started_has_no_turn():
    async def ask() -> bool:
        return is_in_handler()

    task = asyncio.create_task(ask())

    with handler_turn():
        assert await task is False


# --- tickets ---------------------------------------------------------------------------------


def test_a_send_that_nothing_was_said_about_was_sent():
    with collect_outcome() as ticket:
        pass

    assert ticket.outcome is SendOutcome.SENT


@pytest.mark.parametrize("outcome", SendOutcome)
def test_a_ticket_has_what_was_noted(outcome: SendOutcome):
    ticket = Ticket()

    ticket.note(outcome)

    assert ticket.outcome is outcome


def test_the_first_failure_is_kept():
    ticket = Ticket()

    for outcome in (SendOutcome.SENT, SendOutcome.TIMED_OUT, SendOutcome.CLOSED):
        ticket.note(outcome)

    assert ticket.outcome is SendOutcome.TIMED_OUT


@pytest.mark.parametrize("success", [SendOutcome.SENT, SendOutcome.QUEUED])
def test_a_later_success_does_not_make_up_for_a_failure(success: SendOutcome):
    ticket = Ticket()

    ticket.note(SendOutcome.DROPPED)
    ticket.note(success)

    assert ticket.outcome is SendOutcome.DROPPED


def test_only_the_innermost_ticket_is_written_on():
    with collect_outcome() as outer:
        with collect_outcome() as inner:
            written_on = current_ticket.get()
            assert written_on is inner
            written_on.note(SendOutcome.CLOSED)
        assert current_ticket.get() is outer

    assert current_ticket.get() is None
    assert (outer.outcome, inner.outcome) == (SendOutcome.SENT, SendOutcome.CLOSED)


def test_a_ticket_is_handed_in_when_the_send_raises():
    with pytest.raises(TypeError, match="boom"), collect_outcome():
        raise TypeError("boom")

    assert current_ticket.get() is None


@virtual
async def test_tasks_collect_on_tickets_of_their_own():
    async def send(outcome: SendOutcome) -> SendOutcome:
        with collect_outcome() as ticket:
            await asyncio.sleep(1)
            written_on = current_ticket.get()
            assert written_on is not None
            written_on.note(outcome)
        return ticket.outcome

    outcomes = await asyncio.gather(*map(send, SendOutcome))

    assert outcomes == list(SendOutcome)
