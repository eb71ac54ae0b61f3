"""``settings.RESILIENT_CHANNELS`` and the class attribute ``resilience``, read into policies.

Read when a connection starts, never at import; a test's ``override_settings`` just works. Class
attribute over setting over default, key by key.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.signals import setting_changed

from .core.options import PolicyError, show
from .core.policies import (
    SECTIONS,
    LimitsPolicy,
    Policies,
    build_section,
    option_names,
    process_wide_options,
)

SETTING = "RESILIENT_CHANNELS"
ATTRIBUTE = "resilience"

logger = logging.getLogger("resilient_channels")

_cache: WeakKeyDictionary[object, Policies] = WeakKeyDictionary()


def _suggest(word: object, known: tuple[str, ...]) -> str:
    close = get_close_matches(word, known, n=1) if isinstance(word, str) else []
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def find_problems(config: object, where: str, *, of_class: bool = False) -> Iterator[str]:
    """Everything that is wrong with *config*, in sentences that name the key and the way out.

    What is *of_class*, or of a middleware, has no options of the whole process.
    """
    if not isinstance(config, Mapping):
        yield f"{where} must be a dict of sections, not {show(config)}"
        return
    for section, values in config.items():
        if section not in SECTIONS:
            yield f"{where} has no section {show(section)}; {_suggest(section, tuple(SECTIONS))}"
        elif not isinstance(values, Mapping):
            yield f"{where}[{section!r}] must be a dict of options, not {show(values)}"
        else:
            yield from _find_section_problems(section, values, where, of_class=of_class)


def _find_section_problems(
    section: str, values: Mapping[str, Any], where: str, *, of_class: bool
) -> Iterator[str]:
    known = option_names(section)
    misplaced = process_wide_options(section) if of_class else frozenset()
    for key in values:
        if key not in known:
            yield f"{where}[{section!r}] has no option {show(key)}; {_suggest(key, known)}"
    for key in values:
        if key in misplaced:
            yield (
                f"{where}: {section}.{key} is for the whole process; set it in settings.{SETTING}"
            )
        elif key in known:
            try:
                build_section(section, {key: values[key]})
            except PolicyError as error:
                yield f"{where}: {error}"
            except Exception as error:  # noqa: BLE001  # of an object that cannot be compared
                told = f"{show(values[key])} ({type(error).__name__})"
                yield f"{where}: {section}.{key} cannot be {told}"


def check_own(config: object, owner: type) -> None:
    """Refuse what is wrong with the options of a class, or of a middleware, *owner*.

    Raises:
        TypeError: All of it, in sentences.
    """
    problems = list(find_problems(config, f"{owner.__name__}.{ATTRIBUTE}", of_class=True))
    if problems:
        raise TypeError("; ".join(problems))


def find_setting_problems() -> list[str]:
    """What is wrong with ``settings.RESILIENT_CHANNELS``."""
    return list(find_problems(getattr(settings, SETTING, {}), SETTING))


def get_policies(owner: object) -> Policies:
    """The options for a consumer class or a middleware, built once until the settings change."""
    policies = _cache.get(owner)
    if policies is None:
        policies = _cache[owner] = _build(owner)
    return policies


def _build(owner: object) -> Policies:
    setting = getattr(settings, SETTING, {})
    problems = list(find_problems(setting, SETTING))
    if problems:
        # Start-up refuses such settings; they can only have been changed at run time. Refusing
        # every connection from now on would be worse than the defaults.
        _report(tuple(problems))
        setting = {}
    own = getattr(owner, ATTRIBUTE, {})
    sections = {
        section.lower(): build_section(
            section, {**setting.get(section, {}), **own.get(section, {})}
        )
        for section in SECTIONS
    }
    places = dict.fromkeys(own.get(LimitsPolicy.section, {}), _find_place(owner))
    return Policies(**sections, places=places)


def _find_place(owner: object) -> str:
    """Where the ``resilience`` of *owner* is written: in a class, its own or one it inherits from,
    or in a middleware."""
    for cls in owner.__mro__ if isinstance(owner, type) else ():
        if ATTRIBUTE in vars(cls):
            return f"{cls.__module__}.{cls.__qualname__}"
    return f"{type(owner).__qualname__} {id(owner)}"


@cache
def _report(problems: tuple[str, ...]) -> None:
    logger.error("settings.invalid", extra={"problems": list(problems)})


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == SETTING:
        _cache.clear()
        _report.cache_clear()


setting_changed.connect(_forget, dispatch_uid="resilient_channels.conf")
