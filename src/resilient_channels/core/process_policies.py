"""The options for handlers that take too long, and for the end of the process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from .options import check_choice, check_seconds, check_text, option

DrainMode = Literal["auto", "on", "off"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HandlerPolicy:
    """How long a handler may take, and how long it may block everybody else."""

    section: ClassVar[str] = "HANDLER"

    deadline: float | None = option(
        None,
        "Seconds a handler may take before it is cancelled, which counts as its failure (see "
        "`ERRORS`). A synchronous handler cannot be interrupted: it is only reported. `None`: no "
        "limit.",
    )
    stall_after: float | None = option(
        5.0,
        "Seconds that a handler may block the event loop, or the thread that all synchronous "
        "handlers share, before it is named in a record (`handler.stalled`). `None`: nobody "
        "looks.",
        process_wide=True,
    )

    def __post_init__(self) -> None:
        check_seconds(self.section, "deadline", self.deadline, optional=True)
        check_seconds(self.section, "stall_after", self.stall_after, optional=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainPolicy:
    """How a process lets go of its clients before it stops."""

    section: ClassVar[str] = "DRAIN"

    mode: DrainMode = option(
        "auto",
        "Whether SIGTERM begins a drain before the server acts on it, and `manage.py "
        "resilient_drain` finds the process. `auto`: unless `DEBUG` is on or the server reloads by "
        "itself. `on`: always. `off`: only `drain()` begins one.",
        process_wide=True,
    )
    duration: float | None = option(
        None,
        "Seconds over which the closes are spread. `None`: half a second for each connection, at "
        "most 7 s in all.",
        process_wide=True,
    )
    spread: float | None = option(
        None,
        "Seconds over which clients are told to come back, counted from the first close. `None`: "
        "as long as the closes take.",
        process_wide=True,
    )
    directory: str | None = option(
        None,
        "Where each process has the socket by which `manage.py resilient_drain` finds it. `None`: "
        "a directory of the project's own in the system's for temporary files.",
        process_wide=True,
    )

    def __post_init__(self) -> None:
        check_choice(self.section, "mode", self.mode, get_args(DrainMode))
        check_seconds(self.section, "duration", self.duration, optional=True)
        check_seconds(self.section, "spread", self.spread, optional=True)
        check_text(self.section, "directory", self.directory)
