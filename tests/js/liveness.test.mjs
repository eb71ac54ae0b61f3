// A server that falls silent is noticed, and a live one is never given up.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browser, LOST, control } from "./browser.mjs";

const LIMIT = 45_000; // the default interval and timeout of the server

const pings = (socket) => socket.controls.filter(({ type }) => type === "ping");

test("a silent server is asked, and given up exactly at the limit", () => {
  const browser = new Browser();
  browser.meet();

  browser.clock.advance(LIMIT - 5_001);
  assert.equal(pings(browser.last).length, 0);
  browser.clock.advance(1);
  assert.equal(pings(browser.last).length, 1, "nobody is given up who was not asked");
  browser.clock.advance(4_999);
  assert.equal(browser.client.state, "open");
  browser.clock.advance(1);

  assert.equal(browser.client.state, "waiting");
  const { cause, code, reason, verdict, delay } = browser.client.detail;
  assert.deepEqual(
    { cause, code, reason, verdict, delay },
    { cause: "stale", code: 3408, reason: "heartbeat timeout", verdict: "now", delay: LOST },
  );
  assert.deepEqual(browser.sockets[0].closedWith, { code: 3408, reason: "heartbeat timeout" });
});

test("it comes back without waiting for the dead peer's close", () => {
  const browser = new Browser();
  browser.meet();
  browser.clock.advance(LIMIT + LOST);

  assert.equal(browser.sockets[0].readyState, 2, "the closing handshake still hangs");
  assert.equal(browser.sockets[0].isAttached, false);
  browser.greet();
  assert.equal(browser.client.state, "open");

  browser.sockets[0].end(1006, "", false); // minutes later
  assert.equal(browser.client.state, "open");
  assert.equal(browser.events("close").length, 1);
});

for (const [what, text] of [
  ["a ping", control({ type: "ping", n: 1 })],
  ["a message", "hello"],
  ["a frame nobody understands", control({ type: "?" })],
]) {
  test(`${what} of the server is a sign of life`, () => {
    const browser = new Browser();
    browser.meet();

    for (let i = 0; i < 20; i++) {
      browser.clock.advance(LIMIT - 1);
      browser.last.deliver(text);
    }

    assert.equal(browser.client.state, "open");
    assert.equal(browser.sockets.length, 1);
  });
}

test("a server that beats is not asked", () => {
  const browser = new Browser();
  browser.meet();

  for (let n = 0; n < 200; n++) {
    browser.clock.advance(25_000);
    browser.last.deliver(control({ type: "ping", n }));
  }

  assert.equal(pings(browser.last).length, 0);
  assert.equal(browser.clock.timers.size, 1);
});

for (const [interval, timeout] of [
  [1_000, 500],
  [200, 100],
  [25_000, 60_000],
]) {
  test(`the bound is ${interval} + ${timeout}, as the server says`, () => {
    const browser = new Browser();
    browser.meet({}, { interval, timeout });

    browser.clock.advance(interval + timeout - 1);
    assert.equal(browser.client.state, "open");
    browser.clock.advance(1);

    assert.equal(browser.client.detail.cause, "stale");
  });
}

for (const [interval, timeout] of [
  [null, null],
  [null, 20_000],
  ["25000", 20_000],
  [-1, 20_000],
  [0, 0],
  [{}, []],
]) {
  test(`a server without heartbeats (${JSON.stringify([interval, timeout])}) may be silent for ever`, () => {
    const browser = new Browser();
    browser.meet({}, { interval, timeout });

    browser.clock.advance(24 * 3600_000);

    assert.equal(browser.client.state, "open");
    assert.equal(browser.clock.timers.size, 0);
  });
}

test("times that no timer can hold are no busy loop", () => {
  const browser = new Browser();
  browser.meet({}, { interval: 1e300, timeout: 1e300 });

  browser.clock.advance(24 * 3600_000);

  assert.equal(browser.client.state, "open");
  assert.equal(browser.clock.timers.size, 1);
});

test("a naked connection may be silent for ever", () => {
  const browser = new Browser();
  browser.open("/ws/", [], { protocol: false });
  browser.last.accept();

  browser.clock.advance(24 * 3600_000);
  browser.tell("online");
  browser.show();
  browser.clock.advance(24 * 3600_000);

  assert.equal(browser.client.state, "open");
  assert.equal(browser.sockets.length, 1);
  assert.deepEqual(browser.last.sent, []);
});

test("a naked connection with staleAfter may not", () => {
  const browser = new Browser();
  browser.open("/ws/", [], { protocol: false, staleAfter: 60_000 });
  browser.last.accept();
  browser.clock.advance(59_999);
  browser.last.deliver("tick");

  browser.clock.advance(59_999);
  assert.equal(browser.client.state, "open");
  browser.clock.advance(1);

  assert.equal(browser.client.detail.cause, "stale");
  assert.deepEqual(browser.sockets[0].sent, [], "it has no ping to send");
});

test("staleAfter is not cut short by a wake-up: a naked server cannot be asked", () => {
  const browser = new Browser();
  browser.open("/ws/", [], { protocol: false, staleAfter: 60_000 });
  browser.last.accept();
  browser.clock.advance(40_000);

  for (const type of ["online", "offline", "pageshow", "resume"]) browser.tell(type);
  browser.clock.advance(19_999);
  assert.equal(browser.client.state, "open");
  browser.clock.advance(1);

  assert.equal(browser.client.detail.cause, "stale");
});

test("nor is the wait for the hello", () => {
  const browser = new Browser();
  browser.open();
  browser.last.accept("resilient.v1");
  browser.clock.advance(1_000);

  for (const type of ["online", "offline", "pageshow", "resume"]) browser.tell(type);
  browser.clock.advance(13_999);
  assert.equal(browser.client.state, "open");
  browser.clock.advance(1);

  assert.equal(browser.client.detail.cause, "stale");
});

test("staleAfter serves where the server's heartbeats are off", () => {
  const browser = new Browser();
  browser.meet({ staleAfter: 60_000 }, { interval: null, timeout: null });

  browser.clock.advance(60_000);

  assert.equal(pings(browser.sockets[0]).length, 1);
  assert.equal(browser.client.detail.cause, "stale");
});

test("the server's heartbeats come before staleAfter", () => {
  const browser = new Browser();
  browser.meet({ staleAfter: 10_000 });

  browser.clock.advance(20_000);

  assert.equal(browser.client.state, "open");
});

test("a server that accepts and never says hello is given up", () => {
  const browser = new Browser();
  browser.open("/ws/", [], { connectTimeout: 8_000 });
  browser.last.accept("resilient.v1");

  browser.clock.advance(7_999);
  assert.equal(browser.client.state, "open");
  browser.clock.advance(1);

  assert.equal(browser.client.detail.cause, "stale");
  assert.deepEqual(browser.sockets[0].sent, [], "before the hello there is nobody to ask");
});

// -- sleep, freeze, debugger, clocks

test("after a sleep a live server is asked and kept", () => {
  const browser = new Browser();
  browser.meet();

  browser.clock.sleep(8 * 3600_000);
  assert.equal(browser.client.state, "open");
  assert.equal(pings(browser.last).length, 1);
  browser.clock.advance(200);
  browser.last.deliver(control({ type: "pong", n: pings(browser.last)[0].n }));
  browser.clock.advance(30_000);

  assert.equal(browser.client.state, "open");
  assert.equal(browser.client.rtt, 200);
});

test("after a sleep a dead server is noticed within 5 s", () => {
  const browser = new Browser();
  browser.meet();

  browser.clock.sleep(8 * 3600_000);
  browser.clock.advance(5_000);

  assert.equal(browser.client.detail.cause, "stale");
});

test("with a timeout below 5 s, within that", () => {
  const browser = new Browser();
  browser.meet({}, { interval: 5_000, timeout: 2_000 });

  browser.clock.sleep(3600_000);
  browser.clock.advance(2_000);

  assert.equal(browser.client.detail.cause, "stale");
});

test("frames that came while the page was stopped are not overlooked", () => {
  const browser = new Browser();
  browser.meet();
  browser.clock.advance(LIMIT - 5_000); // asked; the answer is 20 ms away
  const [{ n }] = pings(browser.last);

  browser.clock.sleep(60_000); // a breakpoint; timers run first, then the frames that waited
  assert.equal(browser.client.state, "open");
  browser.last.deliver(control({ type: "pong", n }));
  browser.clock.advance(10_000);

  assert.equal(browser.client.state, "open");
});

test("timers that are late each time do not keep a dead server alive", () => {
  const browser = new Browser();
  browser.meet();

  for (let minute = 0; minute < 4; minute++) browser.clock.sleep(60_000); // a hidden page

  assert.equal(browser.client.detail.cause, "retry", "given up, waited, tries again");
  assert.equal(browser.sockets.length, 2);
  assert.equal(pings(browser.sockets[0]).length, 2);
});

test("a hidden page with timers once a minute keeps a live server", () => {
  const browser = new Browser();
  browser.meet();
  let n = 0;

  for (let minute = 0; minute < 60; minute++) {
    for (const [id, timer] of browser.clock.timers) {
      browser.clock.timers.set(id, { ...timer, due: timer.due + 60_000 });
    }
    browser.clock.advance(24_000);
    browser.last.deliver(control({ type: "ping", n: n++ }));
    browser.clock.advance(24_000);
    browser.last.deliver(control({ type: "ping", n: n++ }));
    browser.clock.advance(12_000);
  }

  assert.equal(browser.sockets.length, 1);
  assert.equal(browser.client.state, "open");
});

test("a clock that is set back does not hide a dead server for long", () => {
  const browser = new Browser();
  browser.meet();
  browser.clock.advance(10_000);
  const shift = 3600_000;
  browser.clock.time -= shift;
  for (const timer of browser.clock.timers.values()) timer.due -= shift; // timers do not care

  browser.clock.advance(2 * LIMIT);

  assert.equal(browser.events("close")[0].code, 3408);
});

test("a clock that is set forward kills nobody", () => {
  const browser = new Browser();
  browser.meet();
  browser.clock.time += 3600_000;
  for (const timer of browser.clock.timers.values()) timer.due += 3600_000;

  browser.clock.advance(40_000);
  assert.equal(pings(browser.last).length, 1);
  browser.last.deliver(control({ type: "pong", n: 1 }));
  browser.clock.advance(30_000);

  assert.equal(browser.client.state, "open");
});

test("two hundred reconnections leave one socket and one timer", () => {
  const browser = new Browser();
  browser.meet();

  for (let i = 0; i < 200; i++) {
    browser.clock.advance(LIMIT + LOST);
    browser.greet();
  }

  assert.equal(browser.sockets.length, 201);
  assert.equal(browser.attached.length, 1);
  assert.equal(browser.clock.timers.size, 1);
  browser.client.close();
  browser.last.end(1000);
  browser.assertQuiet();
});
