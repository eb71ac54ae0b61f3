"""The browser client in a real Chromium, on real servers, behind a link that fails on demand."""

import asyncio
import json
import time
from itertools import count

import pytest

from live.browser import Lateness
from live.stage import TESTS, Stage
from tour.proxy import ThreadedFaultProxy
from tour.servers import Server

pytestmark = pytest.mark.live

INTERVAL, TIMEOUT = 0.5, 1.0
BOUND = INTERVAL + TIMEOUT
OPTIONS = {"HEARTBEAT": {"interval": INTERVAL, "timeout": TIMEOUT}}
# One that was told nothing waits for up to 5 s, and up to 10 s more if it then tries too soon.
RETURN = 30.0
_numbers = count(1)

# A socket that keeps a diary; and how late its page ran at worst, for it shares the machine.
CONNECT = """
const [url, protocols, options] = arguments;
const { ResilientSocket } = await import("/resilient-socket.js");
globalThis.diary = [];
globalThis.heard = [];
globalThis.socket = new ResilientSocket(url, protocols, options);
socket.onstate = ({ detail }) => diary.push({ at: Date.now() / 1000, ...detail });
socket.onmessage = ({ data }) => heard.push(data);
globalThis.seen = [];
document.addEventListener("visibilitychange", () => seen.push(document.visibilityState));
let last = Date.now();
globalThis.lag = 0;
setInterval(() => {
  lag = Math.max(lag, (Date.now() - last) / 1000 - 0.05);
  last = Date.now();
}, 50);
"""


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def stage(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    journal = directory / "journal"
    server = Server(
        request.param,
        "live.browser_application:application",
        environment={
            "JOURNAL": str(journal),
            "DJANGO_SETTINGS_MODULE": "live.settings",
            "OPTIONS": json.dumps(OPTIONS),
        },
        directory=TESTS,
        log=directory / "server.log",
    )
    asyncio.run(server.start())
    yield Stage(server, journal)
    asyncio.run(server.stop())


@pytest.fixture
def link(stage):
    with ThreadedFaultProxy(stage.server.port) as link:
        yield link


@pytest.fixture
def page(browser, stage, link):
    # A tab that was frozen once is never quite the same again.
    with browser.tab(), Lateness() as lateness:
        yield Page(browser, stage, link, lateness)
    assert browser.complaints() == []


class Page:
    """An empty page that came over the link, with one resilient socket over the same link."""

    def __init__(self, browser, stage, link, lateness):
        self.browser = browser
        self.stage = stage
        self.link = link
        self.lateness = lateness
        self.key = f"b{next(_numbers)}"
        browser.open(f"http://127.0.0.1:{link.port}/")

    def connect(self, path="/async/", protocols=(), **options):
        self.browser.run(CONNECT, f"{path}?id={self.key}", list(protocols), options)
        self.reaches("open")

    def reaches(self, state, deadline=10.0):
        """Wait until the socket is in that state."""
        self.browser.until("return socket.state === arguments[0]", state, deadline=deadline)

    def went_through(self, state, **details):
        """Wait for an entry of that state in the diary, and return it."""
        wanted = {"state": state, **details}
        find = (
            "return diary.find((entry) => "
            "Object.entries(arguments[0]).every(([name, value]) => entry[name] === value))"
        )
        return self.browser.until(find, wanted)

    def bound(self):
        """Within what time a silence has to be noticed, on a machine that is this slow."""
        return BOUND + 1 + max(self.browser.run("return lag"), self.lateness.worst)

    def echoes(self):
        number = next(_numbers)
        self.do("echo", n=number)
        return self.hears({"echo": number})

    def hears(self, content):
        """Wait for a message; returns how often it came."""
        count = "return heard.filter((text) => text === arguments[0]).length"
        return self.browser.until(count, json.dumps(content))

    def do(self, what, **content):
        self.browser.run("socket.send(arguments[0])", json.dumps({"do": what, **content}))

    def entries(self, event):
        return self.stage.entries(self.key, event)

    def connections(self):
        """How many the server has seen of this page."""
        return len(self.entries("connect"))

    def journal(self, event, deadline=10.0):
        """Wait for the first such line that the server has written about us."""
        give_up = time.monotonic() + deadline
        while not (found := self.entries(event)):
            assert time.monotonic() < give_up, f"no {event!r}, only {self.entries(None)}"
            time.sleep(0.02)
        return found[0]


def test_a_hidden_page_keeps_its_connection(page):
    page.connect()

    with page.browser.tab():
        time.sleep(2 * BOUND)

    assert page.browser.until("return seen.length > 1 && seen") == ["hidden", "visible"]
    assert page.echoes()
    assert page.browser.run("return [socket.negotiated, diary.length]") == [True, 1]
    assert 0 < page.browser.run("return socket.rtt") < 5_000
    assert page.connections() == 1


def test_a_frozen_page_is_noticed_by_the_server_and_comes_back_when_it_thaws(page):
    page.connect()

    page.browser.command("Page.setWebLifecycleState", state="frozen")
    frozen = time.monotonic()
    given_up, ended = page.journal("closing"), page.journal("ended")
    page.browser.command("Page.setWebLifecycleState", state="active")

    assert (ended["code"], ended["kind"]) == (3408, "timeout")
    assert given_up["at"] - frozen < BOUND + 1 + page.lateness.worst
    # On its way back it may find the close frame, or that it came too late for it.
    assert page.went_through("waiting")["code"] in (3408, 1006)
    page.reaches("open", RETURN)
    assert page.echoes()


@pytest.mark.parametrize("fault", ["stall", "drop"])
def test_a_silent_link_is_noticed_at_both_ends_within_the_bound(page, fault):
    # The first attempt to come back may hang in the dead link.
    page.connect(connectTimeout=2_000)
    assert page.echoes()

    getattr(page.link, fault)()
    silent, silent_for_the_server = time.time(), time.monotonic()
    noticed = page.went_through("waiting")
    given_up, ended = page.journal("closing"), page.journal("ended")
    page.link.resume()

    assert (noticed["cause"], noticed["code"], noticed["verdict"]) == ("stale", 3408, "now")
    assert noticed["at"] - silent < page.bound()
    assert (ended["code"], ended["kind"]) == (3408, "timeout")
    assert given_up["at"] - silent_for_the_server < page.bound()
    page.reaches("open", RETURN)
    assert page.echoes()


def test_a_cut_link_is_made_anew_and_nothing_is_sent_twice(page):
    page.connect()

    page.link.refuse()
    page.link.cut()
    lost = page.went_through("waiting")
    queued = page.browser.run("return socket.send(arguments[0])", '{"do": "say", "text": "hi"}')
    page.link.resume()
    page.reaches("open", RETURN)

    assert (lost["cause"], lost["code"]) == ("lost", 1006)
    assert page.journal("ended")["kind"] == "lost"
    assert queued == "queued"
    assert page.hears({"said": "hi"}) == 1
    assert page.echoes()
    assert page.hears({"said": "hi"}) == 1
    assert page.connections() == 2


def test_a_killed_server_is_missed_until_it_is_back(page):
    page.connect()
    server = page.stage.server

    server.process.kill()
    lost = page.went_through("waiting")
    page.went_through("waiting", previous="connecting")
    asyncio.run(server.start())
    page.link.lead_to(server.port)
    # How many attempts that takes depends on how long the server needs to start.
    page.reaches("open", 2 * RETURN)

    assert lost["code"] == 1006
    assert page.echoes()
    assert page.connections() == 2


def test_a_browser_that_is_offline_waits_for_its_network(page):
    page.connect()

    page.browser.command("Network.enable")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.browser.command("Network.emulateNetworkConditions", offline=True, **offline)
    page.link.cut()
    waiting = page.went_through("offline")
    page.browser.command("Network.emulateNetworkConditions", offline=False, **offline)
    back = page.went_through("connecting", cause="online")

    assert waiting["delay"] > 10_000
    assert back["at"] - waiting["at"] < waiting["delay"] / 1000
    page.reaches("open")
    assert page.echoes()


def test_a_client_obeys_what_the_server_says_at_the_end(page):
    page.connect()

    page.do("close", code=3512)
    told = page.went_through("waiting", code=3512)
    page.reaches("open")
    page.do("close", code=3403)
    page.reaches("stopped")

    assert told["verdict"] == "now"
    assert told["delay"] < 1_000
    assert page.went_through("stopped")["cause"] == "verdict"
    time.sleep(0.5)
    assert page.connections() == 2


def test_the_applications_own_subprotocol_is_chosen_as_ever(page):
    page.key += "&subprotocol=chat"

    page.connect(protocols=["chat"])

    assert page.browser.run("return [socket.protocol, socket.negotiated]") == ["chat", True]


def test_without_our_protocol_no_control_frame_comes(page):
    page.connect(protocol=False)

    assert page.echoes()
    time.sleep(BOUND)
    assert page.browser.run("return [socket.negotiated, socket.rtt, heard.length]") == [
        False, None, 1,
    ]  # fmt: skip
