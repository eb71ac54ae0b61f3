"""One reader stalls for good: what the others notice, what the process pays, when it is gone."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

from tour import frames

from .load import OURS, Crowd, LoadFailed, masked, shake_hands
from .processes import ask, find_worker, forget_peak, peak_bytes, rss_bytes, serving
from .results import Figures
from .served.messages import FILL, TELL
from .variants import strained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tour.servers import Server

    from .load import Wire
    from .scale import Scale

SIZE, PER_SECOND = 4096, 10
# A stalled one is to stay while it is measured what the others notice, and not much longer.
LONGER = 1.5


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run.

    Attributes:
        latency: The time that 95 % of all deliveries stay under, in seconds.
        growth: Bytes that the process had at most, over what it had before.
        gone: Seconds from the first frame that could not be written to the connection's end.
    """

    latency: float
    growth: int
    gone: float | None


async def measure(server: str, scale: Scale, loop: str | None) -> list[Figures]:
    """With and without it by turns, each time with a fresh process: memory is used again."""
    limit = scale.stalled_seconds + LONGER
    beating = server == "daphne"
    settings = {
        "SEND": {"deadline": limit},
        # On Daphne the heartbeat's is the deadline. There its first ping asks for a confirmation.
        "HEARTBEAT": {"interval": limit / 2, "timeout": limit} if beating else {"mode": "off"},
    }
    variant = strained(settings, negotiated=beating)
    found: dict[bool, list[Sample]] = {False: [], True: []}
    for number in range(scale.rounds):
        for with_one in (False, True) if number % 2 else (True, False):
            async with serving(server, [variant], loop) as processes:
                found[with_one].append(_sample(processes[variant], scale, beating, with_one))
    return [_summarize(server, scale, limit, found)]


def _sample(process: Server, scale: Scale, negotiated: bool, with_one: bool) -> Sample:
    latencies: list[float] = []

    def listen(payload: bytes) -> None:
        # {"due": 123.456, ...
        latencies.append(time.monotonic() - float(payload[8 : payload.index(b",")]))

    pid = find_worker(process)
    with Crowd() as crowd:
        readers = crowd.gather(
            process.port, "strained", range(scale.stalled_readers), negotiated=negotiated
        )
        for reader in readers:
            reader.listen = listen
        control = readers[0]
        _tell(crowd, control, len(readers), latencies, seconds=1.0)
        before = rss_bytes(pid)
        forget_peak(pid)
        if with_one:
            with _stalled(crowd, process, negotiated) as filled:
                _tell(crowd, control, len(readers), latencies, scale.stalled_seconds)
                growth = peak_bytes(pid) - before
                gone = _wait_for_end(crowd, process) - filled
        else:
            _tell(crowd, control, len(readers), latencies, scale.stalled_seconds)
            growth, gone = peak_bytes(pid) - before, None
    return Sample(latency=quantiles(latencies, n=20)[-1], growth=growth, gone=gone)


def _tell(
    crowd: Crowd, control: Wire, readers: int, latencies: list[float], seconds: float
) -> None:
    """Have everybody told for a while; what was heard before is forgotten."""
    latencies.clear()
    count = round(seconds * PER_SECOND)
    order = f"{TELL} {count} {SIZE} {1 / PER_SECOND}".encode()
    control.raw.send(masked(frames.TEXT, order))
    crowd.serve_until(lambda: len(latencies) >= count * readers, seconds * 4 + 10)


@contextmanager
def _stalled(crowd: Crowd, process: Server, negotiated: bool) -> Iterator[float]:
    """One more, who reads nothing; what it cannot be sent any more waits since that moment."""
    wire = shake_hands(process.port, "/strained/stalled", OURS if negotiated else None)
    with wire.raw:
        wire.raw.send(masked(frames.TEXT, FILL.encode()))
        give_up = time.monotonic() + 20.0
        while not (filled := ask(process.port, "/endings")["filled"]):
            if time.monotonic() > give_up:
                raise LoadFailed("the buffers of a client that does not read never get full")
            crowd.serve(0.05)
        yield filled[0]


def _wait_for_end(crowd: Crowd, process: Server) -> float:
    give_up = time.monotonic() + 30.0
    while not (endings := ask(process.port, "/endings")["endings"]):
        if time.monotonic() > give_up:
            raise LoadFailed("a client that does not read is not given up")
        crowd.serve(0.1)
    [(moment, code)] = endings
    if code not in (3408, 3420):
        raise LoadFailed(f"a client that does not read ended with {code}")
    return moment


def _summarize(server: str, scale: Scale, limit: float, found: dict[bool, list[Sample]]) -> Figures:
    without, with_one = found[False], found[True]
    ratios = [one.latency / other.latency for one, other in zip(with_one, without, strict=True)]
    gone = [sample.gone for sample in with_one]
    per_second = scale.stalled_readers * SIZE * PER_SECOND / 1e6
    return Figures(
        work="one of many readers stalls",
        server=server,
        about=(
            f"{scale.stalled_readers} readers, {PER_SECOND} broadcasts a second of {SIZE} bytes, "
            f"{per_second:.0f} MB/s in all, {scale.stalled_seconds:g} s; deadline {limit:g} s; "
            f"medians of {scale.rounds} pairs of runs, and the highest."
        ),
        cells={
            "p95 of a delivery without it, ms": _ms(without),
            "with it": _ms(with_one),
            "ratio": f"{median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})",
            "memory grows without it, MB": _mb(without),
            "with it, MB": _mb(with_one),
            "gone after, s": f"{median(gone):.1f} ({max(gone):.1f})",
        },
        samples={
            "ratios": ratios,
            **{
                f"{name} {kind}": [getattr(sample, name) for sample in some]
                for kind, some in (("without", without), ("with", with_one))
                for name in ("latency", "growth", "gone")
            },
        },
    )


def _ms(some: list[Sample]) -> str:
    return f"{median(sample.latency for sample in some) * 1000:.1f}"


def _mb(some: list[Sample]) -> str:
    growths = [sample.growth / 1024 / 1024 for sample in some]
    return f"{median(growths):.1f} ({max(growths):.1f})"
