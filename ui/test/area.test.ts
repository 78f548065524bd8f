// Which area is asked for, how often it is served, and the box around devices.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isInside } from "../../clients/js/src/box.ts";
import type { Box, Position } from "../../clients/js/src/index.ts";
import { cadence, covers, grown } from "../src/area.ts";
import { bounds } from "../src/bounds.ts";

/** Whole numbers below `sides` that look random and are the same each time. */
let seed = 11;
const roll = (sides: number) => Math.floor(((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32) * sides);
const at = (longitude: number, latitude: number): Position => ({ device_id: "", timestamp: "", longitude, latitude });

function box(): Box {
  const west = roll(360) - 180, south = roll(150) - 85, wide = 1 + roll(100);
  const east = west + wide;
  return [west, south, east > 180 ? east - 360 : east, Math.min(90, south + 1 + roll(40))];
}

test("an area with a margin covers the view, all of it, and any view a little beside it", () => {
  for (let n = 0; n < 2_000; n++) {
    const view = box(), area = grown(view), [west, south, east, north] = view;
    assert.ok(covers(area, view), `${view} in ${area}`);
    for (const position of [at(west, south), at(east, north), at(west, north), at(east, south)]) assert.ok(isInside(area, position), `${view} in ${area}`);
    const wrap = (degrees: number) => (degrees > 180 ? degrees - 360 : degrees);
    const width = west <= east ? east - west : east - west + 360, aside = width * 0.2;
    assert.ok(covers(area, [wrap(west + aside), south, wrap(east + aside), north]), `${view} moved by ${aside}`);
    if (width < 200) assert.ok(!covers(area, [wrap(west + width * 0.3), south, wrap(east + width * 0.3), north]), `${view} moved far`);
  }
});

test("an area is given up for one that is much smaller, but not for one that is a little smaller", () => {
  const area: Box = [0, 0, 12, 12];
  assert.ok(covers(area, [3, 3, 8, 8]));
  assert.ok(!covers(area, [5, 5, 7, 7]));
});

test("at the edges of the world there is no margin", () => {
  assert.deepEqual(grown([-180, -90, 180, 90]), [-180, -90, 180, 90]);
  assert.deepEqual(grown([-100, 80, 100, 90]), [-150, 77.5, 150, 90]);
  assert.deepEqual(grown([-150, -80, 150, -70]), [-180, -82.5, 180, -67.5]);
  assert.deepEqual(grown([170, 0, -170, 10]), [165, -2.5, -165, 12.5]);
  assert.ok(covers([-180, -90, 180, 90], [170, 0, -170, 10]) === false, "it is 36 times as wide");
});

test("devices are told of as often as they can be seen to move", () => {
  assert.deepEqual([16, 14, 12, 8, 3].map((zoom) => cadence(zoom, false)), [undefined, undefined, 500, 1_000, 2_000]);
  assert.deepEqual([16, 3].map((zoom) => cadence(zoom, true)), [10_000, 10_000]);
});

test("the box around devices is the smallest, also across the antimeridian", () => {
  assert.equal(bounds([]), undefined);
  assert.deepEqual(bounds([at(5, 6)]), [5, 6, 5, 6]);
  assert.deepEqual(bounds([at(-10, 1), at(20, -3)]), [-10, -3, 20, 1]);
  assert.deepEqual(bounds([at(170, 0), at(-170, 0), at(179, 0)]), [170, 0, -170, 0]);
  for (let n = 0; n < 500; n++) {
    const all = Array.from({ length: 1 + roll(6) }, () => at(roll(360) - 180, roll(180) - 90));
    const around = bounds(all)!;
    for (const position of all) assert.ok(isInside(around, position), `${JSON.stringify(all)} in ${around}`);
    const width = around[0] <= around[2] ? around[2] - around[0] : around[2] - around[0] + 360;
    assert.ok(width <= 360 - 360 / all.length + 1e-9, "the widest gap is outside");
  }
});
