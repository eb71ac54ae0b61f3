"""Facts into words, and, for the resilient side, into kept or broken promises."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .facts import Facts


@dataclass(frozen=True)
class Promise:
    """A sentence, and whether facts bear it out."""

    sentence: str
    holds: Callable[[Facts], bool]


_CLEAN = (
    Promise("the application comes to its end", lambda f: f.ended == f.total),
    Promise(
        "disconnect() runs exactly once",
        lambda f: len(f.disconnects) == f.total and len(f.infos) == f.total,
    ),
    Promise(
        "disconnect() gets a plain int",
        lambda f: all(type(code) is int for code in f.disconnects),
    ),
    Promise(
        "on_disconnect handlers get the same code",
        lambda f: [info["code"] for info in f.infos] == f.disconnects,
    ),
    Promise("no group member is left", lambda f: f.members == 0),
    Promise("no background task is left", lambda f: f.background == 0),
    Promise("nothing is written after the end", lambda f: f.writes_after_end == 0),
    Promise("no exception text reaches the client", lambda f: not f.leaked),
)
_NO_EXCEPTION = Promise("no exception leaves the application", lambda f: not f.left_by)


def ends(
    code: int | None = None, kind: str | None = None, *, cancelled: bool = False
) -> tuple[Promise, ...]:
    """Promise an orderly end: with that *code* and *kind*, where they are given."""
    promises = [*_CLEAN]
    if not cancelled:
        promises.append(_NO_EXCEPTION)
    if code is not None:
        promises.append(
            Promise(f"disconnect() gets {code}", lambda f: set(f.disconnects) == {code})
        )
    if kind is not None:
        promises.append(Promise(f"the kind is {kind.upper()}", lambda f: set(f.kinds) == {kind}))
    return tuple(promises)


SURVIVES = (
    Promise("the socket stays open and answers", lambda f: f.alive == f.total),
    *ends(1000, "client"),
)


def logged(*events: str) -> Promise:
    """Promise that these are all the warnings and errors that the connection caused."""
    return Promise(
        f"the log has one record of {', '.join(events)}", lambda f: f.warnings == list(events)
    )


def broken(promises: Iterable[Promise], facts: Facts) -> list[str]:
    """Return the sentences that *facts* do not bear out."""
    if facts.error is not None:
        return [f"the row could not be finished: {facts.error}"]
    return [promise.sentence for promise in promises if not promise.holds(facts)]


def words(facts: Facts) -> str:
    """Say what happened, in plain words."""
    if facts.error is not None:
        return f"not measured: {facts.error}"
    return "; ".join(_words(facts))


def _words(facts: Facts) -> Iterator[str]:
    yield from _life(facts)
    yield from facts.extra.get("words", ())
    yield from _sends(facts)
    yield from _disconnects(facts)
    if facts.members:
        yield f"{facts.members} dead group member{'s' * (facts.members > 1)} left"
    if facts.background:
        yield "its background task still sends"
    if facts.ended < facts.total:
        which = f"{facts.total - facts.ended} of {facts.total} applications"
        yield f"{which if facts.total > 1 else 'the application'} still running"
    for name, count in Counter(facts.left_by).items():
        yield f"{f'{count} x ' * (count > 1)}{name.rpartition('.')[2]} left the application"
    if facts.leaked:
        yield "the exception's text reached the client"
    if facts.writes_after_end:
        yield f"{facts.writes_after_end} written after the end"


def _life(facts: Facts) -> Iterator[str]:
    if facts.alive is None:
        return
    if facts.total > 1:
        yield f"{facts.alive} of {facts.total} sockets open{_hearing(facts)}"
    elif facts.alive:
        yield f"open, echoes again{_hearing(facts)}"
    elif facts.client_saw == "still open":
        yield "open, but no answer"
    else:
        yield f"closed ({facts.client_saw})"


def _hearing(facts: Facts) -> str:
    if facts.hearing is None or not facts.alive:
        return ""
    if facts.hearing == 0:
        return ", but deaf to the group"
    when = f" after {facts.seconds:.1f} s" if facts.seconds else ""
    those = f"{facts.hearing} of them hear" if facts.total > 1 else "hears"
    return f", {those} the group again{when}"


def _sends(facts: Facts) -> Iterator[str]:
    if not facts.sends:
        return
    raised = [name for name in facts.sends if name != "returned"]
    returned = len(facts.sends) - len(raised)
    if facts.background or returned > 9:
        told = f"{facts.call} returns for ever" if facts.background else f"{facts.call} returned"
    else:
        told = f"{f'{returned} x ' * (returned > 1)}{facts.call} returned"
    if returned:
        yield told
    for name, times in Counter(raised).items():
        yield f"{f'{times} x ' * (times > 1)}{facts.call} raised {name}"


def _disconnects(facts: Facts) -> Iterator[str]:
    expected = facts.total
    if facts.alive is not None and facts.alive == facts.total == len(facts.disconnects):
        return  # our own closing afterwards: nothing to tell
    if not facts.disconnects:
        yield "no disconnect()"
    elif expected > 1:
        if len(facts.disconnects) < expected:
            yield f"disconnect() for only {len(facts.disconnects)} of {expected}"
    else:
        calls = ", ".join(f"disconnect({code})" for code in facts.disconnects)
        yield calls + "".join(f" {kind.upper()}" for kind in facts.kinds)
