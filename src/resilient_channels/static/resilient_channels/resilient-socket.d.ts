/** What to do after a close: see the reference of close codes. */
export type Verdict = "now" | "backoff" | "auth" | "never";

/**
 * - `connecting`: the address is asked for, or the handshake is under way;
 * - `open`: messages pass;
 * - `waiting`: the next attempt comes after a delay;
 * - `offline`: as `waiting`, but the browser says that there is no network, so attempts are rare;
 * - `authenticating`: `authenticate()` was called and has not finished;
 * - `closing`: you called `close()`, the server has not answered yet;
 * - `stopped`: no connection and no attempt, until `reconnect()` is called.
 */
export type SocketState =
  | "connecting"
  | "open"
  | "waiting"
  | "offline"
  | "authenticating"
  | "closing"
  | "stopped";

/**
 * Why the state changed. For `connecting`: "start", "retry", "reconnect", "online", "pageshow",
 * "visibilitychange", "resume". For `waiting`, `offline`, `authenticating`: "lost" (the
 * connection ended or the handshake failed), "failed" (no address, or none that can be right),
 * "timeout" (no connection in time), "stale" (the server fell silent), "authenticate" (your
 * callback failed), "pagehide"; or what brought an attempt forward. For `stopped`: "closed" (by
 * you), "verdict" (the server's code says never), "unauthenticated" (no credentials, or refused
 * again).
 */
export type Cause =
  | "start"
  | "retry"
  | "reconnect"
  | "online"
  | "pageshow"
  | "pagehide"
  | "visibilitychange"
  | "resume"
  | "lost"
  | "failed"
  | "timeout"
  | "stale"
  | "authenticate"
  | "closed"
  | "verdict"
  | "unauthenticated";

export interface StateDetail {
  readonly state: SocketState;
  readonly previous: SocketState;
  /** Absent for `open`. */
  readonly cause?: Cause;
  /** The close code, after a connection or an attempt ended; the server's `bye` comes first. */
  readonly code?: number;
  readonly reason?: string;
  readonly wasClean?: boolean;
  readonly verdict?: Verdict;
  /** Milliseconds until the next attempt (`waiting`, `offline`). Absent while the page is hidden
   *  away by the browser: then the attempt comes with its return. */
  readonly delay?: number;
  /** The number of the attempt (`connecting`); attempts that failed in a row (`waiting`, `offline`). */
  readonly attempt?: number;
  /** Whether the connection speaks `resilient.v1` (`open`). */
  readonly negotiated?: boolean;
}

/** A connection that was open has ended, or the socket has stopped. */
export interface SocketCloseEvent extends Event {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

/** An attempt failed, or a callback of yours did: then `error` is what it threw. */
export interface SocketErrorEvent extends Event {
  readonly error?: unknown;
}

/** Queued messages that will not be sent; binary ones as `Blob`. */
export interface DropEvent extends Event {
  readonly messages: readonly (string | Blob)[];
  readonly cause: "overflow" | "stopped";
}

export interface ResilientSocketEventMap {
  open: Event;
  message: MessageEvent;
  error: SocketErrorEvent;
  close: SocketCloseEvent;
  state: CustomEvent<StateDetail>;
  drop: DropEvent;
}

export type Address = string | URL;
export type Message = string | ArrayBufferLike | Blob | ArrayBufferView;

export interface Clock {
  now(): number;
  setTimeout(action: () => void, ms: number): unknown;
  clearTimeout(timer: any): void;
}

/** All times are in milliseconds. */
export interface ResilientSocketOptions {
  /** Offer `resilient.v1`. `false` for servers that do not know it: a browser refuses a handshake
   *  whose offer is not answered. Default: true. */
  protocol?: boolean;
  /** Fetches new credentials, a cookie for example, when the server asks for them. `false`: there
   *  are none, stop. A rejection counts as a failed attempt. Default: none. */
  authenticate?:
    | ((detail: Pick<StateDetail, "cause" | "code" | "reason" | "verdict" | "wasClean">) => unknown)
    | null;
  /** What to do after which close code; comes before the server's word and the registry. */
  verdicts?: Readonly<Record<number, Verdict>>;
  /** The first ceiling of the random delay for a client that was told to come back; five times
   *  that for one that was told nothing. It doubles with each failure. Default: 1,000. */
  baseDelay?: number;
  /** The highest ceiling. Default: 30,000. */
  maxDelay?: number;
  /** How long a connection must have been open to count as a success. Default: 5,000. */
  stableAfter?: number;
  /** How long an attempt may take, and the server's hello after it. Default: 15,000. */
  connectTimeout?: number;
  /** Silence after which a connection without the server's heartbeats is given up. Default: 0, never. */
  staleAfter?: number;
  /** Messages that `send()` keeps while there is no connection; 0: none. Default: 100. */
  queueMessages?: number;
  /** Bytes that `send()` keeps while there is no connection. Default: 1,048,576. */
  queueBytes?: number;
  /** What a full queue does: `send()` throws, or the oldest go, with a `drop` event. Default: "throw". */
  overflow?: "throw" | "drop-oldest";

  /** For tests. */
  WebSocket?: unknown;
  /** For tests: where `document`, `navigator` and the page's events come from. */
  window?: unknown;
  /** For tests: a number in [0, 1). */
  random?: () => number;
  /** For tests. */
  clock?: Clock;
}

type Handler<E extends Event> = ((this: ResilientSocket, event: E) => unknown) | null;
type Listener<E extends Event> =
  | ((this: ResilientSocket, event: E) => unknown)
  | { handleEvent(event: E): unknown };

export declare class ResilientSocket extends EventTarget {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /**
   * @param url An address, relative ones too, or a function that returns one for each attempt.
   * @param protocols The application's subprotocols, if it has any.
   */
  constructor(
    url: Address | (() => Address | Promise<Address>),
    protocols?: string | readonly string[] | null,
    options?: ResilientSocketOptions,
  );

  onopen: Handler<Event>;
  onmessage: Handler<MessageEvent>;
  onerror: Handler<SocketErrorEvent>;
  onclose: Handler<SocketCloseEvent>;
  onstate: Handler<CustomEvent<StateDetail>>;
  ondrop: Handler<DropEvent>;

  readonly state: SocketState;
  /** The detail of the last `state` event. */
  readonly detail: StateDetail;
  /** The last measured round trip in milliseconds. */
  readonly rtt: number | null;
  /** Whether the open connection speaks `resilient.v1`. */
  readonly negotiated: boolean;
  /** CLOSED only when it will not come back by itself; CONNECTING while it tries to. */
  readonly readyState: 0 | 1 | 2 | 3;
  /** The application's subprotocol. */
  readonly protocol: string;
  /** The address of the last attempt. */
  readonly url: string;
  readonly extensions: string;
  /** Bytes that wait in the browser and in the queue. */
  readonly bufferedAmount: number;
  binaryType: "blob" | "arraybuffer";

  /**
   * Hands the message to the open connection ("sent"), or keeps it for the next one ("queued").
   * "sent" does not mean delivered.
   *
   * @throws DOMException InvalidStateError when closing or stopped; QuotaExceededError when the
   *   queue is full.
   */
  send(data: Message): "sent" | "queued";
  /** Ends the connection and every attempt to have one. */
  close(code?: number, reason?: string): void;
  /** Connects afresh, at once: after "stopped", instead of a wait, or in place of an open one. */
  reconnect(): void;

  addEventListener<K extends keyof ResilientSocketEventMap>(
    type: K,
    listener: Listener<ResilientSocketEventMap[K]> | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof ResilientSocketEventMap>(
    type: K,
    listener: Listener<ResilientSocketEventMap[K]> | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** What to do after a close code, by the registry. */
export declare function verdictFor(code: number): Verdict;
