// Tests of trails: thinned by turn and time, gaps kept, bounded for one device and for all.

import assert from "node:assert/strict";
import { test } from "node:test";
import { xOf, yOf } from "../src/map/projection.ts";
import { MOST_POINTS, TrailStore } from "../src/map/trail.ts";
import { between, random } from "./random.ts";

const START = 1_700_000_000_000;
const push = (store: TrailStore, id: string, longitude: number, latitude: number, seconds: number) =>
  store.push(id, xOf(longitude), yOf(latitude), START + seconds * 1000);

test("a straight way is few points, a corner is one", () => {
  const store = new TrailStore(START);
  for (let i = 0; i <= 100; i++) push(store, "a", 13 + i * 0.0005, 52, i);
  for (let i = 1; i <= 100; i++) push(store, "a", 13.05, 52 + i * 0.0005, 100 + i);
  const points = store.points("a");
  // One a minute, the corner, and both ends.
  assert.ok(points.length <= 8, String(points.length));
  assert.ok(points.some(({ x, y }) => x === xOf(13.05) && y === yOf(52)), "the corner is kept");
  assert.deepEqual([points[0]!.x, points.at(-1)!.y], [xOf(13), yOf(52.05)]);
});

test("a curve stays a curve", () => {
  const store = new TrailStore(START), radius = 0.01;
  const round = (turn: number) => [13 + radius * Math.cos(turn), 0 + radius * Math.sin(turn)] as const;
  for (let i = 0; i <= 300; i++) push(store, "a", ...round((i / 300) * 2 * Math.PI), i);
  const points = store.points("a");
  assert.ok(points.length < 150, String(points.length));
  // No middle of two points is farther from the circle than a hundredth of its radius.
  for (let i = 1; i < points.length; i++) {
    const x = (points[i - 1]!.x + points[i]!.x) / 2, y = (points[i - 1]!.y + points[i]!.y) / 2;
    const away = Math.hypot((x - xOf(13)) / 2 ** 32, (y - yOf(0)) / 2 ** 31) * 360;
    assert.ok(Math.abs(away - radius) < radius * 0.01, String(away));
  }
});

test("a device that stands makes no points", () => {
  const store = new TrailStore(START);
  for (let i = 0; i < 500; i++) push(store, "a", 13 + (i % 2) * 0.00001, 52, i);
  assert.equal(store.points("a").length, 1);
});

test("silence and jumps are gaps; silence that is usual is none", () => {
  const store = new TrailStore(START);
  for (let i = 0; i < 20; i++) push(store, "often", 13 + i * 0.00005 * (1 + (i % 3)), 52, i);
  push(store, "often", 13.1, 52.05, 400);
  assert.deepEqual(store.points("often").map(({ gap }) => gap).filter(Boolean).length, 1);
  assert.equal(store.points("often").at(-1)!.gap, true);
  for (let i = 0; i < 20; i++) push(store, "rarely", 13 + i * 0.01, 52 + (i % 2) * 0.01, i * 200);
  assert.ok(store.points("rarely").every(({ gap }) => !gap));
  push(store, "rarely", 20, 52, 20 * 200 + 1);
  assert.equal(store.points("rarely").at(-1)!.gap, true, "500 km in 200 s");
});

test("fixes that are older than the newest are left out, and so are repeated ones", () => {
  const store = new TrailStore(START);
  push(store, "a", 13, 52, 10);
  push(store, "a", 13.001, 52, 20);
  push(store, "a", 14, 53, 15);
  push(store, "a", 14, 53, 20);
  assert.deepEqual(store.points("a").map(({ x }) => x), [xOf(13), xOf(13.001)]);
});

test("one device has a bounded number of points, its oldest are the thinnest, its gaps are kept", () => {
  const store = new TrailStore(START), next = random(6);
  let longitude = 0, latitude = 0;
  for (let i = 0; i < 20_000; i++) {
    // A gap early on.
    const at = i < 50 ? i : i + 1000;
    push(store, "a", (longitude += between(next, -0.001, 0.001)), (latitude += between(next, -0.001, 0.001)), at);
    assert.ok(i % 97 !== 0 || store.points("a").length <= MOST_POINTS);
  }
  const points = store.points("a");
  assert.ok(points.length > MOST_POINTS / 2);
  assert.equal(points.filter(({ gap }) => gap).length, 1);
  assert.deepEqual([points[0]!.gap, points.at(-1)!.x], [false, xOf(longitude)]);
});

test("all devices together have a bounded number; those that are gone are forgotten first", () => {
  const budget = 4000, store = new TrailStore(START, budget), next = random(7);
  const walk = (id: string, from: number, to: number) => {
    for (let i = from; i < to; i++) push(store, id, between(next, 13, 13.002), between(next, 52, 52.002), i * 10);
  };
  for (let d = 0; d < 10; d++) walk(`old${d}`, 0, 60);
  for (let d = 0; d < 10; d++) store.leave(`old${d}`);
  for (let d = 0; d < 40; d++) walk(`new${d}`, 0, 120);
  assert.ok(store.room <= budget, String(store.room));
  for (let d = 0; d < 10; d++) assert.deepEqual(store.points(`old${d}`), []);
  for (let d = 0; d < 40; d++) assert.ok(store.points(`new${d}`).length > 8, "thinned, not forgotten");
  // More devices than there is room for.
  for (let d = 0; d < 3000; d++) push(store, `many${d}`, 1, 1, 1);
  assert.ok(store.room <= budget);
  assert.ok(store.points("many2999").length === 1);
});

test("a device that comes back goes on with its trail, over a gap", () => {
  const store = new TrailStore(START);
  for (let i = 0; i < 10; i++) push(store, "a", 13 + i * 0.001, 52, i * 10);
  store.leave("a");
  push(store, "a", 13.5, 52, 3000);
  const points = store.points("a");
  assert.equal(points[0]!.x, xOf(13));
  assert.equal(points.at(-1)!.gap, true);
});
