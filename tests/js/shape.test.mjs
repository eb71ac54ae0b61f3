// It is used like a WebSocket; its options; listeners that misbehave.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ResilientSocket } from "../../src/resilient_channels/static/resilient_channels/resilient-socket.js";
import { Browser, LOST, control } from "./browser.mjs";

/** Runs `action` and returns what was thrown outside of any call, as a page's onerror would. */
async function uncaught(action) {
  const errors = [];
  process.setUncaughtExceptionCaptureCallback((error) => errors.push(error.message));
  try {
    action();
    await new Promise((resolve) => setTimeout(resolve));
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  return errors;
}

test("the constants are there, on the class and on each object", () => {
  const socket = new Browser().open();
  for (const [name, value] of Object.entries({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 })) {
    assert.equal(ResilientSocket[name], value);
    assert.equal(socket[name], value);
  }
});

test("readyState is CLOSED only when it will not come back", () => {
  const browser = new Browser();
  const seen = [];
  const note = () => seen.push([browser.client.state, browser.client.readyState]);
  browser.open();
  note();
  browser.greet();
  note();
  browser.last.cut();
  note();
  browser.clock.advance(LOST);
  browser.greet();
  browser.client.close();
  note();
  browser.last.end(1000);
  note();

  assert.deepEqual(seen, [
    ["connecting", 0],
    ["open", 1],
    ["waiting", 0],
    ["closing", 2],
    ["stopped", 3],
  ]);
});

test("handlers and listeners are called, with the socket as `this`", () => {
  const browser = new Browser();
  browser.open();
  const seen = [];
  for (const type of ["open", "message", "error", "close", "state", "drop"]) {
    assert.equal(browser.client[`on${type}`], null);
    browser.client[`on${type}`] = function (event) {
      assert.equal(this, browser.client);
      assert.equal(event.target, browser.client);
      seen.push(event.type);
    };
  }
  browser.greet();
  browser.last.deliver("hello");
  browser.last.readyState = 2;
  browser.client.send("late");
  browser.last.cut();
  browser.client.close();

  assert.deepEqual(
    [...new Set(seen)].sort(),
    ["close", "drop", "error", "message", "open", "state"],
  );
});

test("a handler can be replaced and removed", () => {
  const browser = new Browser();
  browser.meet();
  const seen = [];
  browser.client.onmessage = () => seen.push("first");
  browser.client.onmessage = () => seen.push("second");
  browser.last.deliver("x");
  browser.client.onmessage = null;
  browser.last.deliver("x");

  assert.deepEqual(seen, ["second"]);
});

test("close() closes with its code and reason, and waits for the server's answer", () => {
  const browser = new Browser();
  browser.meet();

  browser.client.close(4001, "enough");
  assert.deepEqual(browser.last.closedWith, { code: 4001, reason: "enough" });
  assert.equal(browser.client.state, "closing");
  browser.last.end(4001, "enough");

  const [close] = browser.events("close");
  assert.deepEqual([close.code, close.reason, close.wasClean], [4001, "enough", true]);
  assert.deepEqual(browser.story.slice(-3), ["closing", "close", "stopped"]);
  browser.assertQuiet();
});

for (const code of [1000, 3000, 4999, undefined]) {
  test(`close(${code}) is allowed`, () => {
    const browser = new Browser();
    browser.meet();

    browser.client.close(code);

    assert.equal(browser.last.closedWith.code, code);
  });
}

test("close() does not wait for ever", () => {
  const browser = new Browser();
  browser.meet();
  browser.client.close();

  browser.clock.advance(5_000);

  const [close] = browser.events("close");
  assert.deepEqual([close.code, close.wasClean], [1006, false]);
  assert.equal(browser.client.detail.cause, "closed");
  browser.assertQuiet();
});

test("close() while it connects, waits, or is offline ends it at once", () => {
  for (const prepare of [
    () => {},
    (browser) => browser.last.cut(),
    (browser) => (browser.last.cut(), browser.goOffline()),
  ]) {
    const browser = new Browser();
    browser.open();
    prepare(browser);

    browser.client.close();

    const [close, ...more] = browser.events("close");
    assert.deepEqual([close.code, close.reason, close.wasClean, more], [1000, "", false, []]);
    assert.equal(browser.client.detail.cause, "closed");
    browser.assertQuiet();
    browser.goOnline();
    browser.clock.advance(60_000);
    browser.assertQuiet();
  }
});

test("close() twice is close() once", () => {
  const browser = new Browser();
  browser.meet();
  browser.client.close();
  browser.client.close(4001);
  assert.equal(browser.client.state, "closing", "the first is still waited for");
  browser.last.end(1000);
  browser.client.close();

  assert.equal(browser.events("close").length, 1);
});

test("close() refuses what a WebSocket refuses, and nothing has happened", () => {
  for (const prepare of ["open", "connecting"]) {
    const browser = new Browser();
    if (prepare === "open") browser.meet();
    else browser.open();

    for (const code of [0, 999, 1001, 1006, 2999, 5000]) {
      assert.throws(() => browser.client.close(code), { name: "InvalidAccessError" });
    }
    assert.equal(browser.client.state, prepare);
  }
  const browser = new Browser();
  browser.meet();
  assert.throws(() => browser.client.close(1000, "x".repeat(124)), { name: "SyntaxError" });
  assert.equal(browser.client.state, "open");
});

test("binaryType, extensions and bufferedAmount are those of the socket, also the next one", () => {
  const browser = new Browser();
  const client = browser.open();
  assert.equal(client.binaryType, "blob");
  client.binaryType = "arraybuffer";
  assert.equal(browser.last.binaryType, "arraybuffer");
  browser.last.cut();
  browser.clock.advance(LOST);
  assert.equal(browser.last.binaryType, "arraybuffer");
  browser.greet();
  browser.last.extensions = "permessage-deflate";
  browser.last.bufferedAmount = 7;

  assert.equal(client.extensions, "permessage-deflate");
  assert.equal(client.bufferedAmount, 7);
});

test("without a socket they say so", () => {
  const browser = new Browser();
  const client = browser.open(() => new Promise(() => {}));

  assert.deepEqual(
    [client.url, client.extensions, client.protocol, client.bufferedAmount, client.negotiated],
    ["", "", "", 0, false],
  );
});

// -- options

test("an option that does not exist is an error", () => {
  const browser = new Browser();

  assert.throws(() => browser.open("/ws/", [], { maxdelay: 1 }), /Unknown option: maxdelay/);
  assert.throws(() => browser.open("/ws/", [], { toString: 1 }), /Unknown option: toString/);
});

for (const options of [
  { maxDelay: -1 },
  { maxDelay: NaN },
  { baseDelay: "soon" },
  { connectTimeout: "15000" },
  { staleAfter: null },
  { queueMessages: null, queueBytes: -1 },
  { overflow: "drop" },
  { verdicts: { 4001: "no" } },
  { verdicts: { 4001: "constructor" } },
]) {
  test(`${JSON.stringify(options)} is refused`, () => {
    const browser = new Browser();

    assert.throws(() => browser.open("/ws/", [], options), RangeError);
    assert.equal(browser.sockets.length, 0);
  });
}

test("an option that is undefined is one that was not given", () => {
  const browser = new Browser();
  browser.open("/ws/", undefined, { maxDelay: undefined, verdicts: undefined });
  browser.last.cut();

  assert.equal(browser.client.detail.delay, LOST);
});

test("what it uses by default is the browser's own", async () => {
  const seen = [];
  globalThis.WebSocket = class {
    constructor(url, protocols) {
      seen.push(url, protocols);
    }
    close() {}
  };
  try {
    const client = new ResilientSocket("ws://chat.example/ws/");
    client.close();
    assert.deepEqual(seen, ["ws://chat.example/ws/", ["resilient.v1"]]);
    assert.equal(client.state, "stopped");
  } finally {
    delete globalThis.WebSocket;
  }
});

test("importing it has no effect, unless the template tag loaded it", async () => {
  const module =
    "../../src/resilient_channels/static/resilient_channels/resilient-socket.js";
  assert.equal(globalThis.ResilientSocket, undefined);

  globalThis.document = { querySelector: () => null };
  await import(`${module}?imported`);
  assert.equal(globalThis.ResilientSocket, undefined);

  globalThis.document = { querySelector: (selector) => selector };
  const { ResilientSocket: loaded } = await import(`${module}?tag`);
  assert.equal(globalThis.ResilientSocket, loaded);

  delete globalThis.document;
  delete globalThis.ResilientSocket;
});

// -- listeners that throw, close, reconnect

test("exceptions in listeners are reported and break nothing", async () => {
  const browser = new Browser();
  browser.open();
  for (const type of ["open", "message", "error", "close", "state", "drop"]) {
    browser.client[`on${type}`] = () => assert.fail(`in on${type}`);
  }

  const errors = await uncaught(() => {
    browser.client.send("queued");
    browser.greet();
    browser.last.deliver("hello");
    browser.last.deliver(control({ type: "ping", n: 1 }));
    browser.last.cut();
    browser.clock.advance(LOST);
    browser.greet();
    browser.client.close();
    browser.last.end(1000);
  });

  assert.deepEqual([...new Set(errors)].sort(), [
    "in onclose",
    "in onerror",
    "in onmessage",
    "in onopen",
    "in onstate",
  ]);
  assert.ok(browser.sockets[0].sent.includes("queued"));
  assert.deepEqual(browser.sockets[0].controls.at(-1), { type: "pong", n: 1 });
  browser.assertQuiet();
});

/** Every state a listener can see, reached in turn. */
function tour(browser) {
  browser.clock.advance(15_000); // timeout
  browser.clock.advance(60_000);
  browser.last.accept("resilient.v1");
  browser.last.cut();
  browser.goOffline();
  browser.clock.advance(60_000);
  browser.goOnline();
  browser.clock.advance(60_000);
  if (browser.last.readyState === 0) browser.last.accept("resilient.v1");
  browser.last.end(3401);
  browser.tell("pagehide");
  browser.tell("pageshow");
}

for (const when of ["connecting", "open", "waiting", "offline", "stopped", "authenticating"]) {
  for (const type of ["state", "close", "open", "error"]) {
    test(`close() in a listener of ${type} while ${when} ends it`, () => {
      const browser = new Browser();
      const client = browser.open("/ws/", [], { authenticate: () => true });
      let done = false;
      client.addEventListener(type, () => {
        if (client.state === when && !done) {
          done = true;
          client.close();
        }
      });
      tour(browser);
      if (!done) client.close();
      for (const socket of browser.sockets) if (socket.isAttached) socket.end(1000);

      browser.assertQuiet();
      assert.equal(client.detail.cause, "closed");
      const states = browser.events("state").map(({ detail }) => detail);
      assert.equal(states.filter(({ state }) => state === "stopped").length, 1);
      browser.clock.advance(3600_000);
      browser.assertQuiet();
    });

    test(`reconnect() in a listener of ${type} while ${when} leaves one socket`, () => {
      const browser = new Browser();
      const client = browser.open("/ws/", [], { authenticate: () => true });
      let left = 2;
      client.addEventListener(type, () => {
        if (client.state === when && left-- > 0) client.reconnect();
      });
      tour(browser);

      assert.ok(browser.attached.length <= 1);
      assert.ok(browser.clock.timers.size <= 1);
      left = 0;
      client.close();
      for (const socket of browser.attached) socket.end(1000);
      browser.assertQuiet();
    });
  }
}

test("states are told in order, each from where the last one ended", () => {
  const browser = new Browser();
  const client = browser.open("/ws/", [], { authenticate: () => true });
  tour(browser);
  client.close();

  const details = browser.events("state").map(({ detail }) => detail);
  assert.ok(details.length > 10);
  for (const [i, { previous }] of details.entries()) {
    assert.equal(previous, i ? details[i - 1].state : "connecting");
  }
  assert.equal(details.at(-1).state, client.state);
});

test("a state that a listener of `close` has changed again is not told after the fact", () => {
  const browser = new Browser();
  const client = browser.meet();
  client.onclose = () => client.state === "waiting" && client.reconnect();
  browser.last.cut();

  assert.ok(!browser.story.includes("waiting"), browser.story.join());
  assert.equal(client.state, "connecting");
  assert.equal(client.detail.previous, "waiting");
});
