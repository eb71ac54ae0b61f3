"""Events as log records: the event's name is the message, its fields are in ``extra``."""

from __future__ import annotations

import logging
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.events import Event

ROOT = "resilient_channels"
MAX_VALUE_LENGTH = 200

_root_logger = logging.getLogger(ROOT)


@cache
def _get_logger(topic: str) -> logging.Logger:
    return _root_logger.getChild(topic)


def escape(value: object) -> str:
    """*value* as one printable line of at most 200 characters, whatever it holds."""
    try:
        text = str(value)[: MAX_VALUE_LENGTH + 1]
    except Exception as error:  # noqa: BLE001  # an int of 5,000 digits, any object of a project
        text = f"({type(value).__name__} without a text: {type(error).__name__})"
    if not text.isprintable():
        text = text.encode("unicode_escape").decode("ascii")
    if len(text) > MAX_VALUE_LENGTH:
        text = text[: MAX_VALUE_LENGTH - 3] + "..."
    return text


def log_event(event: Event) -> None:
    """Write one record, if anybody listens to its level."""
    logger = _get_logger(event.topic)
    if not logger.isEnabledFor(event.level):
        return
    extra = {option.name: getattr(event, option.name) for option in fields(event)}
    exception = extra.pop("exception", None)
    stack = extra.pop("stack", None)
    if stack is None:
        logger.log(event.level, event.name, exc_info=exception, extra=extra)
    else:
        given = (logger.name, event.level, __file__, 0, event.name, (), None)
        logger.handle(logger.makeRecord(*given, extra=extra, sinfo=stack))


def _quote(text: str) -> str:
    """*text*, in quotes if it could be taken for more than one value."""
    if text and not any(character in text for character in ' ="'):
        return text
    return '"' + text.replace('"', r"\"") + '"'


class FieldsFormatter(logging.Formatter):
    """Formats a record as ``event key=value key=value``, values escaped.

    For development and for plain log files; the documentation has a recipe for JSON.
    """

    _standard = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

    def format(self, record: logging.LogRecord) -> str:
        """The usual format, with the record's own fields after the message."""
        extra = [
            f"{key}={_quote(escape(value))}"
            for key, value in vars(record).items()
            if key not in self._standard
        ]
        if not extra:
            return super().format(record)
        # A copy, because other handlers format the same record.
        described = logging.makeLogRecord(vars(record))
        described.msg, described.args = f"{record.getMessage()} {' '.join(extra)}", None
        return super().format(described)
