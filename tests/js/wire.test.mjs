// The wire protocol: golden frames, and what is said to them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browser, MARK, control, golden } from "./browser.mjs";

const { escaped, frames, tolerated, ignored } = golden("wire-v1.json");
const named = (name) => frames.find((frame) => frame.name === name);

for (const { name, text, frame } of frames) {
  test(`golden: ${name} is U+001E and JSON`, () => {
    assert.equal(text[0], MARK);
    assert.deepEqual(JSON.parse(text.slice(1)), frame);
    assert.ok(text.length <= 1024);
  });
}

for (const { name, text, frame } of frames.filter(({ from }) => from === "client")) {
  test(`golden: ${name} is written as a browser writes it`, () => {
    assert.equal(text, control(frame));
  });
}

for (const { name, from, text, frame } of [...frames, ...tolerated]) {
  if (frame.type === "ping") {
    test(`golden: ${name} is answered at once with the same n (from ${from})`, () => {
      const browser = new Browser();
      browser.meet();

      browser.last.deliver(text);

      assert.deepEqual(browser.last.controls.slice(1), [{ type: "pong", n: frame.n }]);
    });
  }
}

for (const { name, text } of ignored) {
  test(`ignored: ${name}`, () => {
    const browser = new Browser();
    const client = browser.meet();
    const before = browser.log.length;

    browser.last.deliver(text);

    assert.equal(browser.last.sent.length, 1, "only our hello was sent");
    assert.equal(browser.log.length, before, "the application saw nothing");
    assert.equal(client.state, "open");
    assert.equal(client.rtt, null);
  });

  test(`ignored before the hello and after it: ${name}`, () => {
    const browser = new Browser();
    browser.open();
    browser.last.accept("resilient.v1");

    browser.last.deliver(text);
    browser.last.deliver(named("the server's hello").text);

    assert.deepEqual(browser.last.controls, [{ type: "hello", version: 1 }]);
    assert.equal(browser.events("message").length, 0);
  });
}

test("the client's hello is the golden one, and comes at once on the server's", () => {
  const browser = new Browser();
  browser.open();
  browser.last.accept("resilient.v1");
  assert.deepEqual(browser.last.sent, []);

  browser.last.deliver(named("the server's hello").text);

  assert.deepEqual(browser.last.sent, [named("the client's hello").text]);
});

test("a second hello of the server changes nothing", () => {
  const browser = new Browser();
  const client = browser.meet();

  browser.last.deliver(named("the server's hello, heartbeats off").text);
  browser.clock.advance(45_000);

  assert.equal(browser.sockets[0].controls.filter(({ type }) => type === "hello").length, 1);
  assert.equal(client.detail.cause, "stale");
});

test("a hello of another version is not answered, and no hello means no connection", () => {
  const browser = new Browser();
  const client = browser.open();
  browser.last.accept("resilient.v1");
  browser.last.deliver(control({ type: "hello", version: 2, interval_ms: 1000, timeout_ms: 1000 }));

  browser.clock.advance(14_999);
  assert.equal(client.state, "open");
  browser.clock.advance(1);

  assert.deepEqual(browser.sockets[0].sent, []);
  assert.equal(client.state, "waiting");
  assert.equal(client.detail.cause, "stale");
});

test("a pong nobody asked for is no round trip", () => {
  const browser = new Browser();
  const client = browser.meet();

  browser.last.deliver(named("a pong of the server").text);

  assert.equal(client.rtt, null);
});

test("the round trip is what the server measured", () => {
  const browser = new Browser();
  const client = browser.meet();

  browser.last.deliver(named("a ping of the server with the last round trip").text);
  assert.equal(client.rtt, 12.3);

  browser.last.deliver(named("a ping of the server").text);
  assert.equal(client.rtt, 12.3, "a ping without one leaves the last");
});

test("a round trip too short to measure is 0, not none", () => {
  const browser = new Browser();
  const client = browser.meet();

  browser.last.deliver(control({ type: "ping", n: 1, rtt_ms: 0.0 }));

  assert.equal(client.rtt, 0);
});

for (const rtt of ["12", null, -1, {}, true]) {
  test(`a round trip of ${JSON.stringify(rtt)} is none, but the ping is answered`, () => {
    const browser = new Browser();
    const client = browser.meet();

    browser.last.deliver(control({ type: "ping", n: 1, rtt_ms: rtt }));

    assert.equal(client.rtt, null);
    assert.deepEqual(browser.last.controls.at(-1), { type: "pong", n: 1 });
  });
}

test("the round trip of an own ping counts, too", () => {
  const browser = new Browser();
  const client = browser.meet();
  browser.clock.advance(40_000);
  const { type, n } = browser.last.controls.at(-1);
  assert.equal(type, "ping");

  browser.clock.advance(70);
  browser.last.deliver(control({ type: "pong", n }));
  browser.clock.advance(5);
  browser.last.deliver(control({ type: "pong", n }));
  assert.equal(client.rtt, 70, "an answer counts once");

  browser.clock.advance(40_000);
  browser.clock.advance(10);
  browser.last.deliver(control({ type: "pong", n }));
  assert.equal(client.rtt, 70, "an old answer is none to a new question");
});

test("only a goodbye is a goodbye", () => {
  const browser = new Browser();
  const client = browser.meet();

  for (const type of ["hello", "ping", "pong", "?"]) {
    browser.last.deliver(control({ type, n: 1, version: 1, code: 3403, verdict: "never" }));
  }
  browser.last.end(1006);

  assert.equal(client.state, "waiting");
});

test("application text passes, whatever it looks like; so does binary", () => {
  const browser = new Browser();
  browser.meet();
  const ping = named("a ping of the server").text;
  const binary = new TextEncoder().encode(ping).buffer;
  const texts = ["", "hello", ping.slice(1), ` ${ping}`, '{"type":"bye"}'];

  for (const data of [...texts, binary]) browser.last.deliver(data);

  assert.deepEqual(
    browser.events("message").map(({ data }) => data),
    [...texts, binary],
  );
  assert.equal(browser.last.sent.length, 1);
});

test("a message event says where it comes from", () => {
  const browser = new Browser();
  browser.meet();

  browser.last.deliver("hello");

  assert.ok(browser.events("message")[0] instanceof MessageEvent);
  assert.equal(browser.events("message")[0].origin, "wss://chat.example");
});

test("on a connection that does not speak the protocol, marked text is application text", () => {
  const browser = new Browser();
  const client = browser.open("/ws/", ["chat.v1"]);
  browser.last.accept("chat.v1");

  browser.last.deliver(named("a ping of the server").text);
  browser.last.deliver(named("a goodbye for ever").text);

  assert.equal(client.negotiated, false);
  assert.equal(browser.events("message").length, 2);
  assert.deepEqual(browser.last.sent, []);
});

for (const { name, text, sent } of escaped) {
  test(`escaped: ${name} arrives as it was, and leaves as the other side expects it`, () => {
    const browser = new Browser();
    const client = browser.meet();
    browser.last.sent.length = 0;

    browser.last.deliver(sent);
    assert.equal(client.send(text), "sent");

    assert.deepEqual(
      browser.events("message").map(({ data }) => data),
      [text],
    );
    assert.deepEqual(browser.last.sent, [sent]);
  });
}

test("a queued text that looks like a control frame is escaped when it goes", () => {
  const browser = new Browser();
  const client = browser.open();
  assert.equal(client.send(`${MARK}mine`), "queued");

  browser.last.accept("resilient.v1");

  assert.deepEqual(browser.last.sent, [`${MARK}${MARK}mine`]);
});

test("with the protocol off nothing is refused", () => {
  const browser = new Browser();
  const client = browser.open("/ws/", [], { protocol: false });
  browser.last.accept();

  assert.equal(client.send(`${MARK}mine`), "sent");
  assert.deepEqual(browser.last.sent, [`${MARK}mine`]);
});

for (const [offered, expected] of [
  [[], ["resilient.v1"]],
  [undefined, ["resilient.v1"]],
  [null, ["resilient.v1"]],
  ["chat", ["resilient.v1.chat", "chat", "resilient.v1"]],
  [
    ["chat.v2", "chat.v1"],
    ["resilient.v1.chat.v2", "chat.v2", "resilient.v1.chat.v1", "chat.v1", "resilient.v1"],
  ],
]) {
  test(`for the subprotocols ${JSON.stringify(offered)} it offers ${expected.join(", ")}`, () => {
    const browser = new Browser();

    browser.open("/ws/", offered);

    assert.deepEqual(browser.last.protocols, expected);
  });
}

test("with the protocol off it offers what it was given", () => {
  const browser = new Browser();

  browser.open("/ws/", ["chat"], { protocol: false });

  assert.deepEqual(browser.last.protocols, ["chat"]);
});

for (const [answer, protocol, negotiated] of [
  ["resilient.v1.chat", "chat", true],
  ["chat", "chat", false],
  ["resilient.v1", "", true],
]) {
  test(`answered with ${answer}, the subprotocol is "${protocol}"`, () => {
    const browser = new Browser();
    const client = browser.open("/ws/", "chat");
    assert.equal(client.protocol, "");

    browser.last.accept(answer);

    assert.equal(client.protocol, protocol);
    assert.equal(client.negotiated, negotiated);
    assert.equal(browser.events("state").at(-1).detail.negotiated, negotiated);
  });
}

test("an application protocol that begins like ours is not ours", () => {
  const browser = new Browser();
  const client = browser.open("/ws/", "resilient.v10");

  browser.last.accept("resilient.v10");

  assert.equal(client.negotiated, false);
  assert.equal(client.protocol, "resilient.v10");
});

test("with the protocol off, nothing that a server selects is ours", () => {
  const browser = new Browser();
  const client = browser.open("/ws/", ["resilient.v1"], { protocol: false });

  browser.last.accept("resilient.v1");

  assert.equal(client.negotiated, false);
  assert.equal(client.protocol, "resilient.v1");
});
