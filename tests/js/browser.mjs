// A browser of one page whose time, chance, network and visibility a test decides.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { ResilientSocket } from "../../src/resilient_channels/static/resilient_channels/resilient-socket.js";

export const MARK = "\x1e";
export const control = (frame) => MARK + JSON.stringify(frame);
export const golden = (name) =>
  JSON.parse(readFileSync(new URL(`../golden/${name}`, import.meta.url), "utf8"));

/** How long a client waits that lost its connection and was told nothing, at a chance of one half. */
export const LOST = 2_500;

/** Lets promises that are due be fulfilled; no time passes. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Timers that fire when the test says so. */
export class FakeClock {
  time = 1_700_000_000_000;
  timers = new Map();
  #next = 1;

  now = () => this.time;
  setTimeout = (action, ms) => {
    assert.ok(ms <= 2 ** 31 - 1, `a browser fires a timer of ${ms} ms at once`);
    this.timers.set(this.#next, { due: this.time + Math.max(0, ms), action });
    return this.#next++;
  };
  clearTimeout = (id) => this.timers.delete(id);

  /** Runs what falls due within `ms`, each at its time. */
  advance(ms) {
    const end = this.time + ms;
    for (;;) {
      const [id, timer] = this.#first(end);
      if (!timer) break;
      this.time = Math.max(this.time, timer.due);
      this.timers.delete(id);
      timer.action();
    }
    this.time = end;
  }

  /** Nothing runs for `ms`, as in a sleeping computer; then what is overdue runs, late. */
  sleep(ms) {
    this.time += ms;
    this.advance(0);
  }

  #first(end) {
    let first = [];
    for (const [id, timer] of this.timers) {
      if (timer.due <= end && (!first[1] || timer.due < first[1].due)) first = [id, timer];
    }
    return first;
  }
}

/** As strict as a browser's, and it does nothing that the test did not say. */
export class FakeWebSocket {
  readyState = 0;
  binaryType = "blob";
  bufferedAmount = 0;
  extensions = "";
  protocol = "";
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  sent = [];
  closedWith = null;

  constructor(url, protocols) {
    const { protocol, hash } = new URL(url);
    if (!["ws:", "wss:"].includes(protocol) || hash) throw new DOMException(url, "SyntaxError");
    if (new Set(protocols).size !== protocols.length) {
      throw new DOMException("a subprotocol twice", "SyntaxError");
    }
    this.url = url;
    this.protocols = protocols;
  }

  send(data) {
    if (this.readyState === 0) throw new DOMException("still connecting", "InvalidStateError");
    if (this.readyState === 1) this.sent.push(data);
  }

  close(code, reason = "") {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`code ${code}`, "InvalidAccessError");
    }
    if (new TextEncoder().encode(reason).length > 123) throw new DOMException("", "SyntaxError");
    if (this.readyState >= 2) return;
    this.closedWith = { code, reason };
    this.readyState = 2;
  }

  // -- the other side

  /** The server accepts; a browser fails the handshake when the answer does not fit the offer. */
  accept(protocol = "") {
    if (protocol ? !this.protocols.includes(protocol) : this.protocols.length) return this.cut();
    this.protocol = protocol;
    this.readyState = 1;
    this.onopen?.({ type: "open" });
    return this;
  }

  deliver(data) {
    if (this.readyState === 1) this.onmessage?.({ data, origin: "wss://chat.example" });
  }

  end(code, reason = "", wasClean = true) {
    this.readyState = 3;
    this.onclose?.({ type: "close", code, reason, wasClean });
  }

  cut() {
    this.readyState = 3;
    this.onerror?.({ type: "error" });
    this.onclose?.({ type: "close", code: 1006, reason: "", wasClean: false });
  }

  get isAttached() {
    return [this.onopen, this.onmessage, this.onerror, this.onclose].some(Boolean);
  }

  get controls() {
    return this.sent.filter((data) => data[0] === MARK).map((data) => JSON.parse(data.slice(1)));
  }
}

/** Counts its listeners, so that a test can say that none is left. */
class Page extends EventTarget {
  #signals = [];

  addEventListener(type, listener, options) {
    super.addEventListener(type, listener, options);
    this.#signals.push(options.signal);
  }

  get listening() {
    return this.#signals.filter(({ aborted }) => !aborted).length;
  }
}

export class Browser {
  clock = new FakeClock();
  sockets = [];
  log = []; // every event of the socket, in order
  chance = 0.5;

  constructor({ baseURI = "https://chat.example/room/7/", onLine = true } = {}) {
    this.window = Object.assign(new Page(), {
      document: Object.assign(new Page(), { baseURI, hidden: false }),
      navigator: { onLine },
    });
  }

  open(url = "/ws/", protocols = [], options = {}) {
    const { sockets, clock, window } = this;
    this.client = new ResilientSocket(url, protocols, {
      WebSocket: class extends FakeWebSocket {
        constructor(...args) {
          super(...args);
          sockets.push(this);
        }
      },
      clock,
      window,
      random: () => this.chance,
      ...options,
    });
    for (const type of ["open", "message", "error", "close", "state", "drop"]) {
      this.client.addEventListener(type, (event) => this.log.push(event));
    }
    return this.client;
  }

  /** A client with an accepted connection that has said hello. */
  meet(options, { interval = 25_000, timeout = 20_000 } = {}) {
    this.open("/ws/", [], options);
    this.greet({ interval, timeout });
    return this.client;
  }

  greet({ interval = 25_000, timeout = 20_000 } = {}) {
    this.last.accept("resilient.v1");
    this.last.deliver(
      control({
        type: "hello",
        version: 1,
        connection: "c1",
        interval_ms: interval,
        timeout_ms: timeout,
      }),
    );
    return this.last;
  }

  get last() {
    return this.sockets.at(-1);
  }

  get attached() {
    return this.sockets.filter((socket) => socket.isAttached);
  }

  /** Names of the events so far, states with their name. */
  get story() {
    return this.log.map(({ type, detail }) => (type === "state" ? detail.state : type));
  }

  events(type) {
    return this.log.filter((event) => event.type === type);
  }

  tell(type) {
    const target = ["visibilitychange", "resume"].includes(type)
      ? this.window.document
      : this.window;
    target.dispatchEvent(new Event(type));
  }

  goOffline() {
    this.window.navigator.onLine = false;
    this.tell("offline");
  }

  goOnline() {
    this.window.navigator.onLine = true;
    this.tell("online");
  }

  hide() {
    this.window.document.hidden = true;
    this.tell("visibilitychange");
  }

  show() {
    this.window.document.hidden = false;
    this.tell("visibilitychange");
  }

  /** Nothing of the client is left: no timer, no listener, no socket that could call back. */
  assertQuiet() {
    assert.equal(this.client.state, "stopped");
    assert.equal(this.clock.timers.size, 0);
    assert.equal(this.window.listening + this.window.document.listening, 0);
    assert.deepEqual(this.attached, []);
    assert.ok(this.sockets.every(({ readyState }) => readyState >= 2));
  }
}
