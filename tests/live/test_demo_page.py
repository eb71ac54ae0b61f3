"""The demo page in a real Chromium: every button, on both servers, and what a person reads then."""

import os
import re
from contextlib import ExitStack
from importlib.util import find_spec

import pytest
from selenium.webdriver import Keys

from config.settings import RESILIENT_CHANNELS
from live.browser import Browser, Lateness, require
from live.demo import Demo
from live.demo_page import POOR_CONTRASTS, Page

pytestmark = pytest.mark.live

SERVERS = ["daphne", "uvicorn"]
OTHER_SERVERS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            find_spec(module) is None and "CI" not in os.environ,
            reason=f"{module} is not installed",
        ),
    )
    for name, module in (
        ("uvicorn-wsproto", "wsproto"),
        ("hypercorn", "hypercorn"),
        ("granian", "granian"),
    )
]
BOUND = sum(RESILIENT_CHANNELS["HEARTBEAT"].values())
OUTBOX_MB = RESILIENT_CHANNELS["OUTBOX"]["bytes"] / 1_000_000

OPEN = "still open and answers."
HUNG = r"still open and answers; its handler hung in send\(\) for [\d.]+ s."
PILED_UP = r"still open and answers; (?P<mb>\d+) MB that it did not read piled up in the server."
GONE = r"closed (1006|1011); disconnect\(\) did not run; stays closed."
CLOSED = r"closed \d+; disconnect\(.*"
# What becomes of the plain pane, and of the resilient one: whether it is fine, and the words.
EXPECTED = {
    "handler-exception": [("bad", GONE), ("good", OPEN)],
    "unknown-event": [("bad", GONE), ("good", OPEN)],
    # Whether a plain consumer's disconnect() runs here is the server's affair.
    "send-after-close": [
        (None, CLOSED),
        ("good", r"closed 4001; disconnect\(4001\) ran once; back after .*"),
    ],
    "double-close": [
        (None, CLOSED),
        ("good", r"closed 4001; disconnect\(4001\) ran once; back after .*"),
    ],
    "slow-handler": [("good", OPEN), ("good", OPEN)],
    "malformed-json": [("bad", GONE), ("good", OPEN)],
    "binary-frame": [("bad", GONE), ("good", OPEN)],
    "empty-frame": [("bad", GONE), ("good", OPEN)],
    "flood": [
        ("bad", "still open and answers; nobody kept the page from sending 400 messages at once."),
        ("good", r"closed 3429; disconnect\(3429\) ran once; back after [\d.]+ s."),
    ],
    "leave-in-handler": [
        (None, CLOSED),
        ("good", r"closed \d+; disconnect\(3000\) ran once."),
    ],
    "close-1000": [
        ("good", r"closed 1000; disconnect\(1000\) ran once."),
        ("good", r"closed 1000; disconnect\(1000\) ran once."),
    ],
    # Daphne answers every close frame with 1000.
    "close-4000": [
        ("good", r"closed \d+; disconnect\(4000\) ran once."),
        ("good", r"closed \d+; disconnect\(4000\) ran once."),
    ],
    "frozen-page": [
        ("bad", "still open and answers; the server never noticed that nobody was there."),
        (
            "good",
            r"closed 3408; the server noticed after (?P<seconds>[\d.]+) s; "
            r"disconnect\(3408\) ran once; back after .*",
        ),
    ],
    # Whoever reads on only after more than a second does not learn why it was given up.
    "slow-reader": [
        ("bad", f"{HUNG}|{PILED_UP}"),
        ("good", r"closed (3420|1006); disconnect\(3420\) ran once; back after [\d.]+ s."),
    ],
    "layer-away": [("bad", GONE), ("good", OPEN)],
    "blocked-loop": [
        ("good", "still open and answers; the server stood still for 3 s and dropped nobody."),
        ("good", "still open and answers; the server stood still for 3 s and dropped nobody."),
    ],
    # What a plain consumer and its client learn of it is the server's affair, too.
    "deploy": [
        ("bad", r"closed (1006|1012); disconnect\(.*; stays closed."),
        ("good", r"closed 3512; disconnect\(3512\) ran once; back after [\d.]+ s."),
    ],
    "server-restart": [
        ("bad", "closed 1006; stays closed."),
        ("good", r"closed 1006; back after [\d.]+ s."),
    ],
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Both demos, each in a browser of its own: one is frozen while the other one is not."""
    require()
    directory = tmp_path_factory.mktemp("demo")
    with ExitStack() as stack:
        found = {}
        for server in SERVERS:
            demo = stack.enter_context(Demo(server, directory / server))
            found[server] = Page(stack.enter_context(Browser()), demo)
        yield found


@pytest.fixture(scope="module")
def reports(pages):
    """What both panes say after each button was pressed, and what the browser complained of."""
    found = {server: {} for server in SERVERS}
    with Lateness() as lateness:
        for fault in EXPECTED:
            for page in pages.values():
                page.press(fault)
            for server, page in pages.items():
                page.rests()
                found[server][fault] = page.reports(fault)
    for server, page in pages.items():
        found[server]["complaints"] = page.browser.complaints()
        found[server]["lateness"] = lateness.worst
    return found


def test_every_button_is_pressed_here(pages):
    names = "return [...document.querySelectorAll('[data-fault]')].map((one) => one.dataset.fault)"

    assert pages["daphne"].browser.run(names) == list(EXPECTED)


@pytest.mark.parametrize("fault", EXPECTED)
@pytest.mark.parametrize("server", SERVERS)
def test_every_button_says_what_became_of_both_panes(reports, server, fault):
    for (kind, words), (wanted, pattern) in zip(
        reports[server][fault], EXPECTED[fault], strict=True
    ):
        assert re.fullmatch(pattern, words), words
        assert wanted is None or kind == wanted, words


@pytest.mark.parametrize("server", SERVERS)
def test_the_server_notices_a_frozen_page_within_the_bound(reports, server):
    _, (_, words) = reports[server]["frozen-page"]

    noticed = re.fullmatch(EXPECTED["frozen-page"][1][1], words)

    # The page tells what it is up to before it freezes.
    told = 0.1
    assert float(noticed["seconds"]) < told + BOUND + 1 + reports[server]["lateness"]


@pytest.mark.parametrize(("server", "pattern"), [("daphne", PILED_UP), ("uvicorn", HUNG)])
def test_a_page_that_does_not_read_costs_a_plain_server_memory_or_time(reports, server, pattern):
    (_, words), _ = reports[server]["slow-reader"]

    found = re.fullmatch(pattern, words)

    assert found, words
    # More than the outbox of a resilient consumer would hold.
    assert server != "daphne" or int(found["mb"]) > 5 * OUTBOX_MB


@pytest.mark.parametrize("server", SERVERS)
def test_only_a_flood_meets_the_limit_and_only_a_slow_reader_the_bound(pages, reports, server):
    log = pages[server].demo.log_text()

    assert log.count("limit.exceeded ") == 1
    assert log.count("outbox.overflow ") == 1


@pytest.mark.parametrize("server", SERVERS)
def test_a_deployment_leaves_nobody_behind(pages, reports, server):
    log = pages[server].demo.log_text()

    assert log.count("drain.began ") == 1
    assert re.search(r"drain.ended closed=1 left=0 ", log)
    # After the deployment, and after the crash.
    assert log.count("here is a new one") == 2


@pytest.mark.parametrize("server", SERVERS)
def test_the_browser_has_nothing_to_complain_of(reports, server):
    assert reports[server]["complaints"] == []


@pytest.mark.parametrize("server", SERVERS)
def test_in_the_end_the_plain_pane_is_dead_and_the_resilient_one_lives(pages, reports, server):
    page = pages[server]

    page.shows("plain", "state", "closed 1006")
    page.shows("plain", "next", "never")
    page.shows("resilient", "state", "open")
    page.shows("resilient", "rtt", r"\d+\.\d ms")


def test_a_page_that_breaks_the_policy_would_be_noticed(pages):
    browser = pages["daphne"].browser
    browser.complaints()

    browser.run(
        "const script = document.createElement('script'); script.textContent = '1';"
        "document.head.append(script)"
    )

    assert "Content Security Policy" in browser.complaints()[0]


def test_all_of_it_works_from_the_keyboard(pages):
    page = Page(pages["uvicorn"].browser, pages["uvicorn"].demo)
    has_focus = "return document.activeElement.dataset.fault"

    page.find("body").send_keys(Keys.TAB)
    assert page.browser.run(has_focus) == "handler-exception"
    page.browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.rests()
    assert page.browser.run(has_focus) == "handler-exception"
    page.shows("plain", "state", r"closed \d+")
    again = page.find("[data-kind=plain] .again")
    again.send_keys(Keys.ENTER)
    page.shows("plain", "state", "open")
    page.find("#say-plain").send_keys("hello from the keyboard", Keys.ENTER)

    page.browser.until(
        "return [...document.querySelectorAll('.log')]"
        ".every((log) => log.innerText.includes('hello from the keyboard'))"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_can_be_read_in_any_light_and_on_any_screen(pages, scheme, width):
    browser = pages["daphne"].browser
    browser.command(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=900, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    browser.command(
        "Emulation.setEmulatedMedia",
        features=[{"name": "prefers-color-scheme", "value": scheme}],
    )

    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run(POOR_CONTRASTS) == []


@pytest.mark.parametrize("server", OTHER_SERVERS)
def test_a_deployment_is_survived_on_other_servers_too(pages, tmp_path, server):
    with Demo(server, tmp_path / "demo.log") as demo:
        page = Page(pages["daphne"].browser, demo)

        page.press("deploy")
        page.rests()

        _, (kind, words) = page.reports("deploy")
        assert kind == "good", words
        assert re.fullmatch(EXPECTED["deploy"][1][1], words), words
        assert demo.interrupt() == 0


def test_without_a_server_the_resilient_pane_counts_down_and_keeps_what_is_said(pages):
    page = pages["uvicorn"]

    assert page.demo.end() == 0
    page.shows("resilient", "next", r"in \d+\.\d s")
    page.find("#say-resilient").send_keys("is anybody there?", Keys.ENTER)

    page.shows("resilient", "log", "[^]*the message waits for the next connection[^]*")
    page.shows("resilient", "log", "[^]*Nobody answered: the next try is in [^]*")
    page.shows("resilient", "again", "Try now")
    page.shows("plain", "state", r"closed \d+")
    page.shows("plain", "next", "never")


def test_ctrl_c_ends_the_demo_without_a_drain(pages):
    page = Page(pages["daphne"].browser, pages["daphne"].demo)
    before = page.demo.log_text().count("drain.began")

    assert page.demo.interrupt() == 0

    page.shows("resilient", "log", "[^]*Nobody answered: the next try is in [^]*")
    assert page.demo.log_text().count("drain.began") == before
