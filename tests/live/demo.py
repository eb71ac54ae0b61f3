"""The demo as ``scripts/demo.py`` serves it: a supervisor, and a server that it starts anew."""

import os
import signal
import socket
import subprocess
import sys
import time

from live.stage import TESTS
from tour.servers import free_port

# Without making an environment first: the one that runs the tests will do.
SERVE = "import demo, sys; sys.exit(demo.serve(sys.executable, sys.argv[1], int(sys.argv[2])))"


class Demo:
    """A running demo; a context manager.

    Attributes:
        port: Where the server listens, the present one and those after it.
    """

    def __init__(self, server, log):
        self.server = server
        self.port = free_port()
        self._log = log
        self._process = None

    def __enter__(self):
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVE, self.server, str(self.port)],
                cwd=TESTS.parent / "scripts",
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": "config.settings",
                    "PYTHONUNBUFFERED": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def log_text(self):
        return self._log.read_text(errors="replace")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def wait(self, deadline=30.0):
        """Wait until there is a server."""
        give_up = time.monotonic() + deadline
        while not self.listens():
            assert self._process.poll() is None, self.log_text()
            assert time.monotonic() < give_up, self.log_text()
            time.sleep(0.05)

    def restarts(self, wanted, deadline=15.0):
        """Wait until the server was started anew that often."""
        give_up = time.monotonic() + deadline
        while self.log_text().count("here is a new one") < wanted:
            assert time.monotonic() < give_up, self.log_text()
            time.sleep(0.02)
        self.wait()

    def interrupt(self):
        """Press Ctrl-C: a terminal sends it to the supervisor and to the server."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(15)

    def end(self):
        """End the supervisor, which ends the server; returns its exit status."""
        if self._process.poll() is None:
            self._process.terminate()
        return self._process.wait(15)
