"""What ``if await self.safe_send(...)`` means."""

from resilient_channels.core.outcomes import SendOutcome


def test_only_what_is_on_its_way_is_true():
    assert {outcome.name for outcome in SendOutcome if outcome} == {"SENT", "QUEUED"}


def test_there_are_exactly_five_outcomes():
    names = {outcome.name for outcome in SendOutcome}

    assert names == {"SENT", "QUEUED", "CLOSED", "DROPPED", "TIMED_OUT"}
