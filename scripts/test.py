"""Runs the test suite in the checkout's own environment: ``python3 scripts/test.py``.

Arguments go to pytest: ``python3 scripts/test.py -m "not live" -k disconnect``. The exit status
is pytest's. Tests run beside each other, as most of the live ones wait for something; ``-n 0`` runs
one after the other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import bootstrap

# Program -> (what it is for, how to get it)
NEEDED = {
    "redis-server": (
        "the tests against a real Redis",
        "Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis",
    ),
    "chromedriver": (
        "the tests in a real browser",
        "Debian: apt-get install chromium chromium-driver; elsewhere: Chrome and its chromedriver",
    ),
    "node": (
        "the tests of the browser module",
        "Debian and Ubuntu: apt-get install nodejs; macOS: brew install node (20 or newer)",
    ),
}


# Live tests wait for most of their time, but real servers have to answer in time.
BESIDE_EACH_OTHER = ["-n", str(max(2, os.cpu_count() or 1)), "--dist", "loadgroup"]


def say_what_is_missing() -> None:
    """Name the programs that are not installed, before anything else is printed."""
    in_ci = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    for program, (purpose, how_to_get_it) in NEEDED.items():
        if shutil.which(program) is None:
            fate = "will fail, because CI is set" if in_ci else "will be skipped (in CI they fail)"
            print(f"[tests] {program} is not installed: {purpose} {fate}.", file=sys.stderr)
            print(f"[tests] To get it: {how_to_get_it}.", file=sys.stderr, flush=True)


def main() -> int:
    """Install what is needed, run pytest, return its exit status."""
    say_what_is_missing()
    python = bootstrap.ensure(extras=["demo"], groups=["test"])
    # pytest-django would take somebody's exported settings module for ours.
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    arguments = sys.argv[1:]
    if not any(argument.startswith(("-n", "--numprocesses", "--pdb")) for argument in arguments):
        arguments = [*BESIDE_EACH_OTHER, *arguments]
    command = [str(python), "-m", "pytest", *arguments]
    try:
        return subprocess.call(command, cwd=bootstrap.ROOT, env=environment)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
