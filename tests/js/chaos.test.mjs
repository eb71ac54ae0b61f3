// Any order of events leaves the client whole; a crowd of clients does not storm its server.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browser, control, settle } from "./browser.mjs";

/** A small generator of chance that can be told where to begin (mulberry32). */
function chance(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const CODES = [1000, 1001, 1006, 1008, 1011, 3401, 3403, 3408, 3411, 3503, 3512, 4000];
const VERDICTS = ["now", "backoff", "auth", "never", "nonsense"];

function deeds(browser, random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const { client } = browser;
  return [
    () => browser.clock.advance(random() * 60_000),
    () => browser.clock.advance(random() * 1_000),
    () => browser.clock.sleep(random() * 600_000),
    () => browser.last?.readyState === 0 && browser.last.accept("resilient.v1"),
    () =>
      browser.last?.deliver(
        control({
          type: "hello",
          version: 1,
          interval_ms: pick([null, 200, 25_000]),
          timeout_ms: pick([null, 100, 20_000]),
        }),
      ),
    () => browser.last?.deliver(control({ type: "ping", n: 1 })),
    () => browser.last?.deliver("hello"),
    () => browser.last?.readyState < 3 && browser.last.cut(),
    () => browser.last?.readyState < 3 && browser.last.end(pick(CODES)),
    () => browser.sockets.forEach((each) => each.readyState === 2 && each.end(1006)),
    () =>
      browser.last?.deliver(
        control({ type: "bye", code: pick(CODES), verdict: pick(VERDICTS), after_ms: random() * 9e3 }),
      ),
    () => browser.goOffline(),
    () => browser.goOnline(),
    () => browser.hide(),
    () => browser.show(),
    () => browser.tell("pagehide"),
    () => browser.tell("pageshow"),
    () => browser.tell("resume"),
    () => random() < 0.2 && client.close(),
    () => random() < 0.5 && client.reconnect(),
  ];
}

function assertWhole(browser) {
  const { client, clock, attached } = browser;
  assert.ok(attached.length <= 1, "one socket at most can call back");
  assert.ok(clock.timers.size <= 1, "each state has one timer at most");
  assert.deepEqual(
    browser.sockets.filter(({ readyState }) => readyState < 2),
    attached.filter(({ readyState }) => readyState < 2),
    "no socket that was let go is left open",
  );
  if (client.state === "stopped") browser.assertQuiet();
  if (client.state === "open") assert.equal(attached.length, 1);
  if (client.state === "waiting" && client.detail.cause !== "pagehide") {
    assert.equal(clock.timers.size, 1, "a client that waits will do something");
  }
  if (["offline", "connecting", "closing"].includes(client.state)) {
    assert.equal(clock.timers.size, 1, `${client.state} ends by itself`);
  }
}

test("2,000 random lives", async () => {
  let steps = 0;
  const reached = new Set();
  for (let seed = 1; seed <= 2_000; seed++) {
    const random = chance(seed);
    const browser = new Browser();
    const source = random() < 0.3 ? async () => "/ws/" : "/ws/";
    const kept = [];
    browser.open(source, [], {
      random,
      authenticate: random() < 0.5 ? async () => random() < 0.8 : null,
      overflow: random() < 0.5 ? "throw" : "drop-oldest",
      queueMessages: 5,
    });
    const possible = deeds(browser, random);
    for (let step = 0; step < 30; step++, steps++) {
      possible[Math.floor(random() * possible.length)]();
      if (random() < 0.1) await settle();
      try {
        const text = `message ${step}`;
        browser.client.send(text);
        kept.push(text);
      } catch (error) {
        assert.match(error.name, /InvalidStateError|QuotaExceededError/);
      }
      try {
        assertWhole(browser);
      } catch (error) {
        error.message = `seed ${seed}, step ${step}, ${browser.client.state}: ${error.message}`;
        throw error;
      }
      reached.add(browser.client.state);
    }
    browser.client.close();
    browser.sockets.forEach((each) => each.isAttached && each.end(1000));
    browser.assertQuiet();
    // Every message that was taken went into a socket, once, or was handed back, once.
    const sent = browser.sockets.flatMap((each) => each.sent).filter((text) => text[0] === "m");
    const dropped = browser.events("drop").flatMap(({ messages }) => messages);
    assert.deepEqual([...sent, ...dropped].sort(), kept.sort(), `seed ${seed}`);
  }
  assert.equal(reached.size, 7, [...reached].join());
  assert.equal(steps, 60_000);
});

test("a listener that always closes what is not open, in 300 random lives", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = chance(seed);
    const browser = new Browser();
    const client = browser.open("/ws/", [], { random });
    client.onstate = () => random() < 0.2 && client.close();
    client.onclose = () => random() < 0.2 && client.reconnect();
    const possible = deeds(browser, random);
    for (let step = 0; step < 40; step++) {
      possible[Math.floor(random() * possible.length)]();
      assertWhole(browser);
    }
  }
});

// -- a server that dies, and the crowd that it had

const CLIENTS = 5_000;
const LONGEST = 60_000;

/** When a client that has just lost its server tries to come back, until `LONGEST` is over. */
function attempts(random) {
  const browser = new Browser();
  browser.meet({ random });
  browser.clock.advance(10_000);
  const began = browser.clock.now();
  const moments = [];
  browser.last.cut();
  while (!(moments.at(-1) >= LONGEST)) {
    assert.equal(browser.client.state, "waiting", "it never gives up");
    browser.clock.advance(browser.client.detail.delay);
    moments.push(browser.clock.now() - began);
    browser.last.cut();
  }
  return moments;
}

/** The largest number of `moments`, which are sorted, within any second. */
function mostInASecond(moments) {
  let most = 0;
  for (let begin = 0, end = 0; end < moments.length; end++) {
    while (moments[end] - moments[begin] >= 1_000) begin++;
    most = Math.max(most, end - begin + 1);
  }
  return most;
}

const random = chance(7);
const crowd = Array.from({ length: CLIENTS }, () => attempts(random));

/** When each of the crowd gets through, if there is a server again after `ms`. */
const returns = (ms) =>
  crowd.map((moments) => moments.find((moment) => moment >= ms)).sort((a, b) => a - b);

for (const [seconds, share] of [
  [0, 0.3],
  [0.5, 0.3],
  [1, 0.3],
  [1.5, 0.3],
  [2, 0.3],
  [2.5, 0.3],
  [3, 0.3],
  [3.5, 0.3],
  [4, 0.3],
  [5, 0.15],
  [7, 0.15],
  [10, 0.15],
  [15, 0.1],
  [20, 0.15],
  [60, 0.08],
]) {
  test(`back after ${seconds} s, a server sees ${share * 100} % of its clients in a second at most`, (t) => {
    const moments = returns(seconds * 1_000);

    const most = mostInASecond(moments);
    t.diagnostic(`busiest second: ${most} of ${CLIENTS}; the last is back after ${moments.at(-1)} ms`);
    assert.ok(most <= share * CLIENTS, `${most} of ${CLIENTS}`);
    assert.ok(moments.at(-1) <= seconds * 1_000 + 30_000);
  });
}

test("no moment of the first 20 s is one at which a server should not be back", (t) => {
  const worst = { most: 0 };
  for (let ms = 0; ms <= 20_000; ms += 100) {
    const most = mostInASecond(returns(ms));
    if (most > worst.most) Object.assign(worst, { most, ms });
  }

  t.diagnostic(`busiest second: ${worst.most} of ${CLIENTS}, after ${worst.ms} ms without a server`);
  assert.ok(worst.most <= 0.3 * CLIENTS, JSON.stringify(worst));
});
