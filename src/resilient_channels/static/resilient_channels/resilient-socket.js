// A WebSocket that notices when its server is gone and comes back by itself.
//
//     import { ResilientSocket } from "./resilient-socket.js";
//     const socket = new ResilientSocket("/ws/chat/");
//
// It is used like a WebSocket. With a resilient_channels server it speaks `resilient.v1`:
// heartbeats and goodbyes in control frames, text whose first character is U+001E. Of these the
// application sees nothing. No dependencies, no build step, nothing that a strict CSP forbids.

const MARK = "\x1e";
const TOKEN = "resilient.v1";
const VERSION = 1;
const MAX_CONTROL_LENGTH = 1024;
const MAX_NONCE_LENGTH = 64;

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** How long an answer may take that somebody waits for: a probe's, a close frame's. */
const PATIENCE = 5_000;
/** A timer that fires this much late tells of a sleep, a freeze, or a debugger. */
const LATE = 1_000;
/** What waits longer makes a browser's timer fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** A client that was told when to come back does so at a random moment within this time. */
const SPREAD = 1_000;
/**
 * How many times longer a client may wait that was told nothing. A server that dies loses all its
 * clients in one moment: with 5 s at first, no second sees more than about 30 % of them, however
 * soon there is a server again.
 */
const CROWD = 5;

/** Codes whose verdict is not that of their class; see `verdictFor`. */
const VERDICTS = {
  now: [1001, 1005, 1006, 1012, 3408, 3412, 3512, 3513],
  auth: [1008, 3401, 3411],
  backoff: [3413, 3420, 3429],
  never: [1000, 1010],
};

const EVENTS = ["open", "message", "error", "close", "state", "drop"];

const DEFAULTS = {
  protocol: true,
  authenticate: null,
  verdicts: {},
  baseDelay: 1_000,
  maxDelay: 30_000,
  stableAfter: 5_000,
  connectTimeout: 15_000,
  staleAfter: 0,
  queueMessages: 100,
  queueBytes: 1_048_576,
  overflow: "throw",
  // What tests replace.
  WebSocket: undefined,
  window: undefined,
  random: Math.random,
  clock: {
    now: () => Date.now(), // performance.now() stands still while some systems sleep
    setTimeout: (action, ms) => setTimeout(action, ms),
    clearTimeout: (timer) => clearTimeout(timer),
  },
};

/**
 * Says what to do after a close code: come back `"now"`, after a `"backoff"`, after new
 * credentials (`"auth"`), or `"never"`. Unknown 34xx: never; everything else unknown: backoff.
 *
 * @param {number} code
 * @returns {"now" | "backoff" | "auth" | "never"}
 */
export function verdictFor(code) {
  for (const verdict in VERDICTS) if (VERDICTS[verdict].includes(code)) return verdict;
  return code >= 3400 && code < 3500 ? "never" : "backoff";
}

/** Tells from timestamps, never from counted ticks, when a silent server has to be asked. */
class Watch {
  /** Unanswered questions; nobody is given up who was not asked. */
  probes = 0;

  constructor(now, interval, timeout) {
    this.heard = now;
    this.interval = interval;
    this.limit = interval + timeout; // 0: any silence is fine
    this.grace = Math.min(timeout || PATIENCE, PATIENCE);
  }

  hear(now) {
    this.heard = now;
    this.probes = 0;
  }

  silence(now) {
    this.heard = Math.min(this.heard, now); // a clock that was set back must not hide a silence
    return now - this.heard;
  }

  /** Milliseconds until it has to be asked, so that it is given up exactly at the limit. */
  left(now) {
    return this.limit ? this.limit - this.grace - this.silence(now) : Infinity;
  }
}

/** Holds messages while there is no connection, within bounds; loses none in silence. */
class Outbox {
  #items = [];
  #options;
  bytes = 0;

  constructor(options) {
    this.#options = options;
  }

  get length() {
    return this.#items.length;
  }

  /** Keeps `data` and returns what had to go for it; throws when it does not fit. */
  add(data) {
    const { queueMessages, queueBytes, overflow } = this.#options;
    // A Blob is a snapshot: the caller may go on writing into a buffer.
    const blob = new Blob([data]);
    const isFull = () =>
      this.#items.length >= queueMessages || this.bytes + blob.size > queueBytes;
    const dropped = [];
    if (isFull() && (overflow === "throw" || !queueMessages || blob.size > queueBytes)) {
      throw new DOMException("Not connected, and the queue is full", "QuotaExceededError");
    }
    while (isFull()) dropped.push(this.take());
    this.#items.push({ data: isText(data) ? data : blob, size: blob.size });
    this.bytes += blob.size;
    return dropped;
  }

  take() {
    const { data, size } = this.#items.shift();
    this.bytes -= size;
    return data;
  }

  clear() {
    const all = this.#items.map(({ data }) => data);
    this.#items = [];
    this.bytes = 0;
    return all;
  }
}

/**
 * A `WebSocket` that reconnects. Types and the meaning of every option: `resilient-socket.d.ts`.
 *
 * One word says how it is, `state`, and one method changes it, `#enter`. Each state has at most
 * one timer, which ends with it. Every listener may call `close()` or `reconnect()`: after an
 * event that let it, the code looks whether its turn is over.
 */
export class ResilientSocket extends EventTarget {
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  onstate = null;
  ondrop = null;

  #options = { ...DEFAULTS, WebSocket: globalThis.WebSocket, window: globalThis };
  #source;
  #offers;
  #outbox;
  #ears = null;

  #state = "connecting";
  #detail = {};
  #timer;
  #turn = 0; // counts the sockets; what belongs to an older one has nothing to say any more
  #attempt = 0; // failures since the last connection that held
  #renewed = false; // credentials were fetched since then
  #notBefore = 0; // the server asked to be left alone until then
  #after = 0; // that is, for so long: a clock may be set back meanwhile

  #socket = null;
  #url = "";
  #binaryType = "blob";
  #openedAt = 0;
  #watch = null;
  #greeted = false;
  #bye = null;
  #nonce = 0;
  #askedAt = 0;
  #rtt = null;

  constructor(url, protocols = [], options = {}) {
    super();
    for (const type of EVENTS) this.addEventListener(type, (event) => this[`on${type}`]?.(event));
    this.#configure(options);
    this.#source = url;
    this.#offers = [protocols ?? []].flat();
    if (this.#options.protocol) {
      const combined = this.#offers.flatMap((name) => [`${TOKEN}.${name}`, name]);
      this.#offers = [...combined, TOKEN];
    }
    this.#outbox = new Outbox(this.#options);
    // As with a WebSocket, an address that cannot be right throws here.
    const socket = typeof url === "function" ? null : this.#dial(url);
    this.#listen();
    this.#connect("start", socket);
  }

  /** "connecting", "open", "waiting", "offline", "authenticating", "closing" or "stopped". */
  get state() {
    return this.#state;
  }

  /** The detail of the last `state` event. */
  get detail() {
    return this.#detail;
  }

  /** Milliseconds of the last round trip that was measured, or null. */
  get rtt() {
    return this.#rtt;
  }

  /** Whether the open connection speaks `resilient.v1`. */
  get negotiated() {
    const name = this.#socket?.protocol ?? "";
    return this.#options.protocol && (name === TOKEN || name.startsWith(`${TOKEN}.`));
  }

  /** CLOSED only when it will not come back by itself; CONNECTING while it tries to. */
  get readyState() {
    return { open: OPEN, closing: CLOSING, stopped: CLOSED }[this.#state] ?? CONNECTING;
  }

  /** The application's subprotocol, without our prefix. */
  get protocol() {
    const name = this.#socket?.protocol ?? "";
    return this.negotiated ? name.slice(TOKEN.length + 1) : name;
  }

  get url() {
    return this.#url;
  }

  get extensions() {
    return this.#socket?.extensions ?? "";
  }

  get bufferedAmount() {
    return (this.#socket?.bufferedAmount ?? 0) + this.#outbox.bytes;
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    this.#binaryType = type;
    if (this.#socket) this.#socket.binaryType = type;
  }

  /**
   * Hands a message to the open connection, or queues it for the next one.
   *
   * @returns {"sent" | "queued"}
   * @throws {DOMException} InvalidStateError: closing or stopped. QuotaExceededError: queue full.
   */
  send(data) {
    if (typeof data !== "object") data = String(data);
    if (this.readyState >= CLOSING) {
      throw new DOMException(`The socket is ${this.#state}`, "InvalidStateError");
    }
    // An open state with a closing socket: its end is known to the browser but not yet to us.
    if (this.#state === "open" && this.#socket.readyState === OPEN) {
      this.#transmit(data);
      return "sent";
    }
    this.#drop(this.#outbox.add(data), "overflow");
    return "queued";
  }

  /** Ends the connection, as `WebSocket.close()` does, and every attempt to have one. */
  close(code, reason) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException("Allowed are 1000 and 3000 to 4999", "InvalidAccessError");
    }
    if (this.readyState >= CLOSING) return;
    if (this.#state !== "open") {
      this.#stop("closed", { code: code ?? 1000, reason: reason ?? "" });
      return;
    }
    this.#socket.close(code, reason); // throws at a reason that is too long
    this.#enter("closing", { cause: "closed", code, reason }, PATIENCE, () => this.#lost());
  }

  /** Connects afresh, at once: after "stopped", instead of a wait, or in place of an open one. */
  reconnect() {
    this.#listen();
    this.#attempt = this.#notBefore = 0;
    this.#renewed = false;
    this.#connect("reconnect");
  }

  #configure(options) {
    for (const [name, value] of Object.entries(options)) {
      if (!Object.hasOwn(DEFAULTS, name)) throw new TypeError(`Unknown option: ${name}`);
      if (value === undefined) continue;
      const isWrong =
        (typeof DEFAULTS[name] === "number" && !(typeof value === "number" && value >= 0)) ||
        (name === "overflow" && !["throw", "drop-oldest"].includes(value)) ||
        (name === "verdicts" && Object.values(value).some((value) => !isVerdict(value)));
      if (isWrong) throw new RangeError(`Wrong value of the option ${name}`);
      this.#options[name] = value;
    }
  }

  // -- the state, its timer, its events

  /** Changes the state; `action` happens after `ms` unless the state changes before. */
  #enter(state, detail, ms, action) {
    const previous = this.#state;
    const wasLinked = previous === "open" || previous === "closing";
    const isLinked = state === "open" || state === "closing";
    this.#state = state;
    this.#detail = detail = Object.freeze({ ...detail, state, previous });
    this.#arm(ms, action);
    if ((wasLinked && !isLinked) || state === "stopped") {
      const { code = 1000, reason = "", wasClean = false } = detail;
      this.#emit("close", { code, reason, wasClean });
    }
    // A listener of "close" may have changed the state again, and said so.
    if (this.#detail === detail) this.dispatchEvent(new CustomEvent("state", { detail }));
  }

  #arm(ms, action) {
    const { clock } = this.#options;
    clock.clearTimeout(this.#timer);
    if (!action || ms === Infinity) return;
    const due = clock.now() + ms;
    const fire = () => action(clock.now() - due);
    this.#timer = clock.setTimeout(fire, Math.min(ms, LONGEST_TIMER));
  }

  #emit(type, fields) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }

  #drop(messages, cause) {
    if (messages.length) this.#emit("drop", { messages, cause });
  }

  #now() {
    return this.#options.clock.now();
  }

  // -- one attempt, from the address to the end of its socket

  #connect(cause, socket) {
    const { connectTimeout } = this.#options;
    this.#release();
    const turn = this.#turn;
    const fail = (error, why) => turn === this.#turn && this.#fail(error, why);
    const late = () => fail(new Error(`No connection within ${connectTimeout} ms`), "timeout");
    this.#enter("connecting", { cause, attempt: this.#attempt + 1 }, connectTimeout, late);
    if (turn !== this.#turn) return;
    if (socket) {
      this.#adopt(socket);
      return;
    }
    const source = this.#source;
    const start = async () => {
      const url = typeof source === "function" ? await source() : source;
      if (turn === this.#turn) this.#adopt(this.#dial(url));
    };
    start().catch((error) => fail(error, "failed"));
  }

  #dial(url) {
    const { WebSocket, window } = this.#options;
    const address = new URL(url, window.document?.baseURI ?? window.location?.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.#url = address.href;
    return new WebSocket(address.href, this.#offers);
  }

  #adopt(socket) {
    this.#socket = socket;
    socket.binaryType = this.#binaryType;
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#received(event);
    socket.onerror = ({ error }) => this.#emit("error", { error });
    socket.onclose = (event) => this.#lost(event);
  }

  /** Lets go of the socket without waiting for it: closing towards a dead peer takes long. */
  #release(code = 1000, reason = "") {
    const socket = this.#socket;
    if (this.#state === "open" && this.#now() - this.#openedAt >= this.#options.stableAfter) {
      this.#attempt = 0;
      this.#renewed = false;
    }
    this.#turn++;
    this.#socket = this.#watch = this.#bye = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
    socket.close(code, reason);
  }

  #opened() {
    const { staleAfter, connectTimeout } = this.#options;
    const { negotiated } = this;
    const turn = this.#turn;
    const now = (this.#openedAt = this.#now());
    this.#greeted = false;
    // Until the server's hello says how often it will be heard, that is what is waited for.
    this.#watch = negotiated
      ? new Watch(now, 0, connectTimeout)
      : new Watch(now, staleAfter / 2, staleAfter / 2);
    this.#enter("open", { negotiated }, this.#watch.left(now), this.#check);
    // What a listener of "open" sends comes first: it signs in, or subscribes.
    if (turn === this.#turn) this.#emit("open");
    while (this.#outbox.length && turn === this.#turn && this.#socket.readyState === OPEN) {
      this.#transmit(this.#outbox.take());
    }
  }

  #received({ data, origin }) {
    this.#watch.hear(this.#now());
    if (this.negotiated && isText(data) && data[0] === MARK) {
      if (data[1] !== MARK) return this.#obey(data);
      data = data.slice(1);
    }
    this.#bye = null; // whoever goes on talking has not gone
    this.dispatchEvent(new MessageEvent("message", { data, origin }));
  }

  /** An application's text that looks like a control frame has its first character doubled. */
  #transmit(data) {
    const looksLikeOurs = this.negotiated && isText(data) && data[0] === MARK;
    this.#socket.send(looksLikeOurs ? MARK + data : data);
  }

  // -- control frames

  /** Acts on a control frame; what it does not understand it leaves alone. */
  #obey(text) {
    let frame = null;
    try {
      if (text.length <= MAX_CONTROL_LENGTH) frame = JSON.parse(text.slice(1));
    } catch {
      // no JSON: as if it said nothing
    }
    switch (frame?.type) {
      case "hello":
        return this.#greet(frame);
      case "ping":
        return this.#answer(frame);
      case "pong":
        if (frame.n === this.#nonce && this.#askedAt) {
          this.#rtt = this.#now() - this.#askedAt;
          this.#askedAt = 0;
        }
        return;
      case "bye":
        if (Number.isInteger(frame.code)) this.#bye = frame;
    }
  }

  #greet({ version, interval_ms: interval, timeout_ms: timeout }) {
    if (version !== VERSION || this.#greeted) return;
    this.#greeted = true;
    this.#say({ type: "hello", version: VERSION });
    const { staleAfter } = this.#options;
    const now = this.#now();
    this.#watch =
      isTime(interval) && isTime(timeout)
        ? new Watch(now, interval, timeout)
        : new Watch(now, staleAfter / 2, staleAfter / 2);
    this.#arm(this.#watch.left(now), this.#check);
  }

  /** Answers at once: hidden pages run timers once a minute, but messages when they come. */
  #answer({ n, rtt_ms: rtt }) {
    if (!Number.isSafeInteger(n) && !(isText(n) && n.length <= MAX_NONCE_LENGTH)) return;
    this.#bye = null;
    this.#say({ type: "pong", n });
    if (isTime(rtt)) this.#rtt = rtt;
  }

  #say(frame) {
    this.#socket.send(MARK + JSON.stringify(frame));
  }

  // -- is the server still there?

  /** The timer of "open". */
  #check = (late = 0) => {
    const watch = this.#watch;
    const left = watch.left(this.#now());
    if (!watch.probes && left > 0) this.#arm(left, this.#check);
    // After a sleep or a freeze the answer may be here already, behind this timer in the queue.
    else if (!watch.probes || (watch.probes === 1 && late > LATE)) this.#probe();
    else this.#giveUp();
  };

  #giveUp() {
    const close = { code: 3408, reason: "heartbeat timeout", wasClean: false };
    this.#socket.close(close.code, close.reason);
    this.#lost(close, "stale");
  }

  #probe() {
    this.#watch.probes++;
    if (this.#greeted) {
      this.#askedAt = this.#now();
      this.#say({ type: "ping", n: ++this.#nonce });
    }
    this.#arm(this.#watch.grace, this.#check);
  }

  // -- what to do when there is no connection

  #fail(error, cause) {
    const turn = this.#turn;
    this.#emit("error", { error });
    if (turn === this.#turn) this.#lost(undefined, cause);
  }

  #lost(close = { code: 1006, reason: "", wasClean: false }, cause = "lost") {
    const { verdicts, maxDelay } = this.#options;
    const bye = this.#bye;
    const isClosing = this.#state === "closing";
    const { code, reason } = bye ?? close;
    const ending = { code, reason: isText(reason) ? reason : "", wasClean: close.wasClean };
    this.#release();
    if (isClosing) return this.#stop("closed", ending);
    const told = verdicts[code] ?? (isVerdict(bye?.verdict) ? bye.verdict : undefined);
    let verdict = told ?? verdictFor(code);
    let after = isTime(bye?.after_ms) ? bye.after_ms : 0;
    this.#notBefore = this.#now() + after;
    this.#after = after;
    if (code === 1000 && !told && !bye) {
      // Nobody said goodbye: Daphne, for one, ends every connection like this after 24 hours.
      verdict = "backoff";
      after = maxDelay / 2;
    }
    const detail = { ...ending, cause, verdict };
    if (verdict === "never") this.#stop("verdict", detail);
    else if (verdict === "auth") this.#renew(detail, after);
    else {
      // A server that dies or is stopped sends no code of the application's, nor of ours.
      const isTold = bye || (close.wasClean && code >= 3000);
      this.#wait(detail, after + this.#delay(verdict, after, isTold));
    }
  }

  /** Full jitter below a ceiling that doubles with each failure. */
  #delay(verdict, after, isTold) {
    const { baseDelay, maxDelay, random } = this.#options;
    const base = isTold ? baseDelay : CROWD * baseDelay;
    const ceiling = Math.min(maxDelay, base * 2 ** this.#attempt);
    // The server asked for a longer wait than ours would be: that is a plan, and no failure.
    if (verdict === "now" && after >= ceiling) return random() * SPREAD;
    this.#attempt++;
    return random() * ceiling;
  }

  #renew(detail, after) {
    const { authenticate, random } = this.#options;
    const turn = this.#turn;
    const again = () => this.#wait(detail, after + random() * SPREAD);
    const stop = () => this.#stop("unauthenticated", detail);
    // An address that is asked for each time brings its own credentials.
    if (this.#renewed || !(authenticate || typeof this.#source === "function")) return stop();
    this.#renewed = true;
    if (!authenticate) return again();
    this.#enter("authenticating", detail);
    if (turn !== this.#turn) return;
    (async () => authenticate(detail))().then(
      (answer) => turn === this.#turn && (answer === false ? stop() : again()),
      (error) => {
        if (turn !== this.#turn) return;
        this.#renewed = false; // the question has not been answered: it may be asked again
        this.#fail(error, "authenticate");
      },
    );
  }

  #wait(detail, delay) {
    const { window, maxDelay, random } = this.#options;
    // The browser may be wrong about being offline; hence seldom, not never.
    const isOffline = window.navigator?.onLine === false;
    if (isOffline) delay = Math.max(delay, (maxDelay * (1 + random())) / 2);
    const state = isOffline ? "offline" : "waiting";
    this.#enter(state, { ...detail, delay, attempt: this.#attempt }, delay, () =>
      this.#connect("retry"),
    );
  }

  #stop(cause, detail) {
    this.#release();
    this.#ears.abort();
    const messages = this.#outbox.clear();
    this.#enter("stopped", { ...detail, cause });
    this.#drop(messages, "stopped");
  }

  // -- what the page is told

  #listen() {
    const { window } = this.#options;
    this.#ears?.abort();
    this.#ears = new AbortController();
    const { signal } = this.#ears;
    for (const type of ["online", "offline", "pageshow", "pagehide"]) {
      window.addEventListener?.(type, this.#told, { signal });
    }
    for (const type of ["visibilitychange", "resume"]) {
      window.document?.addEventListener(type, this.#told, { signal });
    }
  }

  #told = ({ type }) => {
    const state = this.#state;
    const isWaiting = state === "waiting" || state === "offline";
    if (type === "pagehide") {
      this.#hide();
    } else if (type === "offline") {
      if (state === "waiting") this.#wait(this.#detail, this.#notBefore - this.#now());
      if (state === "open") this.#ask(true);
    } else if (type !== "visibilitychange" || !this.#options.window.document.hidden) {
      const isOnline = type === "online";
      if (isOnline) this.#attempt = 0;
      if (isWaiting) this.#hurry(type);
      // An attempt that began on the old network will hang there.
      else if (state === "connecting" && isOnline) this.#connect(type);
      else if (state === "open") this.#ask(isOnline);
    }
  };

  /** Leaves politely: a page with an open connection is not kept for the way back. */
  #hide() {
    if (this.readyState >= CLOSING || this.#state === "authenticating") return;
    this.#release(1000, "pagehide");
    this.#enter("waiting", { cause: "pagehide", code: 1000, reason: "pagehide", wasClean: true });
  }

  #hurry(cause) {
    const left = Math.min(this.#notBefore - this.#now(), this.#after);
    if (left <= 0) this.#connect(cause);
    else this.#wait({ ...this.#detail, cause }, left);
  }

  /** After a sleep or a change of network: is anybody there? Only `resilient.v1` can ask. */
  #ask(anyhow) {
    const watch = this.#watch;
    if (!this.#greeted || watch.probes) return;
    if (anyhow || watch.silence(this.#now()) > watch.interval) this.#probe();
  }
}

for (const target of [ResilientSocket, ResilientSocket.prototype]) {
  Object.assign(target, { CONNECTING, OPEN, CLOSING, CLOSED });
}

// Loaded by `{% resilient_client %}`, for scripts that cannot import what has a hash in its name.
if (globalThis.document?.querySelector("script[data-resilient-client]")) {
  globalThis.ResilientSocket = ResilientSocket;
}

// Frames may hold anything; these look at a value without converting it, which could throw.

function isVerdict(value) {
  return Object.keys(VERDICTS).includes(value);
}

function isText(value) {
  return typeof value === "string";
}

function isTime(value) {
  return Number.isFinite(value) && value >= 0;
}
