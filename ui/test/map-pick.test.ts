// Tests of picking: the grid finds what looking at every device finds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PickGrid } from "../src/map/pick.ts";
import { between, random } from "./random.ts";

interface Place {
  x: number;
  y: number;
}

function naive(places: (Place | undefined)[], x: number, y: number, radius: number): number | undefined {
  let best: number | undefined, least = radius;
  places.forEach((place, index) => {
    const distance = place ? Math.hypot(place.x - x, place.y - y) : Infinity;
    if (distance < least || (distance === least && best === undefined)) [best, least] = [index, distance];
  });
  return best;
}

const some = (next: () => number, count: number): (Place | undefined)[] =>
  Array.from({ length: count }, () => (next() < 0.1 ? undefined : { x: between(next, -60, 700), y: between(next, -60, 540) }));

test("the nearest device within reach is found, as by looking at all of them", () => {
  const next = random(3), grid = new PickGrid();
  let found = 0;
  for (let round = 0; round < 300; round++) {
    const places = some(next, Math.floor(between(next, 0, 400)));
    grid.build(640, 480, places.length, (index) => places[index]);
    for (let look = 0; look < 20; look++) {
      const x = between(next, 0, 640), y = between(next, 0, 480), radius = between(next, 1, 30);
      const want = naive(places, x, y, radius);
      assert.equal(grid.nearest(x, y, radius), want);
      found += Number(want !== undefined);
    }
  }
  assert.ok(found > 1000);
});

test("devices that have moved since the grid was built are found where they are now", () => {
  const next = random(4), grid = new PickGrid();
  for (let round = 0; round < 300; round++) {
    const places = some(next, 300);
    grid.build(640, 480, places.length, (index) => places[index]);
    for (const place of places) {
      if (!place) continue;
      const way = between(next, 0, 20), turn = between(next, 0, 6.3);
      place.x += way * Math.cos(turn);
      place.y += way * Math.sin(turn);
    }
    const x = between(next, 30, 610), y = between(next, 30, 450);
    assert.equal(grid.nearest(x, y, 14, 20, (index) => places[index]), naive(places, x, y, 14));
  }
});

test("how far apart devices are where there are any", () => {
  const grid = new PickGrid();
  grid.build(640, 480, 0, () => undefined);
  assert.equal(grid.apart, Infinity);
  grid.build(640, 480, 64, (index) => ({ x: 100 + (index % 8), y: 100 + Math.floor(index / 8) }));
  assert.ok(grid.apart <= 8, String(grid.apart));
});
