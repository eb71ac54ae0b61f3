// What is done after which close: goodbyes, close codes, and the application's own word.

import assert from "node:assert/strict";
import { test } from "node:test";

import { verdictFor } from "../../src/resilient_channels/static/resilient_channels/resilient-socket.js";
import { Browser, LOST, control, golden } from "./browser.mjs";

const codes = golden("close-codes.json");
const STABLE = 5_000;
/** What a server's end looks like that had no time for a word; also when a proxy reports it. */
const UNTOLD = [1001, 1005, 1006, 1012];

/** An open connection that has held long enough to count. */
function held(options) {
  const browser = new Browser();
  browser.meet(options);
  browser.clock.advance(STABLE);
  return browser;
}

const bye = (code, verdict, after_ms, reason) =>
  control({ type: "bye", code, reason, verdict, after_ms });

test("the registry is not empty", () => assert.ok(codes.length > 30));

for (const { code, name, verdict } of codes) {
  test(`${code} ${name}: ${verdict}, as in the server's registry`, () => {
    assert.equal(verdictFor(code), verdict);
  });

  test(`${code} ${name}: is what the client does`, () => {
    const browser = held();

    browser.last.end(code);

    const { state, delay } = browser.client.detail;
    const expected = code < 3000 ? LOST : 500;
    if (code === 1000) assert.deepEqual([state, delay], ["waiting", 15_000 + LOST]);
    else if (["now", "backoff"].includes(verdict)) assert.deepEqual([state, delay], ["waiting", expected]);
    else assert.equal(state, "stopped");
  });
}

for (const [code, verdict] of [
  [3404, "never"],
  [3499, "never"],
  [3399, "backoff"],
  [3501, "backoff"],
  [3599, "backoff"],
  [3000, "backoff"],
  [4000, "backoff"],
  [4999, "backoff"],
  [1016, "backoff"],
]) {
  test(`${code}, which nobody registered: ${verdict}`, () => {
    assert.equal(verdictFor(code), verdict);
  });
}

test("the application says what its own codes mean", () => {
  const browser = held({ verdicts: { 4001: "never" } });

  browser.last.end(4001, "out of credit");

  const { state, cause, code, reason, verdict } = browser.client.detail;
  assert.deepEqual(
    { state, cause, code, reason, verdict },
    { state: "stopped", cause: "verdict", code: 4001, reason: "out of credit", verdict: "never" },
  );
  browser.assertQuiet();
});

test("the application's word comes before a goodbye and before the registry", () => {
  const insists = { verdicts: { 4001: "never", 3403: "backoff", 1000: "never" } };

  const first = held(insists);
  first.last.deliver(bye(4001, "backoff", 0));
  first.last.end(4001);
  assert.equal(first.client.state, "stopped");

  const second = held(insists);
  second.last.end(3403);
  assert.equal(second.client.state, "waiting");

  const third = held(insists);
  third.last.end(1000);
  assert.equal(third.client.state, "stopped");
});

test("a goodbye comes before the close code", () => {
  const browser = held();

  browser.last.deliver(bye(3403, "never", 0, "forbidden"));
  assert.equal(browser.client.state, "open", "only the close ends it");
  browser.last.end(1006);

  const { state, cause, code, reason } = browser.client.detail;
  assert.deepEqual([state, cause, code, reason], ["stopped", "verdict", 3403, "forbidden"]);
  assert.equal(browser.events("close")[0].code, 3403);
  assert.equal(browser.events("close")[0].reason, "forbidden");
});

test("a goodbye holds for its own connection only", () => {
  const browser = held();
  browser.last.deliver(bye(3513, "now", 0));
  browser.last.end(3513);
  browser.clock.advance(1_000);
  browser.greet();
  browser.clock.advance(STABLE);

  browser.last.end(3403);

  assert.equal(browser.client.state, "stopped");
  assert.equal(browser.client.detail.code, 3403);
});

for (const chance of [0, 0.5, 0.999]) {
  test(`after_ms is waited out, and a spread below a second added (chance ${chance})`, () => {
    const browser = held();
    browser.chance = chance;
    browser.last.deliver(bye(3512, "now", 17_500));
    browser.last.end(1006);

    assert.equal(browser.client.detail.delay, 17_500 + chance * 1_000);
    browser.clock.advance(17_499);
    assert.equal(browser.sockets.length, 1);
    browser.clock.advance(1_001);
    assert.equal(browser.sockets.length, 2);
  });
}

// -- told to come back, or left in the lurch with everybody else

for (const [what, after, end] of [
  ["a planned drain", 7_000, (socket) => {
    socket.deliver(bye(3512, "now", 7_000));
    socket.end(3512);
  }],
  ["a drain whose close frame is lost", 7_000, (socket) => {
    socket.deliver(bye(3512, "now", 7_000));
    socket.cut();
  }],
  ["a goodbye with nothing to wait for", 0, (socket) => {
    socket.deliver(bye(3512, "now", 0));
    socket.end(3512);
  }],
  ["a goodbye for a code of the protocol's", 0, (socket) => {
    socket.deliver(bye(1012, "now", 0));
    socket.end(1012);
  }],
  ["a clean 3512 without a goodbye", 0, (socket) => socket.end(3512)],
  ["a server that gave this client up", 0, (socket) => socket.end(3408)],
  ["an application's own code that means `now`", 0, (socket) => socket.end(4001)],
]) {
  test(`${what}: back within a second of the time that it was given`, () => {
    const browser = held({ verdicts: { 4001: "now" } });
    browser.chance = 0.999;

    end(browser.last);

    const { verdict, delay } = browser.client.detail;
    assert.deepEqual([verdict, delay], ["now", after + 999]);
  });
}

for (const [what, end] of [
  ...UNTOLD.map((code) => [`a clean ${code}`, ({ last }) => last.end(code)]),
  ...UNTOLD.map((code) => [`an unclean ${code}`, ({ last }) => last.end(code, "", false)]),
  ["a code that the application calls `now`", ({ last }) => last.end(1011)],
  ["a server that fell silent", ({ clock }) => clock.advance(45_000 - STABLE)],
  ["an attempt that fails", (browser) => {
    browser.client.reconnect();
    browser.last.cut();
  }],
  ["an attempt that nobody answers", ({ client, clock }) => {
    client.reconnect();
    clock.advance(15_000);
  }],
]) {
  test(`${what}: one of a crowd, back within five seconds`, () => {
    const browser = held({ verdicts: { 1011: "now" } });
    browser.chance = 0.999;

    end(browser);

    const { state, verdict, delay } = browser.client.detail;
    assert.deepEqual([state, verdict, delay], ["waiting", "now", 4_995]);
  });
}

for (const [after, expected] of [
  [20_000, LOST],
  [0, 2 * LOST],
]) {
  test(`whoever was told (${after} ms) and then finds nobody is one of a crowd`, () => {
    const browser = held();
    browser.last.deliver(bye(3512, "now", after));
    browser.last.end(3512);
    browser.clock.advance(browser.client.detail.delay);

    browser.last.cut();

    assert.equal(browser.client.detail.delay, expected);
  });
}

test("a wait that the server asked for is no failure", () => {
  const browser = held();
  // Sent away, and met by the same process that is on its way out, again and again.
  for (let i = 0; i < 5; i++) {
    browser.last.deliver(bye(3512, "now", 20_000));
    browser.last.end(3512);
    assert.equal(browser.client.detail.delay, 20_000 + 500);
    browser.clock.advance(20_500);
    browser.greet();
  }

  browser.last.cut();

  assert.equal(browser.client.detail.delay, LOST);
});

test("unless it is shorter than the wait that is due: nobody is asked again and again", () => {
  const browser = held();
  const seen = [];
  for (let i = 0; i < 5; i++) {
    browser.last.deliver(bye(3512, "now", 100));
    browser.last.end(3512);
    seen.push(browser.client.detail.delay);
    browser.clock.advance(seen.at(-1));
    browser.greet();
  }

  assert.deepEqual(seen, [600, 1_100, 2_100, 4_100, 8_100]);
});

test("after_ms counts for a backoff, too, and does not take its place", () => {
  const browser = held();
  browser.last.deliver(bye(3503, "backoff", 4_000));
  browser.last.end(3503);

  assert.equal(browser.client.detail.delay, 4_000 + 500);
});

for (const after of [-1, "5000", null, true, {}, undefined]) {
  test(`an after_ms of ${JSON.stringify(after)} is none`, () => {
    const browser = held();
    browser.last.deliver(bye(3512, "now", after));
    browser.last.end(3512);

    assert.equal(browser.client.detail.delay, 500);
  });
}

test("an after_ms beyond a browser's timers is a long wait, not none", () => {
  const browser = held();
  browser.last.deliver(bye(3512, "now", 1e15));
  browser.last.end(3512);

  browser.clock.advance(24 * 3600_000);

  assert.equal(browser.sockets.length, 1);
});

const STUBBORN = { toString: 1, valueOf: 1 }; // cannot be made a text or a key

for (const reason of [null, 1, {}, STUBBORN, undefined]) {
  test(`a reason of ${JSON.stringify(reason)} is none`, () => {
    const browser = held();
    browser.last.deliver(bye(3403, "never", 0, reason));
    browser.last.end(1006, "closed");

    assert.equal(browser.client.state, "stopped");
    assert.equal(browser.client.detail.reason, "");
  });
}

for (const verdict of ["soon", "", null, 1, {}, STUBBORN, "constructor", "__proto__", undefined]) {
  test(`with the verdict ${JSON.stringify(verdict)} the goodbye's code decides`, () => {
    const browser = held();
    browser.last.deliver(bye(3410, verdict, 0));
    browser.last.end(1006);

    assert.equal(browser.client.state, "stopped");
    assert.equal(browser.client.detail.verdict, "never");
  });
}

test("1000 without a goodbye is retried, slowly", () => {
  const browser = held();

  browser.last.end(1000);

  const { state, verdict, delay } = browser.client.detail;
  assert.deepEqual([state, verdict, delay], ["waiting", "backoff", 15_000 + LOST]);
});

test("1000 with a goodbye is obeyed", () => {
  const done = held();
  done.last.deliver(bye(1000, "never", 0, ""));
  done.last.end(1000);
  assert.equal(done.client.state, "stopped");

  const again = held();
  again.last.deliver(bye(1000, "now", 0, ""));
  again.last.end(1000);
  assert.equal(again.client.detail.delay, 500);
});

test("1000 that was asked for ends it", () => {
  const browser = held();

  browser.client.close();
  browser.last.end(1000);

  assert.equal(browser.client.state, "stopped");
  assert.equal(browser.client.detail.cause, "closed");
});

test("a stop leaves nothing behind and says why", () => {
  const browser = held();

  browser.last.end(3409, "replaced");

  assert.deepEqual(browser.client.detail, {
    state: "stopped",
    previous: "open",
    cause: "verdict",
    code: 3409,
    reason: "replaced",
    verdict: "never",
    wasClean: true,
  });
  browser.assertQuiet();
  browser.clock.advance(24 * 3600_000);
  assert.equal(browser.sockets.length, 1);
});
