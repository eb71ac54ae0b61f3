// The declarations say what the module has. (They are compiled where `tsc` is installed; see
// test_browser_client.py.)

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as module from "../../src/resilient_channels/static/resilient_channels/resilient-socket.js";
import { Browser } from "./browser.mjs";

const folder = new URL("../../src/resilient_channels/static/resilient_channels/", import.meta.url);
const types = readFileSync(new URL("resilient-socket.d.ts", folder), "utf8");
const source = readFileSync(new URL("resilient-socket.js", folder), "utf8");

/** The text between the braces that follow `head`, without comments. */
function body(head, text = types) {
  const begin = text.indexOf("{", text.indexOf(head)) + 1;
  assert.ok(text.includes(head), head);
  let depth = 1;
  let end = begin;
  while (depth) depth += { "{": 1, "}": -1 }[text[end++]] ?? 0;
  return text.slice(begin, end - 1).replace(/\/\*.*?\*\//gs, "").replace(/\/\/.*/g, "");
}

const members = (text) => [...text.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(<]/gm)].map(([, n]) => n);
const words = (text) => [...text.matchAll(/"([\w-]+)"/g)].map(([, word]) => word);
const union = (name) => words(types.match(new RegExp(`export type ${name} =([^;]*);`))[1]);
const sorted = (list) => [...new Set(list)].sort();

test("every export is declared, and every declared value is exported", () => {
  const declared = [...types.matchAll(/^export declare (?:class|function) (\w+)/gm)];

  assert.deepEqual(sorted(declared.map(([, name]) => name)), sorted(Object.keys(module)));
});

test("every public member is declared, and every declared member is there", () => {
  const client = new Browser().open();
  const prototype = Object.getOwnPropertyNames(module.ResilientSocket.prototype);
  const inherited = ["addEventListener", "removeEventListener"]; // declared for their event types

  assert.deepEqual(
    sorted(members(body("export declare class ResilientSocket"))),
    sorted([...prototype, ...Object.keys(client), ...inherited]),
  );
});

test("what is declared readonly cannot be set, and the rest can", () => {
  const declared = body("export declare class ResilientSocket");
  const accessors = Object.entries(
    Object.getOwnPropertyDescriptors(module.ResilientSocket.prototype),
  ).filter(([, { get }]) => get);
  assert.ok(accessors.length > 8);

  for (const [name, { set }] of accessors) {
    assert.equal(declared.includes(`readonly ${name}:`), !set, name);
  }
});

test("the options are those of the module", () => {
  const declared = members(body("export interface ResilientSocketOptions"));
  const known = members(body("const DEFAULTS =", source));

  assert.deepEqual(sorted(declared), sorted(known));
});

test("each documented default is the default", () => {
  const text = types.slice(types.indexOf("export interface ResilientSocketOptions"));
  const defaults = body("const DEFAULTS =", source);
  let compared = 0;
  for (const [, value, name] of text.matchAll(/Default: ([\w,"-]+)[^*]*\*\/\s+(\w+)\?/g)) {
    if (value === "none") continue;
    const plain = value.replace(/,$/, "").replaceAll(",", "");
    assert.equal(
      defaults.match(new RegExp(`${name}: ([^,]+),`))[1].replaceAll("_", ""),
      plain,
      name,
    );
    compared++;
  }
  assert.ok(compared >= 9, `${compared} compared`);
});

test("the states, verdicts and events are those of the module", () => {
  const entered = [...source.matchAll(/#enter\(\s*"(\w+)"/g)].map(([, state]) => state);
  const waits = words(source.match(/const state = isOffline \? .*;/)[0]);
  assert.deepEqual(sorted(union("SocketState")), sorted([...entered, ...waits]));

  assert.deepEqual(sorted(union("Verdict")), sorted(members(body("const VERDICTS =", source))));

  const events = words(source.match(/const EVENTS = \[.*\];/)[0]);
  assert.deepEqual(sorted(members(body("export interface ResilientSocketEventMap"))), sorted(events));
});

test("the causes are those of the module", () => {
  const given = [
    ...source.matchAll(/cause(?: =|:) "(\w+)"/g),
    ...source.matchAll(/#(?:connect|stop)\("(\w+)"/g),
    ...source.matchAll(/(?:fail|#lost|#fail)\(.*, "(\w+)"\)/g),
  ].map(([, cause]) => cause);
  const drops = ["overflow"];
  const wakes = ["online", "pageshow", "visibilitychange", "resume"];
  for (const wake of wakes) assert.ok(source.includes(`"${wake}"`));

  assert.deepEqual(
    sorted(union("Cause")),
    sorted([...given, ...wakes].filter((cause) => !drops.includes(cause))),
  );
});

const guide = readFileSync(new URL("../../docs/howto/browser-client.md", import.meta.url), "utf8");

test("the guide has every option with its default, every state and every cause", () => {
  const defaults = body("const DEFAULTS =", source);
  const forTests = ["WebSocket", "window", "random", "clock"];
  for (const name of members(defaults).filter((each) => !forTests.includes(each))) {
    const value = defaults.match(new RegExp(`${name}: ([^,]+),`))[1].replaceAll("_", "");
    const expected = value === "null" ? `| \`${name}\` | |` : `| \`${name}\` | \`${value}\` |`;
    assert.ok(guide.includes(expected), expected);
  }
  for (const state of union("SocketState")) assert.ok(guide.includes(`| \`${state}\` | `), state);
  for (const cause of union("Cause")) assert.match(guide, new RegExp(`^\\|.*\`${cause}\``, "m"));
});
