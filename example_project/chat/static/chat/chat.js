// Two chats side by side, and a fault for both at the press of a button.

/** Faults that a client makes by itself; the others are asked of the server. */
const CLIENT_FAULTS = {
  "malformed-json": (socket) => socket.send('{"type": "chat", "text":'),
  "binary-frame": (socket) => socket.send(new Uint8Array([1, 2, 3])),
  "empty-frame": (socket) => socket.send(""),
  "close-1000": (socket) => socket.close(1000),
  "close-4000": (socket) => socket.close(4000),
  "slow-handler": async (socket) => {
    socket.send(JSON.stringify({ type: "fault", name: "slow-handler" }));
    await sleep(200); // the handler has begun, and takes 2 s
    socket.close(3000);
  },
};

/** Faults after which the connection is meant to be over. */
const ENDINGS = new Set([
  "send-after-close", "double-close", "slow-handler", "close-1000", "close-4000",
]);

/** What a fault needs before its outcome shows, in milliseconds. */
const SETTLING = { "layer-failure": 4500 };
const FATE_WITHIN = 3500;

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

class Pane {
  #path;
  #log;
  #state;
  #socket = null;
  #key = "";
  #echoes = 0;
  #waiting = new Map();
  #closed = null;

  constructor(element) {
    this.#path = element.dataset.path;
    this.#log = element.querySelector(".log");
    this.#state = element.querySelector(".state");
    const form = element.querySelector("form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say(form.elements.text.value);
      form.reset();
    });
  }

  /** Open a socket, unless one is open; resolves to whether that worked. */
  connect() {
    if (this.#socket?.readyState === WebSocket.OPEN) return Promise.resolve(true);
    this.#key = `k${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${this.#path}?key=${this.#key}`);
    this.#socket = socket;
    this.#show("connecting", "");
    socket.addEventListener("message", (event) => this.#receive(JSON.parse(event.data)));
    return new Promise((done) => {
      socket.addEventListener("open", () => {
        this.#show("open", true);
        done(true);
      });
      this.#closed = new Promise((over) => {
        socket.addEventListener("close", (event) => {
          this.#show(`closed ${event.code}`, false);
          over(event.code);
          done(false);
        });
      });
    });
  }

  /** Let one fault happen, and write down what became of the socket. */
  async suffer(name, title) {
    if (!(await this.connect())) {
      this.#write("bad", `${title}: cannot connect`);
      return;
    }
    const { code, good, words } = await this.#outcome(name);
    this.#write(good ? "good" : "bad", `${title}: ${words}`);
    if (code !== null) await this.connect();
  }

  async #outcome(name) {
    const key = this.#key;
    const fault = CLIENT_FAULTS[name];
    if (fault) await fault(this.#socket);
    else this.#send({ type: "fault", name });
    const ending = ENDINGS.has(name);
    const code = await Promise.race([this.#closed, this.#stillOpen(ending, SETTLING[name])]);
    if (code === null) {
      const answers = await this.#echo();
      return { code, good: answers && !ending, words: `open, ${answers ? "echoes again" : "but no answer"}` };
    }
    const calls = await this.#fate(key);
    const cleanup = calls.length ? `disconnect(${calls.join(", ")}) ran` : "disconnect() did not run";
    return { code, good: ending && calls.length === 1, words: `closed ${code}, ${cleanup}` };
  }

  /** Resolves to null once the socket has outlived the fault. */
  async #stillOpen(ending, settling) {
    await sleep(settling ?? (ending ? 3000 : 1500));
    return null;
  }

  async #echo() {
    const n = ++this.#echoes;
    const answer = new Promise((done) => this.#waiting.set(n, done));
    if (!this.#send({ type: "echo", n })) return false;
    return Promise.race([answer, this.#closed.then(() => false), sleep(2000).then(() => false)]);
  }

  /** Which codes disconnect() got on the server: asked until it has run, or had its time. */
  async #fate(key) {
    const until = Date.now() + FATE_WITHIN;
    for (;;) {
      const { disconnects } = await (await fetch(`/fate/${key}/`)).json();
      if (disconnects.length || Date.now() > until) return disconnects;
      await sleep(100);
    }
  }

  #receive(message) {
    if (message.type === "echo") {
      this.#waiting.get(message.n)?.(true);
      this.#waiting.delete(message.n);
    } else {
      this.#write("", message.text);
    }
  }

  #say(text) {
    if (text && !this.#send({ type: "chat", text })) this.#write("bad", "not sent: the socket is closed");
  }

  #send(content) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(content));
    return true;
  }

  #show(words, open) {
    this.#state.textContent = words;
    this.#state.dataset.open = open;
  }

  #write(kind, text) {
    const line = document.createElement("li");
    line.className = kind;
    line.textContent = text;
    this.#log.append(line);
    this.#log.scrollTop = this.#log.scrollHeight;
  }
}

const panes = [...document.querySelectorAll(".pane")].map((element) => new Pane(element));
const faults = [...document.querySelectorAll("[data-fault]")];
const all = document.getElementById("all");

async function run(chosen) {
  for (const button of [...faults, all]) button.disabled = true;
  for (const button of chosen) {
    await Promise.all(panes.map((pane) => pane.suffer(button.dataset.fault, button.textContent)));
  }
  for (const button of [...faults, all]) button.disabled = false;
}

for (const button of faults) {
  button.addEventListener("click", async () => {
    await run([button]);
    button.focus();
  });
}
all.addEventListener("click", async () => {
  await run(faults);
  all.focus();
});

for (const pane of panes) pane.connect();
