// What the page tells: networks that come and go, pages that are hidden, frozen, left.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browser, LOST, control } from "./browser.mjs";

const pings = (socket) => socket.controls.filter(({ type }) => type === "ping");
const WAKES = ["online", "pageshow", "visibilitychange", "resume"];

/** A client that waits 30 s for its next attempt. */
function waiting() {
  const browser = new Browser();
  browser.chance = 0.999;
  browser.open();
  for (let i = 0; i < 8; i++) {
    browser.last.cut();
    browser.clock.advance(browser.client.detail.delay);
  }
  browser.last.cut();
  assert.ok(browser.client.detail.delay > 29_000);
  return browser;
}

for (const type of WAKES) {
  test(`${type}: a waiting client tries at once`, () => {
    const browser = waiting();
    const before = browser.sockets.length;

    browser.tell(type);

    assert.equal(browser.sockets.length, before + 1);
    assert.equal(browser.client.detail.cause, type);
  });

  test(`${type}: a long silence is followed by a question, and by no second one`, () => {
    const browser = new Browser();
    browser.meet();
    browser.clock.advance(25_001);

    browser.tell(type);
    browser.tell(type);
    assert.equal(pings(browser.last).length, 1);
    browser.clock.advance(5_000);

    assert.equal(browser.client.detail.cause, "stale");
  });

  test(`${type}: a server that answers is kept`, () => {
    const browser = new Browser();
    browser.meet();
    browser.clock.advance(30_000);

    browser.tell(type);
    browser.clock.advance(4_999);
    browser.last.deliver(control({ type: "pong", n: 1 }));
    browser.clock.advance(30_000);

    assert.equal(browser.client.state, "open");
    assert.equal(browser.sockets.length, 1);
  });

  test(`${type}: without heartbeats the server is asked, too`, () => {
    const browser = new Browser();
    browser.meet({}, { interval: null, timeout: null });
    browser.clock.advance(1);

    browser.tell(type);
    assert.equal(pings(browser.last).length, 1);
    browser.clock.advance(5_000);

    assert.equal(browser.client.detail.cause, "stale");
  });

  test(`${type}: does not start a stopped client`, () => {
    const browser = new Browser();
    browser.meet();
    browser.last.end(3403);

    browser.tell(type);

    assert.equal(browser.sockets.length, 1);
    browser.assertQuiet();
  });

  test(`${type}: the server's wish to be left alone is respected`, () => {
    const browser = new Browser();
    browser.meet();
    browser.last.deliver(
      control({ type: "bye", code: 3512, reason: "", verdict: "now", after_ms: 60_000 }),
    );
    browser.last.end(3512);
    browser.clock.advance(10_000);

    browser.tell(type);
    browser.clock.advance(49_999);
    assert.equal(browser.sockets.length, 1);
    browser.clock.advance(1);

    assert.equal(browser.sockets.length, 2);
  });
}

for (const type of ["pageshow", "visibilitychange", "resume"]) {
  test(`${type}: after a short silence nobody is asked`, () => {
    const browser = new Browser();
    browser.meet();
    browser.clock.advance(25_000);

    browser.tell(type);

    assert.equal(pings(browser.last).length, 0);
  });
}

test("four events of one wake-up are one attempt", () => {
  const browser = waiting();
  const before = browser.sockets.length;

  for (const type of ["resume", "visibilitychange", "pageshow"]) browser.tell(type);

  assert.equal(browser.sockets.length, before + 1);
});

test("a page that is hidden is no page that is shown", () => {
  const browser = waiting();
  const before = browser.sockets.length;

  browser.hide();
  assert.equal(browser.sockets.length, before);
  browser.show();
  assert.equal(browser.sockets.length, before + 1);
});

test("hidden pages keep their connection, and reconnect", () => {
  const browser = new Browser();
  browser.meet();
  browser.hide();
  browser.last.cut();
  browser.clock.advance(LOST);

  assert.equal(browser.sockets.length, 2);
});

// -- networks

test("offline: an open connection is asked, not cut", () => {
  const browser = new Browser();
  browser.meet();

  browser.goOffline();
  assert.equal(browser.client.state, "open");
  assert.equal(pings(browser.last).length, 1);
  browser.last.deliver(control({ type: "pong", n: 1 })); // the browser is wrong: it is loopback
  browser.clock.advance(20_000);

  assert.equal(browser.client.state, "open");
});

test("offline: a connection that is lost waits for the network", () => {
  const browser = new Browser();
  browser.meet();
  browser.goOffline();
  browser.clock.advance(5_000);

  assert.equal(browser.client.state, "offline");
  assert.equal(browser.client.detail.cause, "stale");
  assert.equal(browser.client.readyState, 0);
  browser.goOnline();
  assert.equal(browser.client.state, "connecting");
  assert.equal(browser.sockets.length, 2);
});

test("offline for an hour is at most one attempt every 15 s", () => {
  const browser = new Browser();
  browser.chance = 0;
  browser.meet();
  browser.goOffline();
  browser.last.cut();
  const end = browser.clock.now() + 3600_000;

  while (browser.clock.now() < end) {
    assert.equal(browser.client.state, "offline");
    browser.clock.advance(browser.client.detail.delay);
    browser.last.cut(); // offline, an attempt fails at once
  }

  assert.ok(browser.sockets.length <= 242, `${browser.sockets.length} attempts`);
  assert.ok(browser.sockets.length > 100, "but it does not believe the browser altogether");
});

test("a waiting client that goes offline says so and waits longer", () => {
  const browser = new Browser();
  browser.meet();
  browser.last.cut();
  assert.equal(browser.client.state, "waiting");

  browser.goOffline();

  assert.equal(browser.client.state, "offline");
  assert.equal(browser.client.detail.delay, 22_500);
  assert.equal(browser.clock.timers.size, 1);
});

test("the first attempt is made even offline", () => {
  const browser = new Browser({ onLine: false });
  browser.open();

  assert.equal(browser.sockets.length, 1);
});

test("online again, the delays begin from the start", () => {
  const browser = waiting();

  browser.goOnline();
  browser.last.cut();

  assert.ok(browser.client.detail.delay < 5_000);
});

test("online: an attempt that began before is begun again", () => {
  const browser = new Browser();
  browser.open();
  browser.clock.advance(3_000);

  browser.goOnline();

  assert.equal(browser.sockets.length, 2);
  assert.equal(browser.sockets[0].isAttached, false);
  browser.clock.advance(14_999);
  assert.equal(browser.client.state, "connecting", "with its full time");
});

test("online: a new network is reason enough to ask", () => {
  const browser = new Browser();
  browser.meet();
  browser.clock.advance(100);

  browser.goOnline();

  assert.equal(pings(browser.last).length, 1);
});

test("a network that flaps does not flood the server", () => {
  const browser = new Browser();
  browser.meet();

  for (let i = 0; i < 50; i++) {
    browser.goOffline();
    browser.goOnline();
  }

  assert.equal(pings(browser.last).length, 1);
});

// -- pages that are left and come back

test("a page that is left closes politely, and opens again when it comes back", () => {
  const browser = new Browser();
  browser.meet();

  browser.tell("pagehide");

  assert.deepEqual(browser.last.closedWith, { code: 1000, reason: "pagehide" });
  assert.equal(browser.client.state, "waiting");
  assert.equal(browser.client.detail.cause, "pagehide");
  assert.equal(browser.events("close")[0].wasClean, true);
  assert.equal(browser.clock.timers.size, 0, "nothing keeps the page from being kept");
  assert.deepEqual(browser.attached, []);

  browser.clock.sleep(3600_000);
  browser.tell("pageshow");
  assert.equal(browser.sockets.length, 2);
  browser.greet();
  assert.equal(browser.client.state, "open");
});

test("a page that is left while it waits comes back, too", () => {
  const browser = waiting();
  const before = browser.sockets.length;

  browser.tell("pagehide");
  assert.equal(browser.clock.timers.size, 0);
  browser.clock.sleep(3600_000);
  assert.equal(browser.sockets.length, before);
  browser.tell("pageshow");

  assert.equal(browser.sockets.length, before + 1);
});

test("a page that is left while it connects comes back, too", () => {
  const browser = new Browser();
  browser.open();

  browser.tell("pagehide");
  assert.equal(browser.events("close").length, 0, "nothing was open");
  browser.tell("pageshow");

  assert.equal(browser.sockets.length, 2);
  assert.equal(browser.attached.length, 1);
});

test("what is sent on the way out is queued for the way back", () => {
  const browser = new Browser();
  browser.meet();
  browser.tell("pagehide");

  assert.equal(browser.client.send("draft"), "queued");
  browser.tell("pageshow");
  browser.greet();

  assert.ok(browser.last.sent.includes("draft"));
});

test("a stopped client does not mind a page that is left", () => {
  const browser = new Browser();
  browser.meet();
  browser.client.close();

  browser.tell("pagehide");
  browser.last.end(1000);

  browser.assertQuiet();
});

test("without a page there is nothing to listen to", () => {
  const browser = new Browser();
  browser.window = { location: { href: "https://chat.example/" } };

  browser.open();
  browser.last.cut();
  browser.clock.advance(LOST);

  assert.equal(browser.sockets.length, 2);
});
