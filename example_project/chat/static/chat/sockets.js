// The two sockets of the page: a browser's own, and one that comes back by itself.
//
// Both tell their pane the same things: opened(), heard(data), ended({ code, reason }) and
// changed(words, kind), where kind is "up", "down", or "between".

/* global ResilientSocket -- the page loads it with {% resilient_client %}, before this */

import { seconds } from "./time.js";

/** In plain words, why the server ends a connection. */
const MEANINGS = {
  1012: "the server goes down in good order",
  3400: "too many messages that nobody understands",
  3408: "no answer to a heartbeat in time",
  3420: "it reads more slowly than it is told",
  3429: "too many messages at once",
  3500: "too many errors in handlers",
  3512: "the server makes room for the next one",
};

/** The server remembers under this key how a connection ended. */
const freshKey = () => `k${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;

export class NakedSocket {
  /** It never does. */
  returns = false;
  key = "";
  #pane;
  #socket = null;

  constructor(pane) {
    this.#pane = pane;
    this.connect();
  }

  connect() {
    this.key = freshKey();
    const address = new URL(`/ws/plain/?key=${this.key}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.#pane.changed("connecting", "between");
    const socket = (this.#socket = new WebSocket(address));
    socket.onmessage = ({ data }) => this.#pane.heard(data);
    socket.onopen = () => {
      this.#pane.changed("open", "up");
      this.#pane.opened();
    };
    socket.onclose = (event) => {
      this.#pane.changed(`closed ${event.code}`, "down");
      this.#pane.ended(event);
      // What a fault did, the pane reports by itself.
      if (document.body.ariaBusy === "true") return;
      this.#pane.note(`${whyItEnded("lost", event.code, event.reason)}, and nobody makes it anew.`);
    };
  }

  /** "sent", or "lost" when there is no connection. */
  send(data) {
    if (this.#socket.readyState !== WebSocket.OPEN) return "lost";
    this.#socket.send(data);
    return "sent";
  }

  close(code) {
    this.#socket.close(code);
  }

  vitals() {
    const isOver = this.#socket.readyState === WebSocket.CLOSED;
    return { rtt: "not measured", next: isOver ? "never" : "–" };
  }
}

export class ReturningSocket {
  key = "";
  #pane;
  #socket;
  #since = 0;

  constructor(pane) {
    this.#pane = pane;
    const address = () => `/ws/resilient/?key=${(this.key = freshKey())}`;
    // Less patient than by default: somebody is watching, and presses one button after the other.
    const options = { stableAfter: 1_000, maxDelay: 2_000 };
    const socket = (this.#socket = new ResilientSocket(address, [], options));
    socket.onmessage = ({ data }) => pane.heard(data);
    socket.onopen = () => pane.opened();
    socket.onclose = (event) => pane.ended(event);
    socket.onstate = ({ detail }) => this.#changed(detail);
    pane.changed(socket.state, "between"); // the first state came before anybody listened
  }

  /** Whether it will be back without being asked. */
  get returns() {
    return this.#socket.state !== "stopped";
  }

  connect() {
    this.#socket.reconnect();
  }

  /** "sent", "queued" for the next connection, or "lost" when there will be none. */
  send(data) {
    return this.#socket.readyState >= ResilientSocket.CLOSING ? "lost" : this.#socket.send(data);
  }

  close(code) {
    this.#socket.close(code);
  }

  vitals() {
    const { rtt, state, detail } = this.#socket;
    const left = this.#since + detail.delay - performance.now();
    const isWaiting = (state === "waiting" || state === "offline") && left > 0;
    let next = "–";
    if (isWaiting) next = `in ${seconds(left)}`;
    if (state === "connecting" && detail.attempt > 1) next = `attempt ${detail.attempt}`;
    if (state === "stopped") next = "when asked";
    return { rtt: rtt === null ? "–" : `${rtt.toFixed(1)} ms`, next };
  }

  #changed(detail) {
    const { state, cause, code, reason, delay, previous } = detail;
    this.#since = performance.now();
    const kind = { open: "up", stopped: "down" }[state] ?? "between";
    this.#pane.changed(state === "stopped" ? `stopped ${code}` : state, kind);
    if (state === "offline") {
      this.#pane.note("The browser says it is offline: waiting for it to return.");
    } else if (state === "waiting" && delay !== undefined) {
      const why = previous === "connecting" ? "Nobody answered" : whyItEnded(cause, code, reason);
      this.#pane.note(`${why}: the next try is in ${seconds(delay)}.`);
    } else if (state === "stopped" && cause !== "closed") {
      this.#pane.note(`The server does not want it back (${meaningOf(code, reason)}).`);
    }
  }
}

function whyItEnded(cause, code, reason) {
  if (cause === "stale") return "Heard nothing from the server for too long";
  if (code === 1006) return "The connection is gone without a word (1006)";
  return `The connection was ended (${meaningOf(code, reason)})`;
}

function meaningOf(code, reason) {
  const words = MEANINGS[code] ?? reason.replaceAll("_", " ");
  return words ? `${code}, ${words}` : String(code);
}
