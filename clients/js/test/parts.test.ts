// The parts of the client that need no server.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mustWait, pause } from "../src/backoff.ts";
import { areaTopic, boxOf, isInside } from "../src/box.ts";
import { Clock } from "../src/clock.ts";
import { Emitter } from "../src/emitter.ts";
import type { Box, Position } from "../src/index.ts";
import { onWake } from "../src/page.ts";
import { Reader } from "../src/reader.ts";

const at = (longitude: number, latitude: number): Position => ({ device_id: "d", timestamp: "", latitude, longitude });

describe("pauses", () => {
  const longest = (code: number, failed: number, backoff = {}) =>
    Math.max(...Array.from({ length: 2_000 }, () => pause({ code, message: "" }, failed, backoff) ?? Infinity));

  it("grow from 1 s to 20 s, and are anything below", () => {
    for (const [failed, most] of [[0, 1_000], [1, 2_000], [4, 16_000], [5, 20_000], [5_000, 20_000]] as const) {
      const seen = longest(1006, failed);
      assert.ok(seen <= most && seen > most * 0.95, `${failed}: ${seen}`);
    }
    const all = Array.from({ length: 2_000 }, () => pause({ code: 1006, message: "" }, 0) ?? 0);
    assert.ok(Math.min(...all) < 50, "full jitter goes down to nothing");
    assert.ok(longest(1006, 3, { first: 10, most: 40 }) <= 40);
  });

  it("are spread after 1001, long after 1008, and endless after 1009", () => {
    assert.ok(longest(1001, 0) > 2_800 && longest(1001, 0) <= 3_000);
    const waits = Array.from({ length: 100 }, () => pause({ code: 1008, message: "" }, 0) ?? 0);
    assert.ok(Math.min(...waits) >= 30_000 && Math.max(...waits) <= 60_000);
    assert.equal(pause({ code: 1009, message: "" }, 0), undefined);
    const told = (code: number, ms: unknown) => pause({ code, message: "" }, 0, { first: 0 }, ms as number);
    assert.deepEqual([told(1001, 1_234), told(1006, 0), told(1001, 1e12), told(1009, 5)], [1_234, 0, 600_000, undefined]);
    for (const nonsense of [-1, NaN, "x", null, {}]) assert.ok(told(1006, nonsense)! <= 1, String(nonsense));
    assert.ok(told(1008, 5)! >= 30_000);
    assert.deepEqual([1008, 1001, 1006].map((code) => mustWait({ code, message: "" })), [true, false, false]);
  });
});

describe("the server's clock", () => {
  it("is known within half of what the answer took; a better answer is kept, a contradicting one is not", (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
    const clock = new Clock();
    assert.equal(clock.now(), 1_000_000);
    clock.learn(1_000_000, 1_000_100, 5_000_050);
    assert.equal(clock.now(), 1_000_000 + 4_000_000);
    // Slower, and says the same.
    clock.learn(1_000_000, 1_002_000, 5_001_500);
    assert.equal(clock.now() - 1_000_000, 4_000_000);
    // Faster.
    clock.learn(1_000_000, 1_000_010, 5_000_015);
    assert.equal(clock.now() - 1_000_000, 4_000_010);
    // The machine's clock was set by an hour.
    clock.learn(4_600_000, 4_600_400, 5_000_200);
    assert.equal(clock.now() - 1_000_000, 400_000);
  });
});

describe("a box", () => {
  it("has what is on its edges, at poles on any meridian, and across the antimeridian", () => {
    const cases: [Box, Position, boolean][] = [
      [[0, 0, 1, 1], at(1, 1), true], [[0, 0, 1, 1], at(1.0001, 1), false], [[0, 0, 0, 0], at(0, 0), true],
      [[170, -10, -170, 10], at(180, 0), true], [[170, -10, -170, 10], at(-175, 0), true], [[170, -10, -170, 10], at(0, 0), false],
      [[170, -10, 180, 10], at(-180, 0), true], [[-180, -10, -170, 10], at(180, 0), true], [[-170, -10, 170, 10], at(180, 0), false],
      [[0, 80, 1, 90], at(50, 90), true], [[0, 80, 1, 90], at(50, 89), false], [[0, -90, 1, -80], at(-100, -90), true],
    ];
    for (const [box, position, want] of cases) {
      assert.equal(isInside(box, position), want, `${box} ${position.longitude},${position.latitude}`);
    }
  });

  it("is a topic and back; what is none is refused with what is allowed", () => {
    assert.equal(areaTopic([9.9, 53.5, 10.1, 53.6]), "area:9.9,53.5,10.1,53.6");
    assert.deepEqual(boxOf("area:9.9,53.5,10.1,53.6"), [9.9, 53.5, 10.1, 53.6]);
    assert.equal(boxOf("event:1"), undefined);
    for (const box of [[181, 0, 1, 1], [0, -91, 1, 1], [0, 2, 1, 1], [NaN, 0, 1, 1], [0, 0, 1], [0, 0, 1, Infinity]]) {
      assert.throws(() => areaTopic(box as unknown as Box), /not an area, \[west, south, east, north\]/, String(box));
    }
    assert.throws(() => boxOf("area:1,2,x,4"), RangeError);
  });
});

describe("an iterator", () => {
  it("gives each device's newest once, also to several who ask at once, and ends when its loop is left", async () => {
    let done = 0;
    const reader = new Reader(new Map([["a", at(0, 0)]]), () => (done += 1));
    reader.add("b", at(1, 1));
    reader.add("a", undefined);
    reader.add("b", at(2, 2));
    assert.deepEqual(await reader.next(), { done: false, value: { device_id: "a", position: undefined } });
    assert.deepEqual(await reader.next(), { done: false, value: { device_id: "b", position: at(2, 2) } });
    const asked = [reader.next(), reader.next()];
    reader.add("c", at(0, 0));
    reader.add("d", at(0, 0));
    assert.deepEqual((await Promise.all(asked)).map(({ value }) => value.device_id), ["c", "d"]);
    reader.add("e", at(0, 0));
    assert.equal((await reader.return()).done, true);
    assert.equal((await reader.next()).done, true);
    assert.equal(done, 1);
  });
});

describe("listeners", () => {
  class Named extends Emitter<{ name: number }> {}

  it("are all called, also when one throws, and not after they were taken off", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const [emitter, seen, off] = [new Named(), [] as string[], new AbortController()];
    const twice = (n: number) => void seen.push(`twice ${n}`);
    emitter.on("name", () => { throw new Error("mine"); });
    emitter.on("name", () => assert.fail("taken off"))();
    emitter.on("name", () => assert.fail("taken off"), { signal: off.signal });
    emitter.on("name", () => assert.fail("never there"), { signal: AbortSignal.abort() });
    off.abort();
    emitter.on("name", twice);
    emitter.on("name", twice)();
    emitter.emit("name", 1);
    assert.deepEqual(seen, ["twice 1"]);
    // Its error is known to whoever listens for errors that nobody caught.
    assert.throws(() => t.mock.timers.tick(0), /mine/);
  });
});

describe("a page", () => {
  it("wakes its client when it is back: seen, shown again, thawed, online", (t) => {
    const page = new EventTarget();
    const document = Object.assign(new EventTarget(), { hidden: true });
    Object.assign(globalThis, { document, addEventListener: page.addEventListener.bind(page) });
    t.after(() => {
      delete (globalThis as { document?: unknown }).document;
      delete (globalThis as { addEventListener?: unknown }).addEventListener;
    });
    let wakes = 0;
    const off = onWake(() => (wakes += 1));
    page.dispatchEvent(new Event("online"));
    page.dispatchEvent(new Event("pageshow"));
    document.dispatchEvent(new Event("resume"));
    assert.equal(wakes, 3);
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(wakes, 3, "it was hidden");
    document.hidden = false;
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(wakes, 4);
    off();
    page.dispatchEvent(new Event("online"));
    assert.equal(wakes, 4);
  });
});
