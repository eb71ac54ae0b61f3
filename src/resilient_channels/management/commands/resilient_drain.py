"""``manage.py resilient_drain``: the pre-stop hook of a container, or of a service."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from resilient_channels.control_directory import (
    IS_POSSIBLE,
    check_private,
    find_directory,
    find_sockets,
    leave_mark,
)
from resilient_channels.control_socket import PATIENCE, ask
from resilient_channels.core.options import MOST, is_time
from resilient_channels.draining import read_options

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from pathlib import Path

MARGIN = 15.0
"""Seconds beyond the drain itself that cleanups are waited for, unless it is told how long."""

INTERVAL = 0.25
SILENCE = 2.0
"""Seconds between two looks, and between two lines of progress in which nothing has changed."""

SHORTEST = 0.1
"""Seconds that every process has for its answer, however little time there is."""


class Command(BaseCommand):
    """Drains every process of this project that serves WebSockets on this machine."""

    help = (
        "Lets go of all WebSocket clients of this project's running processes, one after the "
        "other, and waits until they are gone. Call it before the server is stopped. The exit "
        "status is 1 if connections were left."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--timeout, --no-wait."""
        parser.add_argument(
            "--timeout",
            type=float,
            metavar="SECONDS",
            help="How long to wait. Default: as long as the processes say that it takes, and "
            f"{MARGIN:.0f} s.",
        )
        parser.add_argument(
            "--no-wait",
            action="store_false",
            dest="wait",
            help="Only begin. The exit status is 0 if every process was reached.",
        )

    def handle(self, *args: Any, timeout: float | None, wait: bool, **options: Any) -> None:
        """Begin, and wait."""
        if not IS_POSSIBLE:
            raise CommandError("This system has no sockets by which processes could be reached.")
        if timeout is not None and not is_time(timeout):
            raise CommandError(f"--timeout must be from 0 to {MOST} seconds, not {timeout}.")
        began = time.monotonic()
        directory = self._find_directory()
        try:
            check_private(directory)
        except FileNotFoundError:
            self._say_that_nobody_is_there(directory)
            return
        except OSError as error:
            raise CommandError(str(error)) from error
        is_marked = self._leave_mark(directory)
        processes = _Processes(directory)
        processes.ask(PATIENCE if timeout is None else timeout)
        if not processes.paths:
            self._say_that_nobody_is_there(directory)
            if not is_marked:
                sys.exit(1)
            return
        self.stdout.write(processes.describe())
        if wait:
            self._wait(processes, None if timeout is None else began + timeout)
        if processes.failed or (wait and processes.are_busy):
            self.stderr.write(self.style.ERROR(f"Given up: {processes.describe()}"))
            sys.exit(1)
        if not is_marked:
            sys.exit(1)

    def _find_directory(self) -> Path:
        try:
            return find_directory(read_options().directory)
        except OSError as error:
            raise CommandError(
                f"There is no directory for the sockets of the processes: {error} "
                "Set RESILIENT_CHANNELS['DRAIN']['directory']."
            ) from error

    def _leave_mark(self, directory: Path) -> bool:
        try:
            leave_mark(directory)
        except OSError as error:  # a full disk; those that can be reached are drained all the same
            told = f"Processes without a WebSocket so far could not be told: {error}"
            self.stderr.write(self.style.ERROR(told))
            return False
        return True

    def _wait(self, processes: _Processes, limit: float | None) -> None:
        said, at = processes.describe(), time.monotonic()
        give_up = limit or at + processes.remaining + MARGIN
        while processes.are_busy and time.monotonic() < give_up:
            time.sleep(max(min(INTERVAL, give_up - time.monotonic()), 0))
            processes.ask(give_up - time.monotonic())
            if limit is None and processes.remaining:  # one that was told later has as long
                give_up = max(give_up, time.monotonic() + processes.remaining + MARGIN)
            now = processes.describe()
            if now != said or time.monotonic() - at > SILENCE:
                self.stdout.write(now)
                said, at = now, time.monotonic()

    def _say_that_nobody_is_there(self, directory: Path) -> None:
        self.stderr.write(
            f"No process found in {directory}. One is there from its first WebSocket on, if "
            "it runs as the same user with the same settings module and BASE_DIR (or the same "
            "RESILIENT_CHANNELS['DRAIN']['directory']), and is not under DEBUG. Nothing to do."
        )


class _Processes:
    """Those that were found, and what they said last.

    Attributes:
        silent: How many did not answer when they were last asked.
        strange: How many gave an answer that makes no sense.
        remaining: Seconds until the last of them has closed its last connection.
    """

    def __init__(self, directory: Path) -> None:
        self.paths = find_sockets(directory)
        self.silent = 0
        self.strange = 0
        self.remaining = 0.0
        self._told: set[Path] = set()
        self._answers: list[dict[str, Any]] = []

    def ask(self, seconds: float) -> None:
        """Have each begin its drain, or say how far it is; those that are gone are forgotten."""
        patience = max(min(seconds, PATIENCE), SHORTEST)
        # In one go: a process that is silent costs the others no time.
        words = {path: "look" if path in self._told else "drain" for path in self.paths}
        found = ask(words, patience)
        self._answers, self.silent, self.strange = [], 0, 0
        for path, answer in found.items():
            if answer is None:
                self.paths.remove(path)
            elif isinstance(answer, OSError):
                self.silent += 1
            elif isinstance(answer, ValueError):
                self.strange += 1
            else:
                self._told.add(path)
                self._answers.append(answer)
        self.remaining = max((answer["remaining"] or 0 for answer in self._answers), default=0.0)

    @property
    def failed(self) -> int:
        """How many of them nothing is known of."""
        return self.silent + self.strange

    @property
    def are_busy(self) -> bool:
        """Whether somebody has connections, or has not answered."""
        return bool(self.failed) or any(
            answer["connections"] or answer["state"] != "drained" for answer in self._answers
        )

    def describe(self) -> str:
        """How far they are, in one line."""
        count = sum(answer["connections"] for answer in self._answers)
        silent = f", {self.silent} without an answer" if self.silent else ""
        strange = f", {self.strange} with an answer that makes no sense" if self.strange else ""
        return f"{count} connections in {len(self._answers)} processes{silent}{strange}"
