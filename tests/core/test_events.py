"""Events: named once, levelled by whose trouble it is, and safe to put into a log record."""

import logging
from dataclasses import fields

import pytest

from resilient_channels.core import events
from resilient_channels.core.events import EVENTS, ConnectionEvent, Event

PUBLISHED = {
    "connection.opened": "INFO",
    "connection.refused": "INFO",
    "connection.replaced": "INFO",
    "origin.refused": "WARNING",
    "connection.closed": "INFO",
    "connection.step": "DEBUG",
    "heartbeat.timeout": "INFO",
    "control.ignored": "INFO",
    "loop.stalled": "WARNING",
    "send.dropped": "DEBUG",
    "send.timeout": "INFO",
    "outbox.overflow": "INFO",
    "inbox.full": "WARNING",
    "limit.exceeded": "INFO",
    "input.rejected": "WARNING",
    "handler.error": "ERROR",
    "handler.overdue": "WARNING",
    "handler.stalled": "WARNING",
    "handler.cut_off": "WARNING",
    "event.unhandled": "WARNING",
    "task.error": "ERROR",
    "teardown.error": "ERROR",
    "layer.down": "WARNING",
    "layer.up": "INFO",
    "layer.membership_lost": "WARNING",
    "layer.join_failed": "WARNING",
    "layer.call_failed": "INFO",
    "layer.overflow": "WARNING",
    "notify.failed": "WARNING",
    "drain.began": "INFO",
    "drain.ended": "INFO",
    "drain.skipped": "INFO",
    "drain.unreachable": "WARNING",
}

RECORD_ATTRIBUTES = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}

every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)


def test_every_event_class_is_listed_once():
    concrete = {
        cls
        for cls in vars(events).values()
        if isinstance(cls, type) and issubclass(cls, Event) and "name" in vars(cls)
    }

    assert set(EVENTS) == concrete - {Event}
    assert len(EVENTS) == len(set(EVENTS))


def test_no_event_goes_unpublished():
    assert {event.name for event in EVENTS} == set(PUBLISHED)


@pytest.mark.parametrize(("name", "level"), PUBLISHED.items())
def test_a_published_event_keeps_its_name_and_level(name: str, level: str):
    [event] = [event for event in EVENTS if event.name == name]

    assert logging.getLevelName(event.level) == level


def test_names_are_unique():
    assert len({event.name for event in EVENTS}) == len(EVENTS)


@every_event
def test_an_event_belongs_to_one_of_six_loggers(event: type[Event]):
    assert event.topic in {"connection", "heartbeat", "send", "handler", "layer", "drain"}


@every_event
def test_every_field_is_documented(event: type[Event]):
    assert all(option.metadata["doc"].strip().endswith(".") for option in fields(event))


@every_event
def test_no_field_overwrites_an_attribute_of_a_log_record(event: type[Event]):
    names = {option.name for option in fields(event)}

    assert not names & RECORD_ATTRIBUTES


@every_event
def test_whatever_brings_an_exception_is_an_error_and_the_reverse(event: type[Event]):
    has_exception = "exception" in {option.name for option in fields(event)}

    assert has_exception is (event.level == events.ERROR)


@every_event
def test_events_of_a_connection_say_which_and_whose(event: type[Event]):
    names = {option.name for option in fields(event)}

    assert ({"connection", "consumer"} <= names) is issubclass(event, ConnectionEvent)


@pytest.mark.parametrize("name", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_the_levels_are_those_of_the_standard_library(name: str):
    assert getattr(events, name) == getattr(logging, name)


def test_a_fact_cannot_be_changed():
    event = events.LayerUp(alias="default", downtime=1.0, groups=0)

    with pytest.raises(AttributeError):
        event.groups = 1  # type: ignore[misc]
