// How the declarations are meant to be used; compiled, never run.

import {
  ResilientSocket,
  verdictFor,
  type StateDetail,
  type Verdict,
} from "../../src/resilient_channels/static/resilient_channels/resilient-socket.js";

const socket = new ResilientSocket(async () => "/ws/", ["chat.v1"], {
  authenticate: async (detail) => (await fetch("/token/", { body: String(detail.code) })).ok,
  verdicts: { 4001: "never" },
  overflow: "drop-oldest",
});
new ResilientSocket("/ws/");
new ResilientSocket(new URL("wss://chat.example/"), "chat", { WebSocket, window, random: () => 0 });

socket.onmessage = (event) => console.log(event.data, event.origin);
socket.onstate = function ({ detail }) {
  const { state, delay, code }: StateDetail = detail;
  if (state === "waiting" && delay !== undefined) console.log(delay.toFixed(), code?.toFixed());
  this.reconnect();
};
socket.addEventListener("drop", ({ messages, cause }) => console.log(messages.length, cause));
socket.addEventListener("close", ({ code, reason, wasClean }) => console.log(code, reason, wasClean));
socket.addEventListener("error", ({ error }) => console.log(error), { once: true });

const outcome: "sent" | "queued" = socket.send(new Uint8Array(2));
const verdict: Verdict = verdictFor(4001);
const rtt: number | null = socket.rtt;
if (socket.readyState === ResilientSocket.OPEN) socket.close(1000, outcome + verdict + rtt);
socket.binaryType = "arraybuffer";

// A function that takes what a WebSocket and this have in common takes both.
function listen(source: Pick<WebSocket, "readyState" | "url" | "close">): void {
  source.close(1000);
}
listen(socket);

// @ts-expect-error: no such state
socket.state === "opened";
// @ts-expect-error: no such verdict
new ResilientSocket("/ws/", [], { verdicts: { 4001: "no" } });
// @ts-expect-error: no such option
new ResilientSocket("/ws/", [], { maxdelay: 1 });
// @ts-expect-error: it is the socket that knows
socket.rtt = 1;
// @ts-expect-error: no message
socket.send({ text: "hello" });
