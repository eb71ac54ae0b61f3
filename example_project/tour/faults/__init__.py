"""The faults: each a function that is run, the same, against a plain and a resilient server."""

from __future__ import annotations

from .base import Fault

__all__ = ["ALL", "Fault"]


def _all() -> tuple[Fault, ...]:
    from . import (
        broker,
        closing,
        deploying,
        events,
        freezing,
        hub,
        input,
        leaving,
        limits,
        sending,
        stalling,
    )

    modules = (
        leaving,
        freezing,
        stalling,
        sending,
        closing,
        input,
        limits,
        deploying,
        events,
        broker,
        hub,
    )
    return tuple(fault for module in modules for fault in module.FAULTS)


ALL = _all()
