// What the panel says, without a page: status, names, attributes, keys.

import assert from "node:assert/strict";
import { test } from "node:test";
import { IDLE } from "../src/fleet.ts";
import type { Status } from "../src/fleet.ts";
import { nameFault } from "../src/names.ts";
import { lines, MOST_LINES } from "../src/panel/attributes.ts";
import { eventFault } from "../src/panel/events.ts";
import { actionOf, KEYS, type Pressed } from "../src/panel/keys.ts";
import { nearest } from "../src/panel/sheet.ts";
import { forbiddenText, limitsText, statusLine, tooManyText } from "../src/panel/status.ts";
import { tokenFault, tokenIn } from "../src/panel/token.ts";

const status = (change: Partial<Status>): Status =>
  ({ ...IDLE, connection: "connected", ...change });

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

test("the status line says that a token is needed or was not accepted, and that access has ended", () => {
  const closed = (access: Status["access"], message?: string) => statusLine(status({ connection: "closed", access, message }), 1, 0);
  assert.deepEqual(closed("needed", "no token came"), { text: "A token is needed", more: "" });
  assert.deepEqual(closed("refused", "the token has expired"), { text: "The token was not accepted: the token has expired", more: "" });
  assert.deepEqual(closed("ended", "revoked"), { text: "Access has ended: revoked", more: "" });
});

test("what may be seen is said where that is not everything", () => {
  for (const everything of [undefined, ["*"], ["event:*", "area:*"]]) assert.equal(limitsText(everything), undefined);
  assert.equal(limitsText(["area:13,52,14,53", "event:*"]), "The map shows devices only here: 52° to 53° N, 13° to 14° E.");
  assert.equal(limitsText(["area:-3.5,-1,2,0", "area:170,0,-170,1"]), "The map shows devices only here: 1° to 0° S, 3.5° W to 2° E; 0° to 1° N, 170° E to 170° W.");
  assert.match(limitsText([1, 2, 3, 4, 5].map((n) => `area:${n},1,9,2`))!, /9° E; and 2 other areas\.$/);
  assert.equal(limitsText(["event:rally-*", "device:7"]), "Your access includes no area of the map, but event:rally-*, device:7: add an event, or look up a device by its id.");
  assert.match(limitsText(["a", "b", "c", "d"].map((name) => `event:${name}`))!, /event:c and others:/);
  assert.equal(limitsText([]), "Your access includes no devices.");
});

test("what may not be seen is said", () => {
  const text = (forbidden: Status["forbidden"], known = false) => forbiddenText(status({ forbidden }), () => known);
  assert.equal(text({ view: false, device: undefined }), undefined);
  assert.match(text({ view: true, device: undefined })!, /devices in view/);
  assert.match(text({ view: false, device: "7" })!, /the device 7;/);
  assert.equal(text({ view: false, device: "7" }, true), undefined, "it is there all the same");
});

test("a token is taken as it was pasted, and what is wrong with it is said", () => {
  for (const pasted of ["a.b.c", " a.b.c\n", "Bearer a.b.c", "bearer  a.b.c "]) assert.equal(tokenIn(pasted), "a.b.c");
  assert.equal(tokenFault(status({ access: "refused", message: "the token has expired" })), "The server did not accept it: the token has expired.");
  assert.equal(tokenFault(status({ connection: "waiting", message: "cannot connect" })), "Not connected: cannot connect. It is tried again.");
  assert.equal(tokenFault(status({ connection: "closed", access: "needed", message: "no token came" })), undefined);
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
