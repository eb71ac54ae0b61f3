"""Events as log records: a constant message, fields in ``extra``, nothing unescaped."""

import logging
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

import pytest

from resilient_channels.core import events
from resilient_channels.core.events import EVENTS, Event
from resilient_channels.observers import notify
from resilient_channels.observers.logs import (
    MAX_VALUE_LENGTH,
    ROOT,
    FieldsFormatter,
    escape,
    log_event,
)

BOOM = ValueError("boom")
SAMPLES: dict[str, Any] = {
    "str": "text",
    "int": 3,
    "float": 1.5,
    "float | None": None,
    "int | None": None,
    "bool": True,
    "BaseException": BOOM,
}

ELSEWHERE = ("exception", "stack")  # where logging itself keeps them

every_event = pytest.mark.parametrize("event_class", EVENTS, ids=lambda event: event.name)


def sample(event_class: type[Event]) -> Event:
    assert all(option.default is MISSING for option in fields(event_class))
    return event_class(**{option.name: SAMPLES[str(option.type)] for option in fields(event_class)})


class Collector(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    caplog.set_level(logging.DEBUG, logger=ROOT)
    collector = Collector()
    logging.getLogger(ROOT).addHandler(collector)
    yield collector.records
    logging.getLogger(ROOT).removeHandler(collector)


def record_with(message: str = "event", **extra: Any) -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": ROOT})
    vars(record).update(extra)
    return record


# --- records ---------------------------------------------------------------------------------


@every_event
def test_the_message_is_the_events_name(event_class: type[Event], records):
    log_event(sample(event_class))

    [record] = records
    assert record.getMessage() == record.msg == event_class.name
    assert not record.args


@every_event
def test_the_level_and_the_logger_are_the_events(event_class: type[Event], records):
    log_event(sample(event_class))

    [record] = records
    assert record.levelno == event_class.level
    assert record.name == f"resilient_channels.{event_class.topic}"


@every_event
def test_every_field_is_an_attribute_of_the_record(event_class: type[Event], records):
    event = sample(event_class)

    log_event(event)

    [record] = records
    for option in fields(event):
        if option.name not in ELSEWHERE:
            assert getattr(record, option.name) == getattr(event, option.name)


@every_event
def test_an_exception_goes_where_logging_keeps_tracebacks(event_class: type[Event], records):
    has_exception = "exception" in {option.name for option in fields(event_class)}

    log_event(sample(event_class))

    [record] = records
    assert not hasattr(record, "exception")
    assert record.exc_info == ((ValueError, BOOM, None) if has_exception else None)


@every_event
def test_a_stack_goes_where_logging_keeps_stacks(event_class: type[Event], records):
    has_stack = "stack" in {option.name for option in fields(event_class)}

    log_event(sample(event_class))

    [record] = records
    assert not hasattr(record, "stack")
    assert record.stack_info == ("text" if has_stack else None)


def test_a_level_that_nobody_listens_to_costs_no_record(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, logger=ROOT)

    log_event(sample(events.ConnectionOpened))

    assert caplog.records == []


def test_the_log_is_told_of_every_event(records):
    notify(sample(events.LayerDown))

    assert [record.msg for record in records] == ["layer.down"]


def test_a_project_without_logging_configuration_still_sees_a_bug():
    """Symptom: a handler's exception was shown nowhere, where plain Channels prints it."""
    assert logging.getLogger(ROOT).handlers == []


# --- escaping --------------------------------------------------------------------------------

DANGEROUS = {
    "line feed": "a\nb",
    "carriage return": "a\rb",
    "both": "a\r\nERROR forged",
    "escape sequence": "\x1b[2J\x1b[31mred",
    "C1 escape": "\x9b31m",
    "backspace": "a\x08b",
    "zero": "a\x00b",
    "delete": "a\x7f",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "right-to-left override": "a\u202eb",
    "isolate": "a\u2066b",
    "zero width space": "a\u200bb",
    "byte order mark": "\ufeffa",
    "lone surrogate": "a\ud83d",
    "tab": "a\tb",
}


@pytest.mark.parametrize("text", DANGEROUS.values(), ids=DANGEROUS)
def test_nothing_unprintable_is_left(text: str):
    escaped = escape(text)

    assert escaped.isprintable()
    assert "\\" in escaped
    escaped.encode()


@pytest.mark.parametrize("text", ["", "chat.message", "with space", "größer als 3 €", "日本語"])
def test_what_is_printable_stays_readable(text: str):
    assert escape(text) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "None"), (3, "3"), (1.5, "1.5"), (True, "True"), (b"a\n", "b'a\\n'")]
)
def test_any_value_becomes_text(value: object, text: str):
    assert escape(value) == text


def test_a_value_of_the_longest_length_is_kept_whole():
    text = "x" * MAX_VALUE_LENGTH

    assert escape(text) == text


@pytest.mark.parametrize(
    "text",
    ["x" * 201, "x" * 10_000_000, "\x00" * 200, "\U0001f600\n" * 200, "\u202e" * 150],
    ids=["one over", "ten million", "escapes", "mixed", "bidi"],
)
def test_no_value_takes_more_than_the_longest_length(text: str):
    escaped = escape(text)

    assert len(escaped) <= MAX_VALUE_LENGTH + len("...")
    assert escaped.endswith("...")
    assert escaped.isprintable()


# --- the formatter ---------------------------------------------------------------------------


def test_fields_follow_the_message():
    formatter = FieldsFormatter("%(levelname)s %(message)s")
    record = record_with("layer.up", alias="default", downtime=3.2, groups=7)

    line = formatter.format(record)

    assert line == "INFO layer.up alias=default downtime=3.2 groups=7"


def test_a_record_without_fields_is_formatted_as_ever():
    formatter = FieldsFormatter("%(levelname)s %(message)s")
    record = logging.makeLogRecord({"msg": "plain %s", "args": ("text",), "levelname": "INFO"})

    assert formatter.format(record) == "INFO plain text"


@pytest.mark.parametrize("text", DANGEROUS.values(), ids=DANGEROUS)
def test_a_line_stays_one_line_whatever_a_field_holds(text: str):
    line = FieldsFormatter().format(record_with(type=text))

    assert line.isprintable()
    assert line.startswith("event type=")


def test_a_long_value_is_cut():
    line = FieldsFormatter().format(record_with(type="x" * 5000))

    assert len(line) < 250


def test_the_record_is_left_as_it_was_for_other_handlers():
    record = record_with("layer.up", alias="default")
    before = dict(vars(record))

    FieldsFormatter("%(message)s").format(record)

    assert record.msg == before["msg"]
    assert {key: vars(record)[key] for key in before} == before


def test_a_percent_sign_in_a_field_is_no_format():
    line = FieldsFormatter("%(message)s").format(record_with(type="100%s %d"))

    assert line == 'event type="100%s %d"'


def test_a_traceback_follows_the_line():
    record = record_with("handler.error", handler="chat.message")
    record.exc_info = (ValueError, BOOM, None)

    line, *traceback = FieldsFormatter("%(message)s").format(record).splitlines()

    assert line == "handler.error handler=chat.message"
    assert traceback[-1] == "ValueError: boom"


@every_event
def test_every_event_can_be_formatted(event_class: type[Event], records):
    event = sample(event_class)
    log_event(event)

    first = FieldsFormatter("%(message)s").format(records[0]).splitlines()[0]

    assert first.startswith(event_class.name)
    for option in fields(event):
        if option.name not in ELSEWHERE:
            assert f"{option.name}={getattr(event, option.name)}" in first


def test_a_stack_follows_the_line(records):
    log_event(sample(events.HandlerStalled))

    line, *stack = FieldsFormatter("%(message)s").format(records[0]).splitlines()

    assert line.startswith("handler.stalled ")
    assert "text" not in line.replace("=text", "")
    assert stack == ["text"]


def test_the_time_a_task_and_the_standard_attributes_are_no_fields():
    record = logging.getLogger(ROOT).makeRecord(ROOT, 20, "f.py", 1, "event", (), None)

    line = FieldsFormatter("%(asctime)s %(message)s").format(record)

    assert line.endswith(" event")
