"""How Hypothesis behaves: the same every time in CI, with luck on a laptop, for long on demand.

In CI (``CI=true``) examples are derived from the tests themselves, so that a change is never blamed
for somebody else's bad luck. On a laptop they are random, and one that failed is tried first from
then on (``.hypothesis/``). ``pytest --hypothesis-profile=long`` looks for an hour where the others
look for a minute.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings

STEPS = 20


def load() -> None:
    """Make the profiles known, and choose one."""
    common: dict[str, Any] = {
        "parent": settings.get_profile("default"),  # not whatever is loaded at the moment
        "stateful_step_count": STEPS,
        "deadline": None,  # the machine may be busy with something else
        "print_blob": True,  # what is needed to see a failure again, anywhere
    }
    settings.register_profile("laptop", max_examples=40, **common)
    settings.register_profile("ci", max_examples=40, derandomize=True, database=None, **common)
    settings.register_profile(
        "long", max_examples=3000, suppress_health_check=list(HealthCheck), **common
    )
    settings.load_profile("ci" if is_ci() else "laptop")


def is_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def thorough(max_examples: int, *, steps: int = STEPS) -> settings:
    """For what needs more luck than the rest: at least so many examples."""
    current = settings.default
    assert current is not None
    return settings(
        max_examples=max(max_examples, current.max_examples),
        stateful_step_count=max(steps, current.stateful_step_count),
    )
