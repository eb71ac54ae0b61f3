// What the buttons do. A fault happens once to both panes; then each pane reports.

import { seconds, sleep } from "./time.js";

const csrfToken = document.querySelector('meta[name="csrf-token"]').content;
const { frozen, notReading, flood } = document.body.dataset;

/** Has each pane's client do something. */
const byClient = (action) => async (panes) => {
  await Promise.all(panes.map((pane) => action(pane.socket)));
};

/** Has each pane's consumer do something. */
const byConsumer = (name) => byClient((socket) => socket.send(demand(name)));

const demand = (name) => JSON.stringify({ type: "fault", name });

/** Has the server do something, once; resolves to its answer. */
async function byServer(name) {
  const answer = await fetch(`/server/${name}/`, {
    method: "POST",
    headers: { "X-CSRFToken": csrfToken },
  });
  if (!answer.ok) throw new Error(`the server refused: ${answer.status}`);
  return answer.json();
}

/** Nothing on this page runs for so many seconds; what arrives, waits. */
function freeze(seconds) {
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end);
}

/**
 * By name: what `happens`, and what becomes of a connection that bears it.
 *
 * `ends`: the connection is meant to be over. `isAsked`: because the page closed it, so nobody is to
 * come back. `isOutage`: because the server ended, so everybody is. `isCrash`: no process is left that
 * could clean up. `isSilent`: only a heartbeat can tell. `missed`: why a connection that is still open
 * is nothing to be proud of; in words, or made of them from what the server knows about it.
 */
export const FAULTS = {
  "handler-exception": { happens: byConsumer("handler-exception") },
  "unknown-event": { happens: byConsumer("unknown-event") },
  "send-after-close": { happens: byConsumer("send-after-close"), ends: true },
  "double-close": { happens: byConsumer("double-close"), ends: true },
  "slow-handler": { happens: byConsumer("slow-handler") },
  "malformed-json": { happens: byClient((socket) => socket.send('{"type": "chat", "text":')) },
  "binary-frame": { happens: byClient((socket) => socket.send(new Uint8Array([1, 2, 3]))) },
  "empty-frame": { happens: byClient((socket) => socket.send("")) },
  flood: {
    happens: byClient((socket) => {
      for (let n = 0; n < flood; n++) socket.send(JSON.stringify({ type: "echo", n: "flood" }));
    }),
    missed: `nobody kept the page from sending ${flood} messages at once`,
  },
  "leave-in-handler": {
    happens: byClient(async (socket) => {
      socket.send(demand("leave-in-handler"));
      await sleep(200); // the handler has begun
      socket.close(3000);
    }),
    ends: true,
    isAsked: true,
  },
  "close-1000": { happens: byClient((socket) => socket.close(1000)), ends: true, isAsked: true },
  "close-4000": { happens: byClient((socket) => socket.close(4000)), ends: true, isAsked: true },
  "frozen-page": {
    async happens() {
      await sleep(100); // for the browser to show what is going on
      freeze(frozen);
    },
    missed: "the server never noticed that nobody was there",
    isSilent: true,
  },
  "slow-reader": {
    async happens(panes) {
      await sleep(100); // for the browser to show what is going on
      for (const { socket } of panes) socket.send(demand("slow-reader"));
      freeze(notReading);
    },
    missed: ({ stream }) =>
      stream.seconds > notReading / 4
        ? `its handler hung in send() for ${seconds(1000 * stream.seconds)}`
        : `${Math.round(stream.unread_mb)}\u00a0MB that it did not read piled up in the server`,
  },
  "layer-away": {
    async happens() {
      const { seconds } = await byServer("layer-away");
      await sleep(1000 * seconds);
    },
  },
  "blocked-loop": {
    async happens() {
      const { seconds } = await byServer("blocked-loop");
      return `the server stood still for ${seconds} s and dropped nobody`;
    },
  },
  deploy: { happens: () => byServer("deploy"), ends: true, isOutage: true },
  "server-restart": {
    happens: () => byServer("server-restart"),
    ends: true,
    isOutage: true,
    isCrash: true,
  },
};
