"""What the policies are made of: options with a line of documentation, and checks of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, TypeGuard, cast

MOST = 10**9
"""Seconds, or times a second, that somebody may mean. Of much more, sums make infinity."""

MOST_COUNTED = 2**53 - 1
"""Of anything, bytes included: the last whole number that a float has exactly."""


class PolicyError(ValueError):
    """An option that does not exist, or a value that makes no sense."""


def option(default: Any, doc: str, *, process_wide: bool = False) -> Any:
    """A field with its line in the settings reference; a callable *default* is a factory.

    One that is *process_wide* is for the settings alone: a class cannot have its own.
    """
    metadata = {"doc": doc, "process_wide": process_wide}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def is_number(value: object) -> TypeGuard[float]:
    """Whether *value* is a number; ``True`` is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_time(value: object) -> TypeGuard[float]:
    """Whether *value* is a number of seconds from 0 to ``MOST``; NaN is none."""
    return is_number(value) and 0 <= value <= MOST


def check_seconds(section: str, name: str, value: object, *, optional: bool = False) -> None:
    """Refuse what is no positive number of seconds, up to ``MOST``."""
    if value is None and optional:
        return
    _check_positive(section, name, value, "of seconds", " or None (off)" if optional else "")


def _check_positive(section: str, name: str, value: object, unit: str, off: str) -> None:
    number = value if is_number(value) else 0.0
    # "not" instead of "or": NaN is refused too.
    if not 0 < number <= MOST:
        most = f" (up to {MOST})" if MOST < number < float("inf") else ""
        allowed = f"a positive number {unit}{most}{off}"
        raise PolicyError(f"{section}.{name} must be {allowed}, not {show(value)}")


def show(value: object) -> str:
    """*value* as somebody wrote it, as far as Python is ready to tell."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  # an int of 5,000 digits, any object of a project
        return f"a {type(value).__name__} that has no repr ({type(error).__name__})"


def check_count(
    section: str, name: str, value: object, *, least: int, optional: bool = False
) -> None:
    """Refuse what is no whole number of at least *least*, up to ``MOST_COUNTED``."""
    if value is None and optional:
        return
    is_count = isinstance(value, int) and not isinstance(value, bool)
    if not is_count or not least <= cast("int", value) <= MOST_COUNTED:
        most = f" (up to {MOST_COUNTED})" if is_count and cast("int", value) > least else ""
        allowed = f"a whole number >= {least}{most}" + (" or None (off)" if optional else "")
        raise PolicyError(f"{section}.{name} must be {allowed}, not {show(value)}")


def check_rate(section: str, name: str, value: object) -> None:
    """Refuse what is neither ``None`` nor a positive number per second, up to ``MOST``."""
    if value is not None:
        _check_positive(section, name, value, "per second", " or None (off)")


def check_choice(section: str, name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse what is none of *choices*."""
    if value not in choices:
        allowed = ", ".join(repr(choice) for choice in choices)
        raise PolicyError(f"{section}.{name} must be one of {allowed}, not {show(value)}")


def check_text(section: str, name: str, value: object) -> None:
    """Refuse what is neither text nor ``None``."""
    if value is not None and not isinstance(value, str):
        raise PolicyError(f"{section}.{name} must be a str or None, not {show(value)}")


def check_texts(section: str, name: str, value: object) -> None:
    """Refuse what does not map text to text."""
    if isinstance(value, Mapping) and all(
        isinstance(text, str) for pair in value.items() for text in pair
    ):
        return
    raise PolicyError(f"{section}.{name} must be a dict of str to str, not {show(value)}")


def check_texts_in(section: str, name: str, value: object) -> None:
    """Refuse what is no sequence of texts. One text alone is none: a common slip."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not is_list or not all(isinstance(text, str) for text in cast("Sequence[object]", value)):
        raise PolicyError(f"{section}.{name} must be a list of str, not {show(value)}")
