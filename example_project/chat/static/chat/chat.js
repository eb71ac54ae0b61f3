// Two chats side by side, and a fault for both at the press of a button.

import { FAULTS } from "./faults.js";
import { Pane } from "./pane.js";
import { NakedSocket, ReturningSocket } from "./sockets.js";

const SOCKETS = { plain: NakedSocket, resilient: ReturningSocket };

const panes = [...document.querySelectorAll(".pane")].map(
  (element) => new Pane(element, SOCKETS[element.dataset.kind]),
);
const buttons = [...document.querySelectorAll("[data-fault]:not(:disabled)")];
const all = document.getElementById("all");
const about = document.getElementById("about");

/** Lets one fault happen to both panes, and waits until both have said what it did to them. */
async function suffer(button) {
  const title = button.textContent;
  const fault = FAULTS[button.dataset.fault];
  about.textContent = button.title;
  button.classList.add("running");
  const visits = await Promise.all(panes.map((pane) => pane.ready()));
  const start = Date.now();
  let addition = "";
  try {
    addition = await fault.happens(panes);
  } catch (error) {
    about.textContent = `${title} did not work: ${error.message}`;
  }
  const reports = panes.map((pane, i) => pane.report(title, fault, visits[i], start, addition));
  await Promise.all(reports);
  button.classList.remove("running");
}

/** Runs the chosen faults one after the other. */
async function run(chosen) {
  if (document.body.ariaBusy === "true") return;
  document.body.ariaBusy = "true";
  for (const button of [...buttons, all]) button.ariaDisabled = "true";
  try {
    for (const button of chosen) await suffer(button);
  } finally {
    for (const button of [...buttons, all]) button.ariaDisabled = "false";
    document.body.ariaBusy = "false";
  }
}

for (const button of buttons) button.addEventListener("click", () => run([button]));
all.addEventListener("click", () => run(buttons));
