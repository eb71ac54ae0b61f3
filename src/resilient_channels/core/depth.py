"""How deep the arrays and objects of a JSON text are nested, found out without parsing it."""

from __future__ import annotations

import re
from itertools import accumulate

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""Never gives anything back, and a string that does not end is one, too: linear in any text."""

_OTHERS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = [0] * 256
for _bracket, _step in zip(b"[{]}", (1, 1, -1, -1), strict=True):
    _STEPS[_bracket] = _step

CHUNK = 4096
"""Brackets that are counted together: hardly any time for each, and an early end."""


def is_deeper(text: str, limit: int) -> bool:
    """Whether *text* opens more than *limit* arrays and objects within each other.

    What is no JSON is measured up to the end all the same; whoever reads it stops earlier.
    """
    if text.count("[") + text.count("{") <= limit:
        return False  # the usual answer, and so the first
    # A byte of a bracket, a quote or a backslash is never a part of another character.
    brackets = _STRINGS.sub(b"", text.encode("utf-8", "surrogatepass")).translate(None, _OTHERS)
    depth = 0
    for start in range(0, len(brackets), CHUNK):
        steps = map(_STEPS.__getitem__, brackets[start : start + CHUNK])
        depths = list(accumulate(steps, initial=depth))
        if max(depths) > limit:
            return True
        depth = depths[-1]
    return False
