// What is sent while there is no connection: kept, within bounds, and never lost in silence.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browser, LOST } from "./browser.mjs";

const plain = { protocol: false };

function connecting(options) {
  const browser = new Browser();
  browser.open("/ws/", [], { ...plain, ...options });
  return browser;
}

test("what is sent early is sent in order when the connection opens", () => {
  const { client, ...browser } = connecting();
  const [socket] = browser.sockets;

  assert.equal(client.send("1"), "queued");
  assert.equal(client.send("2"), "queued");
  assert.equal(client.bufferedAmount, 2);
  socket.accept();

  assert.deepEqual(socket.sent, ["1", "2"]);
  assert.equal(client.bufferedAmount, 0);
  assert.equal(client.send("3"), "sent");
});

test("what is sent between two connections goes into the second", () => {
  const browser = connecting();
  browser.last.accept();
  browser.last.cut();

  browser.client.send("1");
  browser.clock.advance(LOST);
  browser.client.send("2");
  browser.last.accept();

  assert.deepEqual(browser.last.sent, ["1", "2"]);
  assert.deepEqual(browser.sockets[0].sent, []);
});

test("what an `open` listener sends goes first: it signs in", () => {
  const browser = connecting();
  browser.client.send("hello everybody");
  browser.client.onopen = () => assert.equal(browser.client.send("sign in"), "sent");

  browser.last.accept();

  assert.deepEqual(browser.last.sent, ["sign in", "hello everybody"]);
});

test("a message that was sent is not sent again", () => {
  const browser = connecting();
  browser.last.accept();
  browser.client.send("once");
  browser.last.cut();
  browser.clock.advance(LOST);
  browser.last.accept();

  assert.deepEqual(browser.last.sent, []);
});

test("a socket that is closing already is not sent into", () => {
  const browser = connecting();
  browser.last.accept();
  browser.last.readyState = 2; // the server's close frame is here, its event is not

  assert.equal(browser.client.send("kept"), "queued");
  browser.last.end(1006, "", false);
  browser.clock.advance(LOST);
  browser.last.accept();

  assert.deepEqual(browser.last.sent, ["kept"]);
});

test("a flush stops where the connection does, and goes on in the next", () => {
  const browser = connecting();
  for (const text of "abc") browser.client.send(text);
  const first = browser.last;
  first.send = function (data) {
    this.sent.push(data);
    this.readyState = 3;
  };

  first.accept();
  first.end(1006, "", false);
  browser.clock.advance(browser.client.detail.delay);
  browser.last.accept();

  assert.deepEqual([first.sent, browser.last.sent], [["a"], ["b", "c"]]);
});

test("a listener of `open` that closes keeps the queue from being sent", () => {
  const browser = connecting();
  browser.client.send("kept");
  browser.client.onopen = () => browser.client.close();

  browser.last.accept();

  assert.deepEqual(browser.last.sent, []);
  browser.last.end(1000);
  assert.deepEqual(browser.events("drop")[0].messages, ["kept"]);
});

test("a full queue refuses: so many messages", () => {
  const { client } = connecting({ queueMessages: 2 });
  client.send("1");
  client.send("2");

  assert.throws(() => client.send("3"), { name: "QuotaExceededError" });
});

test("a full queue refuses: so many bytes of UTF-8", () => {
  const { client } = connecting({ queueBytes: 10 });
  client.send("ééé"); // six bytes

  assert.throws(() => client.send("éé!"), { name: "QuotaExceededError" });
  assert.equal(client.send("éé"), "queued");
  assert.equal(client.bufferedAmount, 10);
});

test("what was refused is not in the queue, and there is room again after a flush", () => {
  const browser = connecting({ queueMessages: 1 });
  browser.client.send("1");
  assert.throws(() => browser.client.send("2"));
  browser.last.accept();
  browser.last.cut();

  assert.equal(browser.client.send("3"), "queued");
  assert.deepEqual(browser.sockets[0].sent, ["1"]);
});

test("the default bounds are 100 messages and 1 MiB", () => {
  const many = connecting().client;
  for (let i = 0; i < 100; i++) many.send("x");
  assert.throws(() => many.send("x"), { name: "QuotaExceededError" });

  const big = connecting().client;
  big.send("x".repeat(2 ** 20));
  assert.throws(() => big.send("x"), { name: "QuotaExceededError" });
});

test("without a queue, send() throws as a WebSocket's does", () => {
  const browser = connecting({ queueMessages: 0 });

  assert.throws(() => browser.client.send("x"), { name: "QuotaExceededError" });
  assert.throws(() => browser.client.send(""), { name: "QuotaExceededError" });
  browser.last.accept();
  assert.equal(browser.client.send("x"), "sent");
});

test("drop-oldest drops the oldest, and says which", () => {
  const browser = connecting({ queueMessages: 2, overflow: "drop-oldest" });
  for (const text of "abcd") assert.equal(browser.client.send(text), "queued");

  assert.deepEqual(
    browser.events("drop").map(({ messages, cause }) => [messages, cause]),
    [
      [["a"], "overflow"],
      [["b"], "overflow"],
    ],
  );
  browser.last.accept();
  assert.deepEqual(browser.last.sent, ["c", "d"]);
});

test("drop-oldest makes as much room as is needed, and no more", () => {
  const browser = connecting({ queueBytes: 6, overflow: "drop-oldest" });
  for (const text of ["aa", "bb", "cc", "ddd"]) browser.client.send(text);

  assert.deepEqual(browser.events("drop")[0].messages, ["aa", "bb"]);
  assert.equal(browser.client.bufferedAmount, 5);
});

test("drop-oldest makes room for what just fits", () => {
  const browser = connecting({ queueBytes: 4, overflow: "drop-oldest" });
  browser.client.send("a");

  assert.equal(browser.client.send("xxxx"), "queued");
  assert.deepEqual(browser.events("drop")[0].messages, ["a"]);
});

test("drop-oldest drops nothing for what can never fit", () => {
  const browser = connecting({ queueBytes: 4, overflow: "drop-oldest" });
  browser.client.send("a");

  assert.throws(() => browser.client.send("xxxxx"), { name: "QuotaExceededError" });
  assert.equal(browser.events("drop").length, 0);
  assert.equal(browser.client.bufferedAmount, 1);
});

test("drop-oldest without a queue throws", () => {
  const { client } = connecting({ queueMessages: 0, overflow: "drop-oldest" });

  assert.throws(() => client.send("x"), { name: "QuotaExceededError" });
});

function assertHandedBack(browser, expected) {
  const [{ messages, cause }] = browser.events("drop");
  assert.deepEqual([messages, cause], [expected, "stopped"]);
  assert.equal(browser.client.bufferedAmount, 0);
  assert.equal(browser.client.state, "stopped");
}

test("what is queued at close() is handed back", () => {
  const browser = connecting();
  browser.client.send("1");
  browser.client.send("2");

  browser.client.close();

  assertHandedBack(browser, ["1", "2"]);
});

test("what is queued when a code says never is handed back", () => {
  const browser = connecting();
  browser.last.accept();
  browser.last.readyState = 2;
  browser.client.send("1");

  browser.last.end(3403);

  assertHandedBack(browser, ["1"]);
});

test("nothing queued, nothing dropped", () => {
  const browser = connecting();
  browser.client.close();

  assert.equal(browser.events("drop").length, 0);
});

for (const [state, prepare] of [
  ["closing", (browser) => (browser.last.accept(), browser.client.close())],
  ["stopped", (browser) => browser.client.close()],
]) {
  test(`send() while ${state} throws instead of losing the message`, () => {
    const browser = connecting();
    prepare(browser);
    assert.equal(browser.client.state, state);

    assert.throws(() => browser.client.send("x"), { name: "InvalidStateError" });
  });
}

test("binary messages are a snapshot of the moment they were sent", async () => {
  const browser = connecting();
  const buffer = new Uint8Array([1, 2, 3]);
  const view = new DataView(buffer.buffer, 1, 2);
  for (const data of [buffer, buffer.buffer, view, new Blob(["x"])]) browser.client.send(data);
  buffer.fill(9);
  assert.equal(browser.client.bufferedAmount, 3 + 3 + 2 + 1);

  browser.last.accept();

  const bytes = await Promise.all(
    browser.last.sent.map(async (blob) => [...new Uint8Array(await blob.arrayBuffer())]),
  );
  assert.deepEqual(bytes, [[1, 2, 3], [1, 2, 3], [2, 3], [120]]);
});

test("what is no message type becomes text, as with a WebSocket", () => {
  const browser = connecting();
  browser.client.send(5);
  browser.client.send(undefined);
  browser.last.accept();
  browser.client.send(true);

  assert.deepEqual(browser.last.sent, ["5", "undefined", "true"]);
});
