// Coming back: delays, addresses, credentials.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browser, LOST, control, settle } from "./browser.mjs";

/** Fails attempts and returns the delay after each. */
function delays(browser, count) {
  const seen = [];
  while (seen.length < count) {
    browser.last.cut();
    seen.push(browser.client.detail.delay);
    browser.clock.advance(seen.at(-1));
  }
  return seen;
}

/** The same for connections that the server ends, each time with the word to come back. */
function toldDelays(browser, count) {
  const seen = [];
  while (seen.length < count) {
    const word = { type: "bye", code: 3513, reason: "", verdict: "now", after_ms: 0 };
    browser.last.deliver(control(word));
    browser.last.end(3513);
    seen.push(browser.client.detail.delay);
    browser.clock.advance(seen.at(-1));
    browser.greet();
  }
  return seen;
}

test("delays of a client that was told nothing: below 5 s, then a ceiling doubles up to 30 s", () => {
  const browser = new Browser();
  browser.chance = 0.5;
  browser.open();

  assert.deepEqual(
    delays(browser, 9),
    [2_500, 5_000, 10_000, 15_000, 15_000, 15_000, 15_000, 15_000, 15_000],
  );
});

test("delays of a client that was told: below a second, then a ceiling doubles up to 30 s", () => {
  const browser = new Browser();
  browser.meet();

  assert.deepEqual(
    toldDelays(browser, 9),
    [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000, 15_000],
  );
});

test("full jitter: chance decides all of the delay", () => {
  for (const [chance, expected] of [
    [0, [0, 0, 0, 0]],
    [0.25, [1_250, 2_500, 5_000, 7_500]],
    [0.999, [4_995, 9_990, 19_980, 29_970]],
  ]) {
    const browser = new Browser();
    browser.chance = chance;
    browser.open();

    assert.deepEqual(delays(browser, 4).map(Math.round), expected);
  }
});

test("it never gives up", () => {
  const browser = new Browser();
  browser.chance = 0.999;
  browser.open();

  const seen = delays(browser, 3_000);

  assert.ok(seen.every((delay) => delay <= 30_000));
  assert.equal(browser.client.state, "connecting");
  assert.equal(browser.client.detail.attempt, 3_001);
});

test("the delays can be set", () => {
  const browser = new Browser();
  browser.open("/ws/", [], { baseDelay: 100, maxDelay: 1_600 });

  assert.deepEqual(delays(browser, 4), [250, 500, 800, 800]);
});

test("the delays of those that were told can be set, too", () => {
  const browser = new Browser();
  browser.meet({ baseDelay: 100, maxDelay: 300 });

  assert.deepEqual(toldDelays(browser, 4), [50, 100, 150, 150]);
});

test("a connection that does not hold does not count as a success", () => {
  const browser = new Browser();
  browser.meet();
  const seen = [];
  for (let i = 0; i < 4; i++) {
    browser.clock.advance(4_999);
    browser.last.end(1006, "", false);
    seen.push(browser.client.detail.delay);
    browser.clock.advance(seen.at(-1));
    browser.greet();
  }

  assert.deepEqual(seen, [2_500, 5_000, 10_000, 15_000]);
});

test("a connection that held for 5 s does", () => {
  const browser = new Browser();
  browser.open();
  delays(browser, 6);
  browser.greet();

  browser.clock.advance(5_000);
  browser.last.end(1006, "", false);

  assert.equal(browser.client.detail.delay, LOST);
});

test("a server that keeps saying `now` is not taken at its word twice in a row", () => {
  const browser = new Browser();
  browser.meet();

  assert.deepEqual(toldDelays(browser, 4), [500, 1_000, 2_000, 4_000]);
});

test("the story of an attempt that fails, one that succeeds, and a loss", () => {
  const browser = new Browser();
  browser.open();
  browser.last.cut();
  browser.clock.advance(LOST);
  browser.greet();
  browser.clock.advance(1);
  browser.last.cut();

  assert.deepEqual(browser.story, [
    // an attempt that fails is no close: nothing was open
    "error", "waiting",
    "connecting", "open", "open",
    "error", "close", "waiting",
  ]); // prettier-ignore
  const states = browser.events("state").map(({ detail }) => detail);
  assert.deepEqual(states[0], {
    state: "waiting",
    previous: "connecting",
    cause: "lost",
    code: 1006,
    reason: "",
    wasClean: false,
    verdict: "now",
    delay: LOST,
    attempt: 1,
  });
  assert.deepEqual(states[1], {
    state: "connecting",
    previous: "waiting",
    cause: "retry",
    attempt: 2,
  });
});

test("an attempt that takes too long is given up, and its socket let go", () => {
  const browser = new Browser();
  browser.open();

  browser.clock.advance(14_999);
  assert.equal(browser.client.state, "connecting");
  browser.clock.advance(1);

  assert.equal(browser.client.state, "waiting");
  assert.equal(browser.client.detail.cause, "timeout");
  assert.match(browser.events("error")[0].error.message, /15000 ms/);
  assert.equal(browser.sockets[0].isAttached, false);
  assert.equal(browser.sockets[0].readyState, 2);
  browser.clock.advance(LOST);
  assert.equal(browser.sockets.length, 2);
});

test("an answer to an attempt that was given up is not heard", () => {
  const browser = new Browser();
  browser.open();
  browser.clock.advance(15_000);

  browser.sockets[0].accept("resilient.v1");
  browser.sockets[0].deliver("too late");

  assert.equal(browser.client.state, "waiting");
  assert.equal(browser.events("message").length, 0);
});

test("a browser fails the handshake of a server that knows no resilient.v1", () => {
  const browser = new Browser();
  browser.open();

  browser.last.accept("");

  assert.equal(browser.client.state, "waiting");
});

// -- addresses

for (const [url, baseURI, expected] of [
  ["/ws/", "https://chat.example/room/7/", "wss://chat.example/ws/"],
  ["ws/", "http://localhost:8000/room/", "ws://localhost:8000/room/ws/"],
  ["?x=1", "https://chat.example/room/", "wss://chat.example/room/?x=1"],
  ["//other.example/ws", "https://chat.example/", "wss://other.example/ws"],
  ["https://other.example/ws", "http://chat.example/", "wss://other.example/ws"],
  ["wss://other.example/http", "http://chat.example/", "wss://other.example/http"],
  [new URL("ws://other.example/"), "https://chat.example/", "ws://other.example/"],
]) {
  test(`on ${baseURI} the address ${url} is ${expected}`, () => {
    const browser = new Browser({ baseURI });
    const client = browser.open(url);

    assert.equal(browser.last.url, expected);
    assert.equal(client.url, expected);
  });
}

test("a worker has no document, but a location", () => {
  const browser = new Browser();
  delete browser.window.document;
  browser.window.location = { href: "https://chat.example/worker.js" };

  browser.open("/ws/");

  assert.equal(browser.last.url, "wss://chat.example/ws/");
});

test("an address that cannot be right throws, and leaves nothing", () => {
  for (const url of ["https://", "ftp://chat.example/", "/ws/#here"]) {
    const browser = new Browser();

    assert.throws(() => browser.open(url));
    assert.equal(browser.clock.timers.size, 0);
    assert.equal(browser.window.listening, 0);
  }
});

test("a function is asked for the address of each attempt", async () => {
  const browser = new Browser();
  let token = 0;
  browser.open(async () => `/ws/?token=${++token}`);
  assert.equal(browser.sockets.length, 0);
  await settle();
  browser.last.cut();
  browser.clock.advance(LOST);
  await settle();

  assert.deepEqual(
    browser.sockets.map(({ url }) => url.split("=")[1]),
    ["1", "2"],
  );
});

test("a function may return the address without a promise", async () => {
  const browser = new Browser();
  browser.open(() => new URL("wss://chat.example/ws/"));
  await settle();

  assert.equal(browser.last.url, "wss://chat.example/ws/");
});

for (const [what, source] of [
  ["rejects", async () => Promise.reject(new Error("no token"))],
  ["throws", () => assert.fail("no token")],
]) {
  test(`a function that ${what} is a failed attempt`, async () => {
    const browser = new Browser();
    browser.open(source);
    await settle();

    assert.equal(browser.client.state, "waiting");
    assert.equal(browser.client.detail.cause, "failed");
    assert.equal(browser.events("error")[0].error.message, "no token");
    browser.clock.advance(LOST);
    assert.equal(browser.client.state, "connecting");
  });
}

test("an address of a function that cannot be right is a failed attempt, too", async () => {
  const browser = new Browser();
  browser.open(() => "ftp://chat.example/");
  await settle();

  assert.equal(browser.client.state, "waiting");
  assert.equal(browser.events("error").length, 1);
});

test("a function that never answers is not waited for without end", async () => {
  const browser = new Browser();
  browser.open(() => new Promise(() => {}));
  browser.clock.advance(15_000);

  assert.equal(browser.client.detail.cause, "timeout");
});

test("an address that comes too late is not used", async () => {
  const browser = new Browser();
  const waiting = [];
  browser.open(() => new Promise((resolve) => waiting.push(resolve)));
  await settle();
  browser.clock.advance(15_000 + LOST);
  await settle();
  assert.equal(waiting.length, 2);

  waiting[0]("/first");
  await settle();
  assert.equal(browser.sockets.length, 0);
  waiting[1]("/second");
  await settle();

  assert.equal(browser.client.url, "wss://chat.example/second");
});

test("an address that comes after close() is not used", async () => {
  const browser = new Browser();
  let answer;
  browser.open(() => new Promise((resolve) => (answer = resolve)));
  await settle();

  browser.client.close();
  answer("/ws/");
  await settle();

  assert.equal(browser.sockets.length, 0);
  browser.assertQuiet();
});

// -- credentials

/** A connection that is refused for lack of credentials. */
async function refused(options, url) {
  const browser = new Browser();
  browser.open(url ?? "/ws/", [], options);
  await settle();
  browser.greet();
  browser.last.end(3401, "not_authenticated");
  await settle();
  return browser;
}

test("credentials are fetched, then it comes back at once", async () => {
  const calls = [];
  const browser = await refused({ authenticate: async (detail) => void calls.push(detail) });

  assert.equal(calls.length, 1);
  assert.equal(calls[0].code, 3401);
  assert.deepEqual(browser.story.slice(-3), ["close", "authenticating", "waiting"]);
  assert.equal(browser.client.detail.delay, 500);
  browser.clock.advance(500);
  browser.greet();
  assert.equal(browser.client.state, "open");
});

test("while credentials are fetched nothing else happens", async () => {
  let finish;
  const browser = await refused({ authenticate: () => new Promise((done) => (finish = done)) });
  assert.equal(browser.client.state, "authenticating");
  assert.equal(browser.client.readyState, 0);

  browser.clock.advance(3600_000); // somebody types a password
  browser.tell("online");
  browser.show();
  assert.equal(browser.sockets.length, 1);

  finish();
  await settle();
  browser.clock.advance(500);
  assert.equal(browser.sockets.length, 2);
});

test("refused again with new credentials, it stops", async () => {
  let calls = 0;
  const browser = await refused({ authenticate: () => void calls++ });
  browser.clock.advance(500);
  browser.greet();

  browser.last.end(3401);

  assert.equal(calls, 1);
  assert.equal(browser.client.state, "stopped");
  assert.equal(browser.client.detail.cause, "unauthenticated");
  assert.equal(browser.client.detail.code, 3401);
  browser.assertQuiet();
});

test("failures in between do not make it ask a second time", async () => {
  let calls = 0;
  const browser = await refused({ authenticate: () => void calls++ });
  browser.clock.advance(500);
  browser.last.cut();
  browser.clock.advance(browser.client.detail.delay);
  browser.greet();

  browser.last.end(3401);

  assert.equal(calls, 1);
  assert.equal(browser.client.state, "stopped");
});

test("after a connection that held, credentials may expire again", async () => {
  let calls = 0;
  const browser = await refused({ authenticate: () => void calls++ });
  browser.clock.advance(500);
  browser.greet();
  browser.clock.advance(5_000);

  browser.last.end(3411);
  await settle();

  assert.equal(calls, 2);
  assert.equal(browser.client.state, "waiting");
});

test("without a callback it stops", async () => {
  const browser = await refused({});

  assert.equal(browser.client.state, "stopped");
  assert.equal(browser.client.detail.cause, "unauthenticated");
});

test("a callback that returns false has none", async () => {
  const browser = await refused({ authenticate: async () => false });

  assert.equal(browser.client.detail.cause, "unauthenticated");
  browser.assertQuiet();
});

for (const [what, authenticate] of [
  ["rejects", async () => Promise.reject(new Error("no network"))],
  ["throws", () => assert.fail("no network")],
]) {
  test(`a callback that ${what} is asked again after a backoff`, async () => {
    let calls = 0;
    const browser = await refused({ authenticate: () => (calls++, authenticate()) });
    assert.equal(browser.events("error").at(-1).error.message, "no network");
    assert.equal(browser.client.detail.cause, "authenticate");
    const first = browser.client.detail.delay;
    browser.clock.advance(first);
    browser.greet();
    browser.last.end(3401);
    await settle();

    assert.equal(calls, 2);
    assert.ok(browser.client.detail.delay > first);
  });
}

test("an address from a function brings its own credentials", async () => {
  let tokens = 0;
  const browser = await refused({}, () => `/ws/?token=${++tokens}`);
  assert.equal(browser.client.state, "waiting");
  browser.clock.advance(500);
  await settle();
  assert.equal(tokens, 2);
  browser.greet();

  browser.last.end(3401);

  assert.equal(browser.client.detail.cause, "unauthenticated");
});

test("credentials that come after close() are not used", async () => {
  let finish;
  const browser = await refused({ authenticate: () => new Promise((done) => (finish = done)) });

  browser.client.close();
  finish();
  await settle();
  browser.clock.advance(60_000);

  assert.equal(browser.sockets.length, 1);
  browser.assertQuiet();
});

test("a failure of the callback after close() is nobody's business", async () => {
  let fail;
  const browser = await refused({ authenticate: () => new Promise((_, reject) => (fail = reject)) });

  browser.client.close();
  fail(new Error("too late"));
  await settle();

  assert.equal(browser.events("error").length, 0);
  browser.assertQuiet();
});

test("no credentials are fetched when a listener has closed", async () => {
  let calls = 0;
  const browser = new Browser();
  browser.meet({ authenticate: () => calls++ });
  browser.client.onstate = ({ detail }) =>
    detail.state === "authenticating" && browser.client.close();

  browser.last.end(3401);
  await settle();

  assert.equal(calls, 0);
  browser.assertQuiet();
});

// -- reconnect()

test("reconnect() ends a wait", () => {
  const browser = new Browser();
  browser.open();
  browser.last.cut();

  browser.client.reconnect();

  assert.equal(browser.sockets.length, 2);
  assert.equal(browser.client.detail.cause, "reconnect");
  browser.clock.advance(14_000);
  assert.equal(browser.sockets.length, 2, "the wait's timer is gone");
});

test("reconnect() starts a stopped one afresh, page events included", () => {
  const browser = new Browser();
  browser.meet();
  browser.last.end(3440);
  browser.assertQuiet();

  browser.client.reconnect();
  browser.greet();
  browser.last.cut();
  browser.tell("online");

  assert.equal(browser.sockets.length, 3);
});

test("reconnect() forgets what came before: failures, waits, credentials", async () => {
  let calls = 0;
  const browser = await refused({ authenticate: () => void calls++ });
  browser.clock.advance(500);
  browser.greet();
  const wish = { type: "bye", code: 3512, reason: "", verdict: "now", after_ms: 60_000 };
  browser.last.deliver(control(wish));
  browser.last.end(3512);

  browser.client.reconnect();
  browser.last.cut();
  assert.equal(browser.client.detail.delay, LOST);
  browser.tell("resume");
  assert.equal(browser.client.state, "connecting");
  browser.greet();
  browser.last.end(3401);
  await settle();

  assert.equal(calls, 2);
});

test("no address is asked for when a listener has closed", async () => {
  const browser = new Browser();
  let asked = 0;
  browser.open(() => `/ws/${++asked}`);
  await settle();
  browser.client.onstate = ({ detail }) => detail.cause === "retry" && browser.client.close();

  browser.last.cut();
  browser.clock.advance(LOST);
  await settle();

  assert.equal(asked, 1);
  browser.assertQuiet();
});

test("reconnect() replaces an open one", () => {
  const browser = new Browser();
  browser.meet();

  browser.client.reconnect();

  assert.equal(browser.sockets[0].closedWith.code, 1000);
  assert.equal(browser.sockets[0].isAttached, false);
  assert.deepEqual(browser.story.slice(-2), ["close", "connecting"]);
  browser.greet();
  assert.equal(browser.client.state, "open");
});

test("reconnect() twice leaves one socket, and one set of listeners", () => {
  const browser = new Browser();
  browser.open();
  const before = browser.window.listening;

  browser.client.reconnect();
  browser.client.reconnect();

  assert.equal(browser.attached.length, 1);
  assert.equal(browser.window.listening, before);
});

test("a goodbye is forgotten when the server goes on talking", () => {
  const browser = new Browser();
  const client = browser.meet();
  browser.last.deliver(control({ type: "bye", code: 1000, reason: "", verdict: "never", after_ms: 0 }));

  browser.last.deliver("still here");
  browser.last.cut();

  assert.equal(client.state, "waiting");
});

test("a clock that is set back does not lengthen the wait", () => {
  const browser = new Browser();
  const client = browser.meet();
  browser.last.cut();
  browser.clock.now = ((now) => () => now() - 3_600_000)(browser.clock.now.bind(browser.clock));

  browser.window.dispatchEvent(new Event("online"));

  assert.equal(client.state, "connecting");
});
