"""``@on_disconnect``: which method of a consumer runs when the connection ends.

The most specific handler runs: an exact code before a range, a narrow range before a wide one, a
range before a kind, a kind before the bare decorator. A method of a subclass comes before one of
its parents. Two equally specific handlers in one class are a mistake, told at import.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from .core.disconnects import DisconnectInfo, DisconnectKind

Handler = TypeVar("Handler", bound=Callable[..., Any])
Condition = int | range | DisconnectKind

_MARK = "__resilient_on_disconnect__"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One condition of one handler; ``rank`` orders by how specific it is, lowest first."""

    condition: Condition | None
    method: str

    def __str__(self) -> str:
        return "everything else" if self.condition is None else repr(self.condition)

    @property
    def rank(self) -> tuple[int, int]:
        match self.condition:
            case int():
                return (0, 0)
            case range() as codes:
                return (1, len(codes))
            case DisconnectKind():
                return (2, 0)
            case _:
                return (3, 0)

    def matches(self, info: DisconnectInfo) -> bool:
        match self.condition:
            case None:
                return True
            case DisconnectKind() as kind:
                return info.kind is kind
            case range() as codes:
                return info.code in codes
            case code:
                return info.code == code

    def collides_with(self, other: _Rule) -> bool:
        """Whether some disconnect would match both with equal right."""
        if self.rank != other.rank or self.method == other.method:
            return False
        if isinstance(self.condition, range) and isinstance(other.condition, range):
            return any(code in other.condition for code in self.condition)
        return self.condition == other.condition


@overload
def on_disconnect(condition: Handler, /) -> Handler: ...
@overload
def on_disconnect(*conditions: Condition) -> Callable[[Handler], Handler]: ...
def on_disconnect(*conditions: Any) -> Any:
    """Run the decorated method when the connection ends, before ``disconnect(code)``.

    Exactly one such method runs, once, after a connection that was accepted. It takes the
    :class:`DisconnectInfo`, and is ``async def`` on asynchronous consumers, plain ``def`` on
    synchronous ones.

    Args:
        conditions: Close codes (``int`` or :class:`CloseCode`), ``range`` objects of codes,
            :class:`DisconnectKind` members. None: whatever no other handler matches.

    Raises:
        TypeError: A condition is something else.
        ValueError: A range is empty.
    """
    if len(conditions) == 1 and inspect.isfunction(conditions[0]):
        return on_disconnect()(conditions[0])
    for condition in conditions:
        _check_condition(condition)

    def mark(method: Handler) -> Handler:
        if not inspect.isfunction(method):
            raise TypeError(f"@on_disconnect decorates methods, not {method!r}")
        others = getattr(method, _MARK, ())
        setattr(method, _MARK, (*(conditions or (None,)), *others))
        return method

    return mark


def _check_condition(condition: object) -> None:
    if isinstance(condition, bool) or not isinstance(condition, int | range | DisconnectKind):
        raise TypeError(
            "on_disconnect takes close codes, ranges of close codes and DisconnectKind members, "
            f"not {condition!r}"
        )
    if isinstance(condition, range) and not condition:
        raise ValueError(f"on_disconnect: {condition!r} contains no close code")


class DisconnectTable:
    """The handlers of one consumer class."""

    def __init__(self, consumer_class: type, *, is_sync: bool) -> None:
        self._levels = [
            level
            for cls in consumer_class.__mro__
            if (level := _read_class(cls, consumer_class, is_sync=is_sync))
        ]

    def find(self, info: DisconnectInfo) -> str | None:
        """Name of the method that *info* calls for."""
        best: _Rule | None = None
        for level in self._levels:
            for rule in level:
                if rule.matches(info) and (best is None or rule.rank < best.rank):
                    best = rule
        return best.method if best else None


def _read_class(cls: type, consumer_class: type, *, is_sync: bool) -> list[_Rule]:
    rules: list[_Rule] = []
    for name, attribute in vars(cls).items():
        # Overridden in a subclass without the decorator: no handler any more.
        if getattr(consumer_class, name, None) is not attribute:
            continue
        for rule in _read_method(cls, name, attribute, is_sync=is_sync):
            for other in rules:
                if rule.collides_with(other):
                    raise TypeError(
                        f"{cls.__qualname__}: {rule.method}() and {other.method}() are equally "
                        f"specific for {rule}; make one of them more specific"
                    )
            rules.append(rule)
    return rules


def _read_method(cls: type, name: str, attribute: object, *, is_sync: bool) -> Iterator[_Rule]:
    conditions = getattr(attribute, _MARK, None) if inspect.isfunction(attribute) else None
    if conditions is None:
        return
    if inspect.iscoroutinefunction(attribute) is is_sync:
        wanted = "def" if is_sync else "async def"
        raise TypeError(f"{cls.__qualname__}.{name}: @on_disconnect needs `{wanted}` here")
    for condition in conditions:
        yield _Rule(condition, name)
