// Tests of the graticule: there are lines wherever one looks, not too many, and they are made anew only when needed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Graticule, stepOf } from "../src/map/graticule.ts";
import { boxOf, cameraOf } from "../src/map/projection.ts";
import { between, random } from "./random.ts";

test("lines are where one looks, at a distance that suits", () => {
  const next = random(8);
  for (let round = 0; round < 500; round++) {
    const view = { longitude: between(next, -180, 180), latitude: between(next, -70, 70), zoom: between(next, 0, 18), bearing: between(next, 0, 360) };
    const camera = cameraOf(view, 640, 480), graticule = new Graticule();
    assert.ok(graticule.see(camera));
    assert.ok(!graticule.see(camera), "made once");
    const lines = graticule.lines.geometry.coordinates, pixels = (stepOf(camera) * camera.scale) / 360;
    assert.ok(lines.length < 150 && pixels < 300, `${lines.length} lines ${pixels} pixels apart`);
    const ends = lines.map((line) => ({ from: line[0]!, to: line.at(-1)! }));
    const [west, south, east, north] = boxOf(camera), middle = (degrees: number) => Math.abs(degrees) < stepOf(camera);
    if (view.zoom > 3) {
      assert.ok(ends.some(({ from, to }) => from[0] === to[0] && middle(((from[0] - view.longitude + 540) % 360) - 180)), `a meridian near ${JSON.stringify(view)}`);
      assert.ok(ends.some(({ from, to }) => from[1] === to[1] && middle(from[1] - view.latitude)), `a parallel near ${JSON.stringify(view)}`);
    }
    assert.ok(lines.every((line) => line.every(([x, y]) => Math.abs(x) < 541 && Math.abs(y) < 85.1)));
    assert.ok(west !== east && south < north);
  }
});

test("a small move needs no new lines, a far one does", () => {
  const graticule = new Graticule(), view = { longitude: 13, latitude: 52, zoom: 12, bearing: 0 };
  graticule.see(cameraOf(view, 640, 480));
  assert.ok(!graticule.see(cameraOf({ ...view, longitude: 13.02 }, 640, 480)));
  assert.ok(graticule.see(cameraOf({ ...view, longitude: 14 }, 640, 480)));
  assert.ok(graticule.see(cameraOf({ ...view, longitude: 14, zoom: 15 }, 640, 480)));
});
