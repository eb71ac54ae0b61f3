"""A real Chromium: what a user does in it, and what a user would see."""

import os
import re
import shutil
import threading
import time
from contextlib import contextmanager

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new",
    "--window-size=1280,1000",
    # In a container there is neither a sandbox nor much /dev/shm.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    # Looks for nothing elsewhere, and updates nothing, while the clock of a test runs.
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)

# What Chromium itself writes into the console when a connection fails that was made to fail.
EXPECTED = re.compile(r"WebSocket connection to '[^']*' failed|net::ERR_|Failed to load resource")


def missing():
    """The program that is not installed, or nothing."""
    if not any(map(shutil.which, CHROMIUMS)):
        return "chromium"
    return "" if shutil.which("chromedriver") else "chromedriver"


class Browser:
    """One Chromium with one window, driven by selenium."""

    def __init__(self):
        options = ChromeOptions()
        options.binary_location = next(filter(None, map(shutil.which, CHROMIUMS)))
        for argument in ARGUMENTS:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = ChromeService(executable_path=shutil.which("chromedriver"))
        self.driver = Chrome(options=options, service=service)
        # A page that is frozen for some seconds answers in its own time, and not never.
        self.driver.set_script_timeout(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    @contextmanager
    def tab(self):
        """Have another tab on top for a while; it is the one that is driven meanwhile."""
        before = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        try:
            yield
        finally:
            self.driver.close()
            self.driver.switch_to.window(before)

    def open(self, url):
        self.driver.get(url)

    def run(self, script, *arguments):
        """Run the body of a function in the page; returns what it returns, promises awaited."""
        wrapped = f"return (async (...arguments) => {{ {script} }})(...arguments)"
        return self.driver.execute_script(wrapped, *arguments)

    def until(self, script, *arguments, deadline=10.0):
        """Wait until *script* returns something true; returns it."""
        give_up = time.monotonic() + deadline
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < give_up, f"not within {deadline} s: {script} {arguments}"
            time.sleep(0.05)
        return found

    def command(self, name, **parameters):
        """Give a command of the Chrome DevTools Protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def complaints(self):
        """What was written into the console since the last call, but for failed connections."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] in ("WARNING", "SEVERE") and not EXPECTED.search(entry["message"])
        ]


class Lateness:
    """How late this process ran at worst, in seconds; a context manager.

    A test shares the machine with those it judges: what it could not do in time, it forgives.
    """

    def __init__(self):
        self.worst = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        pause = 0.02
        while True:
            before = time.monotonic()
            if self._over.wait(pause):
                return
            self.worst = max(self.worst, time.monotonic() - before - pause)


def require():
    """Skip without a Chromium on a laptop; fail without one in CI."""
    program = missing()
    if program and "CI" not in os.environ:
        pytest.skip(f"{program} is not installed")
    assert not program, f"{program} is not installed"


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all tests of a module."""
    require()
    with Browser() as browser:
        yield browser
