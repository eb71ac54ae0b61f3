"""Faults by the thousand: after any day, whatever went wrong on it, all is well again.

Each day is drawn from a seed: consumers come, go, join, leave and speak while their layer fails,
hangs, forgets and falls silent. ``CHAOS_SEEDS=5000`` lives through more of them, and
``PYTHONHASHSEED=0 python -m hub.chaos core-hub 17 18`` tells the story of one.
"""

import asyncio
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from hub.chaos.day import SETUPS, live_through
from hub.chaos.verdict import Broken
from resilient_channels.layers import attempts, canary, membership
from support.loop import NeverEnds
from support.reports import NeverRetrieved, TasksLeft

TESTS = Path(__file__).parent.parent
SEEDS = int(os.environ.get("CHAOS_SEEDS", "150"))
BLOCK = 500
ENOUGH = 60  # seeds in which what is missing has to be missed


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
@pytest.mark.parametrize("setup", SETUPS)
def test_after_any_day_all_is_well_again(setup, first):
    last = min(first + BLOCK, SEEDS)
    command = [sys.executable, "-m", "hub.chaos", setup, str(first), str(last)]
    # Of its own, because a day is told again only where sets keep their order.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}

    done = subprocess.run(
        command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


# --- what the days are worth: without any one of these, one of them goes wrong ----------------


def what_goes_wrong(setup):
    """What does on the first day that goes wrong; in vain, if none does."""
    for seed in range(ENOUGH):
        try:
            live_through(setup, seed)
        except (Broken, TasksLeft, NeverRetrieved, NeverEnds) as wrong:
            return str(wrong)
    return "nothing"


@pytest.mark.parametrize("setup", SETUPS)
def test_without_the_loop_that_joins_again_somebody_goes_deaf(setup, monkeypatch):
    settle = membership.Membership.settle

    async def settle_our_own(self):
        forgotten = set()
        for member in self._pending:
            forgotten |= {group for group in member.unconfirmed if not group.startswith("rc.")}
            member.unconfirmed -= forgotten
        return await settle(self)

    monkeypatch.setattr(membership.Membership, "settle", settle_our_own)

    assert re.search("hears|the broker has", what_goes_wrong(setup))


@pytest.mark.parametrize("setup", SETUPS)
def test_without_the_probe_nobody_notices_what_is_lost(setup, monkeypatch):
    probe = canary.Canary.probe

    async def probe_until_placed(self, deadline, *, join=False):
        return canary.Health.FINE if self.is_placed else await probe(self, deadline, join=join)

    monkeypatch.setattr(canary.Canary, "probe", probe_until_placed)

    # Nor is an outage told from a refusal any more.
    wrong = what_goes_wrong(setup)
    assert re.search("hears|not finished|the broker has|probes|the worker of .* has ended", wrong)


@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("module", [attempts, membership], ids=lambda module: module.__name__)
def test_without_the_deadline_of_a_call_somebody_waits_for_ever(setup, module, monkeypatch):
    class Patient:
        """Asyncio without its time limits."""

        def __getattr__(self, name):
            return getattr(asyncio, name)

        def timeout(self, _):
            return nullcontext(SimpleNamespace(expired=lambda: False))

        timeout_at = timeout

    monkeypatch.setattr(module, "asyncio", Patient())

    assert re.search(
        "has not ended|not finished|unconfirmed|hears|left|the broker has", what_goes_wrong(setup)
    )
