"""What the server's log says about a fault: the library's records, and tracebacks by logger."""

from __future__ import annotations

import re
from collections import Counter

# The matrix's own format, and those that Uvicorn and Daphne begin with.
_RECORD = re.compile(
    r"(?:\d{4}-\d\d-\d\d \S+ )?(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):? +(?P<logger>\S+)"
    r"(?: (?P<event>\S+))?"
)
_OURS = "resilient_channels."
_LAYER = "resilient_channels.layer"


def records(log: str) -> Counter[str]:
    """Count the library's records about the layer, and all of its warnings and errors.

    A key is ``LEVEL event``.
    """
    found: Counter[str] = Counter()
    for line in log.splitlines():
        match = _RECORD.match(line)
        if match is None or not match["logger"].startswith(_OURS):
            continue
        if match["logger"] == _LAYER or match["level"] not in ("DEBUG", "INFO"):
            found[f"{match['level']} {match['event']}"] += 1
    return found


def tracebacks(log: str) -> Counter[str]:
    """Count the records that carry a traceback, by logger, or by server for those of servers."""
    found: Counter[str] = Counter()
    owner = "stderr"
    is_new = True
    for line in log.splitlines():
        if match := _RECORD.match(line):
            owner, is_new = _owner(match["logger"]), True
        elif line.startswith("Traceback (most recent call last)") and is_new:
            found[owner] += 1
            is_new = False
    return found


def _owner(word: str) -> str:
    # Uvicorn names no logger: the word is the beginning of its message.
    is_named = ("." in word and not word.startswith("daphne.")) or word == "asyncio"
    return word if is_named else "the server"
