// One chat: what it shows, and its report of what a fault did to its connection.

import { seconds, sleep } from "./time.js";

const ENDS_WITHIN = 8_000;
const ANSWERS_WITHIN = 10_000;
const RETURNS_WITHIN = 15_000;
// If need be by the next server, which has to start first.
const KNOWN_WITHIN = 15_000;

class Deferred {
  constructor() {
    this.promise = new Promise((resolve) => (this.resolve = resolve));
  }

  /** What it resolves to, or null after so many milliseconds. */
  within(ms) {
    return Promise.race([this.promise, sleep(ms).then(() => null)]);
  }
}

export class Pane {
  socket;
  #parts;
  #visit = null; // the open connection: its key on the server, and its end
  #arrival = new Deferred();
  #connections = 0;
  #echoes = 0;
  #waiting = new Map();

  constructor(element, Socket) {
    const find = (name) => element.querySelector(name);
    this.#parts = {
      log: find(".log"),
      state: find(".state"),
      again: find(".again"),
      rtt: find(".rtt"),
      next: find(".next"),
      count: find(".count"),
    };
    find("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say(event.target.elements.text.value);
      event.target.reset();
    });
    this.#parts.again.addEventListener("click", () => this.socket.connect());
    this.socket = new Socket(this);
    setInterval(() => this.#showVitals(), 100);
  }

  // -- what the socket tells

  changed(words, kind) {
    const { state, again } = this.#parts;
    state.textContent = words;
    state.dataset.kind = kind;
    const isIdle = kind === "down" || words === "waiting" || words === "offline";
    again.textContent = kind === "down" ? "Connect again" : "Try now";
    if (!isIdle && document.activeElement === again) this.#parts.log.focus();
    again.hidden = !isIdle;
    if (this.socket) this.#showVitals();
  }

  opened() {
    this.#parts.count.textContent = ++this.#connections;
    this.#visit = { key: this.socket.key, end: new Deferred() };
    this.#arrival.resolve(this.#visit);
  }

  ended({ code, reason }) {
    this.#visit?.end.resolve({ code, reason, at: Date.now() });
    if (this.#visit) this.#arrival = new Deferred();
    this.#visit = null;
    for (const answer of this.#waiting.values()) answer.resolve(false);
    this.#waiting.clear();
  }

  heard(data) {
    if (typeof data !== "string") return; // of the stream that nobody is meant to read
    const message = JSON.parse(data);
    if (message.type === "echo") {
      this.#waiting.get(message.n)?.resolve(true);
      this.#waiting.delete(message.n);
    } else if (message.type === "chat") {
      this.#write("said", message.text);
    }
  }

  note(text) {
    this.#write("note", text);
  }

  // -- faults

  /** Resolves to the open connection, as soon as it answers; to null when there is none. */
  async ready() {
    if (!this.#visit && this.#parts.state.dataset.kind === "down") this.socket.connect();
    const visit = await this.#arrival.within(RETURNS_WITHIN);
    const works = visit && (await this.#echo());
    return works ? visit : null;
  }

  /** Writes down what became of `visit` after a fault that began at `start`. */
  async report(title, fault, visit, start, addition) {
    if (visit === null) {
      this.#write("bad", "there is no connection to try it on.", title);
      return;
    }
    const end = await this.#endOf(visit, fault);
    const { isGood, words } = end
      ? await this.#ending(fault, visit, end, start)
      : await this.#survival(fault, visit, addition);
    this.#write(isGood ? "good" : "bad", `${words.filter(Boolean).join("; ")}.`, title);
  }

  /** The end of a connection; null once it has shown that it goes on, or has had its time. */
  #endOf({ end }, { ends }) {
    if (ends) return end.within(ENDS_WITHIN);
    // No answer: the end may be on its way.
    const probe = this.#answers().then((goesOn) => (goesOn ? null : end.within(ENDS_WITHIN)));
    return Promise.race([end.promise, probe]);
  }

  /** Whether messages still go through, and events of the channel layer do as well. */
  async #answers() {
    return (await this.#echo()) && (await this.#echo("layer"));
  }

  async #survival({ ends, missed }, { key }, addition) {
    const answers = !ends && (await this.#echo());
    if (typeof missed === "function") missed = missed(await this.#fate(key));
    let open = "still open";
    if (!ends) open += answers ? " and answers" : ", but no answer comes";
    return {
      isGood: answers && !missed,
      words: [open, missed ?? addition],
    };
  }

  async #ending({ ends, isAsked, isOutage, isCrash, isSilent }, visit, end, start) {
    const words = [`closed ${end.code}`];
    let isGood = this.socket.returns ? true : Boolean(ends) && !isOutage;
    if (!isCrash) {
      const calls = await this.#cleanups(visit);
      isGood &&= calls.length === 1;
      if (isSilent && calls.length) {
        words.push(`the server noticed after ${seconds(calls[0].at - start)}`);
      }
      words.push(cleanup(calls));
    }
    if (isAsked) return { isGood, words };
    if (!this.socket.returns) return { isGood, words: [...words, "stays closed"] };
    const next = await this.#arrival.within(RETURNS_WITHIN);
    const works = next && (await this.#echo());
    words.push(works ? `back after ${seconds(Date.now() - end.at)}` : "does not come back");
    return { isGood: isGood && works, words };
  }

  async #echo(through) {
    const n = ++this.#echoes;
    const answer = new Deferred();
    this.#waiting.set(n, answer);
    if (this.#send({ type: "echo", n, through }) !== "sent") return false;
    return answer.within(ANSWERS_WITHIN);
  }

  /** How disconnect() was called on the server: asked until the consumer has ended. */
  async #cleanups({ key }) {
    const until = Date.now() + KNOWN_WITHIN;
    for (;;) {
      const { disconnects, is_over: isOver } = await this.#fate(key);
      if (isOver || Date.now() > until) return disconnects;
      await sleep(100);
    }
  }

  /** What the server knows about a connection; nothing when it does not answer. */
  async #fate(key) {
    const answer = await fetch(`/fate/${key}/`).catch(() => null);
    return answer?.ok ? answer.json() : { disconnects: [], is_over: false, stream: null };
  }

  // -- what a person does and sees

  #say(text) {
    if (!text) return;
    const fate = this.#send({ type: "chat", text });
    if (fate === "queued") this.note("Not connected: the message waits for the next connection.");
    if (fate === "lost") this.#write("bad", "Not sent: the socket is closed.");
  }

  #send(content) {
    return this.socket.send(JSON.stringify(content));
  }

  #showVitals() {
    const { rtt, next } = this.socket.vitals();
    setText(this.#parts.rtt, rtt);
    setText(this.#parts.next, next);
  }

  #write(kind, text, title = "") {
    const { log } = this.#parts;
    const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const line = document.createElement("li");
    line.className = kind;
    const [time, words, subject] = ["time", "span", "strong"].map((tag) => document.createElement(tag));
    time.textContent = new Date().toLocaleTimeString("en-GB");
    subject.textContent = title;
    if (title) words.append(subject, ": ");
    words.append(text);
    line.append(time, words);
    log.append(line);
    if (log.childElementCount > 500) log.firstElementChild.remove();
    if (follows) log.scrollTop = log.scrollHeight;
  }
}

function cleanup(calls) {
  if (!calls.length) return "disconnect() did not run";
  const codes = calls.map(({ code }) => code).join(", ");
  return `disconnect(${codes}) ran ${calls.length === 1 ? "once" : `${calls.length} times`}`;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
