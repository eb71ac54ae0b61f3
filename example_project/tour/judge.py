"""Facts into words, and, for the resilient side, into kept or broken promises."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .facts import Facts


# What no library above ASGI can hide: servers, and what they do differently.
CANNOT_TELL_AT_ALL = (
    "Hypercorn reports 1006 for every end that the application did not cause. The library says "
    "LOST with `certain=False`."
)
CANNOT_TELL_1005 = (
    "Granian reports 1005 for a close frame without a code and for a lost connection. The library "
    "says LOST with `certain=False` for both."
)


@dataclass(frozen=True)
class Promise:
    """A sentence, and whether facts bear it out.

    Attributes:
        elsewhere: What is promised instead on some servers.
        because: Why it differs there.
    """

    sentence: str
    holds: Callable[[Facts], bool]
    elsewhere: Mapping[str, Promise] = field(default_factory=dict)
    because: str = ""

    def on(self, server: str) -> Promise:
        """Return what is promised on *server*."""
        return self.elsewhere.get(server, self)


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
    code: int | None = None,
    kind: str | None = None,
    *,
    cancelled: bool = False,
    elsewhere: Mapping[str, Promise] | None = None,
) -> tuple[Promise, ...]:
    """Promise an orderly end: with that *code* and *kind*, where they are given.

    Args:
        cancelled: Whether a cancellation goes on to whoever asked for it.
        elsewhere: What the library says instead on some servers.
    """
    promises = [*_CLEAN]
    if not cancelled:
        promises.append(_NO_EXCEPTION)
    if kind is not None:
        promises.append(_told(code, kind, elsewhere or {}))
    return tuple(promises)


def _told(code: int | None, kind: str, more: Mapping[str, Promise]) -> Promise:
    """Promise that this is what the library says, or as much of it as the server lets it know."""
    elsewhere = {}
    if kind in ("client", "lost"):
        elsewhere["hypercorn"] = says(1006, "lost", certain=False, because=CANNOT_TELL_AT_ALL)
        if code in (1005, 1006):
            elsewhere["granian"] = says(1006, "lost", certain=False, because=CANNOT_TELL_1005)
    return says(code, kind, elsewhere={**elsewhere, **more})


def says(
    code: int | None,
    kind: str,
    *,
    certain: bool = True,
    because: str = "",
    elsewhere: Mapping[str, Promise] | None = None,
) -> Promise:
    """Promise that every ``disconnect()`` and ``DisconnectInfo`` says exactly this."""
    what = f"{kind.upper()}{'' if code is None else f' with {code}'}"

    def holds(facts: Facts) -> bool:
        told = [(info["kind"], info["certain"]) for info in facts.infos]
        return set(told) == {(kind, certain)} and (code is None or set(facts.disconnects) == {code})

    doubt = "" if certain else ", and that this is not certain"
    return Promise(f"the library says {what}{doubt}", holds, elsewhere or {}, because)


SURVIVES = (
    Promise("the socket stays open and answers", lambda f: f.alive == f.total),
    *ends(1000, "client"),
)


def logged(*events: str) -> Promise:
    """Promise that these are all the warnings and errors that the connection caused."""
    return Promise(
        f"the log warns of {', '.join(events) or 'nothing'}", lambda f: f.warnings == list(events)
    )


def broken(promises: Iterable[Promise], facts: Facts, server: str) -> list[str]:
    """Return the sentences that *facts* do not bear out on *server*."""
    if facts.error is not None:
        return [f"the row could not be finished: {facts.error}"]
    due = [promise.on(server) for promise in promises]
    return [promise.sentence for promise in due if not promise.holds(facts)]


def differences(promises: Iterable[Promise], server: str) -> list[str]:
    """Return why *server* cannot be held to the same as the others."""
    due = [promise.on(server) for promise in promises]
    return list(dict.fromkeys(promise.because for promise in due if promise.because))


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
        yield calls + "".join(f" {told(info)}" for info in facts.infos)


def told(info: Mapping[str, Any]) -> str:
    """Say what a ``DisconnectInfo`` said, and whether it was sure."""
    return f"{info['kind'].upper()}{'' if info['certain'] else '?'}"
