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
import tempfile
from pathlib import Path

import bootstrap

PROJECT = Path(__file__).resolve().parent.parent / "example_project"
# What each server needs beyond the extra `demo`.
SERVERS: dict[str, list[str]] = {
    "uvicorn": [],
    "daphne": [],
    "uvicorn-wsproto": ["wsproto>=1.2"],
    "hypercorn": ["hypercorn>=0.17"],
    "granian": ["granian>=2.7.4"],
}
PORT = 8000
# The status with which a server asks for another one in its place.
RESTART = 75
# How a server ends that was killed, or was told to end by SIGTERM.
ENDED_BY_A_SIGNAL = (-signal.SIGTERM, 128 + signal.SIGTERM, 0, -9)


def parse() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what only the tour knows is passed on to it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tour", action="store_true", help="run the tour instead of serving")
    parser.add_argument(
        "--server",
        action="append",
        choices=SERVERS,
        default=[],
        help="uvicorn unless told otherwise; for the tour repeatable, and all of them",
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"where to serve (default: {PORT})")
    tour = parser.add_argument_group("with --tour")
    tour.add_argument("--json", type=Path, metavar="FILE", help="write the findings there, too")
    tour.add_argument("--only", action="append", metavar="NAME", default=[], help="only this fault")
    tour.add_argument("--full", action="store_true", help="let it all last as long as in real life")
    tour.add_argument("--table", type=Path, metavar="FILE", help="write a table there; - prints it")
    tour.add_argument("--plain", action="store_true", help="with --table: plain Channels, too")
    tour.add_argument("--list", action="store_true", help="name the faults, and do nothing")
    options = parser.parse_args()
    passed = [f"--only={name}" for name in options.only]
    for name in ("json", "table"):
        path = getattr(options, name)
        if path is not None:
            passed.append(f"--{name}={path if str(path) == '-' else path.absolute()}")
    passed += [f"--{name}" for name in ("full", "plain", "list") if getattr(options, name)]
    if not options.tour:
        if passed:
            parser.error(f"{passed[0].partition('=')[0]} belongs to --tour")
        if len(options.server) > 1:
            parser.error("the chats are served by one server at a time")
    return options, [*(f"--server={name}" for name in options.server), *passed]


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

    def run(self, command: list[str], restarts: tuple[int, ...] = ()) -> int:
        """Run *command* in the example project until it ends for good; return its status.

        Args:
            command: What to run.
            restarts: With which status a child that nobody here told to end is to be followed by
                another one.
        """
        while True:
            with subprocess.Popen(command, cwd=PROJECT) as self._child:
                if self._asked_to_end:
                    self._child.terminate()
                status = self._child.wait()
            if status not in restarts or self._asked_to_end:
                return status
            print("The server has ended; here is a new one.", flush=True)

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
    listen = ["--host=127.0.0.1", f"--port={port}", "--log-level=warning"]
    # Noise does not get smaller: all that compression would do is take its time.
    uvicorn = ["-m", "uvicorn", *listen, "--ws-per-message-deflate=false"]
    command = {
        "uvicorn": uvicorn,
        "uvicorn-wsproto": [*uvicorn, "--ws=wsproto"],
        "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "-v", "0"],
        # One process: in a worker of its own nobody would hear of a SIGTERM.
        "hypercorn": ["-m", "hypercorn", f"--bind=127.0.0.1:{port}", "--workers=0"],
        "granian": ["-m", "granian", "--interface=asginl", *listen],
    }
    print(f"A plain and a resilient chat on {server}: http://127.0.0.1:{port}/  (Ctrl-C ends it)")
    sys.stdout.flush()
    os.environ["DEMO_RESTART_STATUS"] = str(RESTART)
    os.environ["DEMO_SUPERVISOR"] = str(os.getpid())
    with tempfile.TemporaryDirectory(prefix="demo-") as directory:
        os.environ["DEMO_FATES"] = str(Path(directory) / "fates.jsonl")
        status = Supervisor().run(
            [python, *command[server], "config.asgi:application"], (RESTART, *ENDED_BY_A_SIGNAL)
        )
    # Ended by Ctrl-C or a signal, as it should be.
    return 0 if status in (0, -signal.SIGINT, -signal.SIGTERM, 130, 143) else status


def main() -> int:
    """Make the environment, and run what was asked for in it."""
    options, passed = parse()
    os.environ["PYTHONUNBUFFERED"] = "1"
    servers: list[str] = options.server or ([*SERVERS] if options.tour else ["uvicorn"])
    needed = [requirement for server in servers for requirement in SERVERS[server]]
    python = str(bootstrap.ensure(["demo"], [], requirements=needed))
    if options.tour:
        return Supervisor().run([python, "-m", "tour", *passed])
    port = usable(options.port)
    if port != options.port:
        print(f"Port {options.port} is taken.")
    return serve(python, servers[0], port)


if __name__ == "__main__":
    sys.exit(main())
