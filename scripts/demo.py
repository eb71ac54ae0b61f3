"""Shows the project at work, from a bare checkout: ``python3 scripts/demo.py``.

Serves the example project with a plain and a resilient chat side by side. With ``--tour`` it runs
both kinds of consumers through every fault on real servers instead, and prints what became of
them.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import bootstrap

PROJECT = Path(__file__).resolve().parent.parent / "example_project"
SERVERS = ("uvicorn", "daphne")
PORT = 8000
# The status with which a server asks for another one in its place.
RESTART = 75


def parse() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what only the tour knows is passed on to it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tour", action="store_true", help="run the tour instead of serving")
    parser.add_argument("--server", choices=SERVERS, help="uvicorn, or for the tour both in turn")
    parser.add_argument("--port", type=int, default=PORT, help=f"where to serve (default: {PORT})")
    tour = parser.add_argument_group("with --tour")
    tour.add_argument("--json", type=Path, metavar="FILE", help="write the findings there, too")
    tour.add_argument("--only", action="append", metavar="NAME", default=[], help="only this fault")
    tour.add_argument("--list", action="store_true", help="name the faults, and do nothing")
    options = parser.parse_args()
    passed = [f"--server={options.server}"] if options.server else []
    passed += [f"--json={options.json.absolute()}"] if options.json else []
    passed += [f"--only={name}" for name in options.only]
    passed += ["--list"] if options.list else []
    if not options.tour and (options.json or options.only or options.list):
        parser.error("--json, --only and --list belong to --tour")
    return options, passed


def usable(port: int) -> int:
    """Return *port*, or one that is free when somebody has it."""
    for candidate in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("no port is free on 127.0.0.1")


class Supervisor:
    """Runs one child after the other; whoever ends us ends the child, too."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._asked_to_end = False
        # Handlers, not SIG_IGN: a child would inherit that, and be deaf to Ctrl-C.
        signal.signal(signal.SIGINT, self._interrupted)
        signal.signal(signal.SIGTERM, self._terminated)

    def run(self, command: list[str]) -> int:
        """Run *command* in the example project until it ends for good; return its status.

        A child that ends with ``RESTART`` asks for another one in its place.
        """
        while True:
            with subprocess.Popen(command, cwd=PROJECT) as self._child:
                if self._asked_to_end:
                    self._child.terminate()
                status = self._child.wait()
            if status != RESTART or self._asked_to_end:
                return status
            print("The server ended, as the page asked for; here is a new one.", flush=True)

    def _interrupted(self, *_: object) -> None:
        # A terminal interrupts both of us; the child ends in its own time.
        self._asked_to_end = True

    def _terminated(self, *_: object) -> None:
        self._asked_to_end = True
        if self._child is not None:
            self._child.terminate()


def serve(python: str, server: str, port: int) -> int:
    """Migrate, then serve the example project until Ctrl-C."""
    quiet = [python, "manage.py", "migrate", "--verbosity=0"]
    if subprocess.run(quiet, cwd=PROJECT, check=False).returncode != 0:
        return 1
    command = {
        "uvicorn": ["-m", "uvicorn", "--host=127.0.0.1", f"--port={port}", "--log-level=warning"],
        "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "-v", "0"],
    }
    print(f"A plain and a resilient chat on {server}: http://127.0.0.1:{port}/  (Ctrl-C ends it)")
    sys.stdout.flush()
    os.environ["DEMO_RESTART_STATUS"] = str(RESTART)
    status = Supervisor().run([python, *command[server], "config.asgi:application"])
    # Ended by Ctrl-C or a signal, as it should be.
    return 0 if status in (0, -signal.SIGINT, -signal.SIGTERM, 130, 143) else status


def main() -> int:
    """Make the environment, and run what was asked for in it."""
    options, passed = parse()
    os.environ["PYTHONUNBUFFERED"] = "1"
    python = str(bootstrap.ensure(["demo"], []))
    if options.tour:
        return Supervisor().run([python, "-m", "tour", *passed])
    port = usable(options.port)
    if port != options.port:
        print(f"Port {options.port} is taken.")
    return serve(python, options.server or SERVERS[0], port)


if __name__ == "__main__":
    sys.exit(main())
