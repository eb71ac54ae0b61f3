"""What a failed handler means: whose fault it was, what is logged, whether it closes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import compat
from .core import events
from .core.budget import ErrorBudget
from .core.codes import CloseCode
from .core.inbox import frame_size
from .exceptions import LayerUnavailable, is_mere_departure
from .observers import notify
from .observers.logs import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .core.policies import ErrorsPolicy

MAX_SEEN_TYPES = 1000

# Event types already reported, per consumer class: during a rolling deploy every connection of
# every process may meet the same unknown type.
_seen_types: dict[tuple[str, str], None] = {}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a failure.

    Attributes:
        close_code: Close with this code; ``None`` to carry on.
        reply: Text for the client.
        is_bug: Whether the ``on_error`` hook should hear of it.
    """

    close_code: int | None = None
    reply: str | None = None
    is_bug: bool = False


IGNORE = Verdict()


class FrameTooDeep(ValueError):
    """A client's JSON is nested deeper than it may be; it was not parsed."""


class ErrorJudge:
    """Judges one connection's failures against its budget."""

    def __init__(
        self,
        who: Mapping[str, str],
        policy: ErrorsPolicy,
        clock: Callable[[], float],
        is_layer_down: Callable[[], bool],
    ) -> None:
        self._who = who
        self._policy = policy
        self._clock = clock
        self._is_layer_down = is_layer_down
        self._budget = ErrorBudget(policy.budget, policy.window)

    def judge(
        self, error: BaseException, message: Mapping[str, Any], *, from_layer: bool
    ) -> Verdict:
        """Log a failure once, count it if it counts, and say what follows."""
        if is_mere_departure(error):
            return IGNORE  # the handler learned that its client has gone; nothing is wrong
        unavailable = find_layer_failure(error)
        if unavailable is not None:
            self.report_layer_failure(unavailable, message)
            return Verdict(reply=None if from_layer else self._policy.error_reply, is_bug=True)
        if from_layer:
            fault = compat.find_event_fault(error)
            if fault is not None:
                self.report_unhandled(message, fault)
                return IGNORE
        else:
            input_fault = _find_input_fault(error)
            if input_fault is not None:
                return self._judge_input(error, message, input_fault)
        return self._judge_bug(error, message, from_layer=from_layer)

    def report_unhandled(self, message: Mapping[str, Any], cause: str) -> None:
        """Log an event that nobody handles, once per type and consumer class."""
        kind = escape(message.get("type", "(none)"))
        key = (self._who["consumer"], kind)
        if key in _seen_types:
            return
        if len(_seen_types) >= MAX_SEEN_TYPES:
            _seen_types.pop(next(iter(_seen_types)))
        _seen_types[key] = None
        notify(events.EventUnhandled(**self._who, type=kind, cause=cause))

    def report_bug(
        self, error: BaseException, message: Mapping[str, Any], *, closes: bool = False
    ) -> None:
        """Log a handler's exception with its traceback."""
        notify(
            events.HandlerFailed(
                **self._who,
                handler=escape(message.get("type", "(none)")),
                error=type(error).__name__,
                closes=closes,
                exception=error,
            )
        )

    def report_layer_failure(self, error: LayerUnavailable, message: Mapping[str, Any]) -> None:
        """Log that a handler was ended by an outage. It counts against nobody."""
        handler = escape(message.get("type", "(none)"))
        notify(events.LayerCallFailed(**self._who, handler=handler, alias=error.alias))

    def _judge_input(self, error: BaseException, message: Mapping[str, Any], cause: str) -> Verdict:
        closes = self._spend()
        notify(
            events.InputRejected(
                **self._who,
                cause=cause,
                size=frame_size(message),
                error=type(error).__name__,
                closes=closes,
            )
        )
        code = CloseCode.BAD_MESSAGES if closes else None
        return Verdict(code, self._policy.bad_input_reply)

    def _judge_bug(
        self, error: BaseException, message: Mapping[str, Any], *, from_layer: bool
    ) -> Verdict:
        # A handler that talks to the layer behind our back fails in an outage too, and an outage
        # closes no connection.
        closes = not self._is_layer_down() and self._spend()
        self.report_bug(error, message, closes=closes)
        code = CloseCode.HANDLER_ERRORS if closes else None
        return Verdict(code, None if from_layer else self._policy.error_reply, is_bug=True)

    def _spend(self) -> bool:
        is_overdrawn = self._budget.spend(self._clock())
        return is_overdrawn or self._policy.mode == "close"


def _find_input_fault(error: BaseException) -> str | None:
    return "depth" if isinstance(error, FrameTooDeep) else compat.find_input_fault(error)


def find_layer_failure(error: BaseException) -> LayerUnavailable | None:
    """The layer's failure behind *error*, if a handler merely passed it on or wrapped it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, LayerUnavailable):
            return current
        seen.add(id(current))
        current = current.__cause__
    return None
