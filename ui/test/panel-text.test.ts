// What the panel says, without a page: status, names, attributes, keys.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Status } from "../src/fleet.ts";
import { nameFault } from "../src/names.ts";
import { lines, MOST_LINES } from "../src/panel/attributes.ts";
import { eventFault } from "../src/panel/events.ts";
import { actionOf, KEYS, type Pressed } from "../src/panel/keys.ts";
import { nearest } from "../src/panel/sheet.ts";
import { statusLine, tooManyText } from "../src/panel/status.ts";

const status = (change: Partial<Status>): Status =>
  ({ connection: "connected", until: undefined, message: undefined, tooMany: undefined, refused: new Map(), ...change });

test("the status line says how the connection is and when something was heard", () => {
  assert.deepEqual(statusLine(status({}), 3400, 0), { text: "Connected", more: "last update 3 s ago" });
  assert.deepEqual(statusLine(status({}), undefined, 0), { text: "Connected", more: "no update yet" });
  assert.deepEqual(statusLine(status({ connection: "connecting" }), undefined, 0), { text: "Connecting", more: "" });
  const waiting = status({ connection: "waiting", until: 10_000, message: "server shutting down" });
  assert.deepEqual(statusLine(waiting, 3400, 5001), { text: "Not connected: server shutting down", more: "trying again in 5 s" });
  assert.equal(statusLine(waiting, 3400, 9900).more, "trying again");
  const closed = statusLine(status({ connection: "closed", message: "too big" }), 90_000, 0);
  assert.deepEqual(closed, { text: "Closed: too big", more: "load the page again to connect" });
});

test("too many devices: how many, and what to do", () => {
  assert.equal(tooManyText("12345 devices are inside this area, at most 10000 may be; ask for a smaller one"),
    "12,345 devices are in view, more than the server sends at once (10,000). Zoom in to see them.");
  assert.match(tooManyText("far too many"), /^More devices .*\(far too many\)$/);
});

test("names are 1 to 128 bytes without control characters", () => {
  for (const name of ["a", "x".repeat(128), "ü".repeat(64), "🚚".repeat(32), " ", "\u202E", "e\u0301"]) assert.equal(nameFault(name), undefined, name);
  for (const name of ["", "x".repeat(129), "ü".repeat(65), "🚚".repeat(33), "a\nb", "\u0000", "\u007f", "\u0085", "\ud800", "x".repeat(1e6)]) {
    assert.notEqual(nameFault(name), undefined, JSON.stringify(name.slice(0, 200)));
  }
  assert.equal(eventFault("a", []), undefined);
  assert.match(eventFault("a", ["a"]) ?? "", /already/);
  assert.match(eventFault("a", Array.from({ length: 16 }, (_, index) => `e${index}`)) ?? "", /At most 16/);
});

test("attributes of any shape become lines", () => {
  const attributes = {
    name: "x", n: 12_345, f: 1.5, yes: true, none: null, list: [1, "a"], empty: {},
    engine: { rpm: 900, deep: { a: { b: { c: { d: 1 } } } } }, rows: [{ a: 1 }],
  };
  assert.deepEqual(Object.fromEntries(lines(attributes).map(({ name, value }) => [name, value])), {
    name: "x", n: "12,345", f: "1.5", yes: "yes", none: "none", list: "1, a", empty: "{}",
    "engine › rpm": "900", "engine › deep › a › b › c": '{"d":1}', "rows › 0 › a": "1",
  });
  assert.equal(lines(Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`k${index}`, index]))).length, MOST_LINES);
  assert.deepEqual(lines(undefined), []);
});

test("keys do nothing while someone types, with modifiers, or when they are off", () => {
  const press = (key: string, change: Partial<Pressed> = {}): Pressed =>
    ({ key, ctrlKey: false, metaKey: false, altKey: false, repeat: false, isComposing: false, defaultPrevented: false, ...change });
  for (const { key, action } of KEYS) {
    assert.equal(actionOf(press(key), false, true), action);
    assert.equal(actionOf(press(key), true, true), action === "escape" ? action : undefined);
    assert.equal(actionOf(press(key), false, false), action === "escape" ? action : undefined);
    for (const change of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }, { repeat: true }, { isComposing: true }, { defaultPrevented: true }]) {
      assert.equal(actionOf(press(key, change), false, true), undefined);
    }
  }
  assert.equal(actionOf(press("z"), false, true), undefined);
  assert.equal(new Set(KEYS.map(({ key }) => key)).size, KEYS.length);
});

test("a sheet that is let go takes the nearest size", () => {
  assert.deepEqual([0.1, 0.5, 0.9].map(nearest), ["peek", "half", "full"]);
});
