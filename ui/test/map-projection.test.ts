// Tests of the projection: precision, the antimeridian, turned views, boxes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { boxOf, cameraOf, copies, eastward, metres, projector, X_UNITS, xOf, Y_UNITS, yOf } from "../src/map/projection.ts";
import type { Camera } from "../src/map/projection.ts";
import { between, random } from "./random.ts";

/** By the book, in doubles: where a place is drawn. */
function expected(longitude: number, latitude: number, view: { longitude: number; latitude: number; zoom: number; bearing: number }, width: number, height: number) {
  const scale = 512 * 2 ** view.zoom, turn = (view.bearing * Math.PI) / 180;
  const y = (degrees: number) => 0.5 - Math.asinh(Math.tan((degrees * Math.PI) / 180)) / (2 * Math.PI);
  let across = (longitude - view.longitude) / 360;
  across -= Math.round(across);
  const down = y(latitude) - y(view.latitude);
  return {
    x: width / 2 + scale * (across * Math.cos(turn) + down * Math.sin(turn)),
    y: height / 2 + scale * (down * Math.cos(turn) - across * Math.sin(turn)),
  };
}

/** What the shader makes of a place: as projector(), but in float32. */
function inShader(camera: Camera, x: number, y: number) {
  const f = Math.fround, cx = camera.x * X_UNITS, cy = camera.y * Y_UNITS, unit = camera.scale / X_UNITS;
  const across = f(f(f((x - Math.floor(cx)) | 0) * f(unit)) - f((cx - Math.floor(cx)) * unit));
  const down = f(f(f((y - Math.floor(cy)) | 0) * f(unit * 2)) - f((cy - Math.floor(cy)) * unit * 2));
  const cos = f(Math.cos(camera.bearing)), sin = f(Math.sin(camera.bearing));
  return { x: f(f(across * cos) + f(down * sin)) + camera.width / 2, y: f(f(down * cos) - f(across * sin)) + camera.height / 2 };
}

test("places are drawn where they belong, to a fraction of a pixel at every zoom, also by the shader's numbers", () => {
  const next = random(1);
  for (let round = 0; round < 5000; round++) {
    const zoom = between(next, 0, 20), reach = 400 / (512 * 2 ** zoom);
    const view = { longitude: between(next, -180, 180), latitude: between(next, -80, 80), zoom, bearing: between(next, -180, 180) };
    const camera = cameraOf(view, 640, 480);
    const longitude = view.longitude + between(next, -180, 180) * Math.min(1, 2 * reach), wrapped = ((longitude + 540) % 360) - 180;
    const latitude = Math.min(84, Math.max(-84, view.latitude + between(next, -90, 90) * Math.min(1, reach)));
    const want = expected(longitude, latitude, view, 640, 480);
    const x = xOf(wrapped), y = yOf(latitude);
    const drawn = projector(camera)(x, y, { x: 0, y: 0 }), shader = inShader(camera, x, y);
    for (const got of [drawn, shader]) {
      assert.ok(Math.hypot(got.x - want.x, got.y - want.y) < 0.5, `${JSON.stringify({ view, longitude, latitude, want, got })}`);
    }
  }
});

test("the shorter way leads over the antimeridian", () => {
  assert.ok(eastward(xOf(179.9), xOf(-179.9)) > 0);
  assert.ok(eastward(xOf(-179.9), xOf(179.9)) < 0);
  const way = metres(xOf(179.9), yOf(0), xOf(-179.9), yOf(0));
  assert.ok(Math.abs(way - 0.2 * 111_319.49) < 1, String(way));
});

test("what is beyond the edges of the projection is on them", () => {
  assert.equal(yOf(90), 0);
  assert.equal(yOf(-90), Y_UNITS - 1);
  assert.equal(xOf(180), xOf(-180));
});

test("a box holds what is visible, and little more if the view is not turned", () => {
  const next = random(2);
  for (let round = 0; round < 2000; round++) {
    const view = { longitude: between(next, -180, 180), latitude: between(next, -70, 70), zoom: between(next, 2, 18), bearing: round % 2 === 0 ? 0 : between(next, -180, 180) };
    const camera = cameraOf(view, 640, 480), [west, south, east, north] = boxOf(camera), project = projector(camera);
    assert.ok(west >= -180 && east <= 180 && south >= -90 && north <= 90);
    const width = (east - west + 360) % 360 || 360;
    for (let point = 0; point < 20; point++) {
      const across = between(next, 0, 1), up = between(next, 0, 1);
      const longitude = west + width * across, latitude = south + (north - south) * up;
      const { x, y } = project(xOf(((longitude + 540) % 360) - 180), yOf(latitude), { x: 0, y: 0 });
      if (view.bearing === 0) assert.ok(x >= -1 && x <= 641 && y >= -1 && y <= 481, JSON.stringify({ view, x, y }));
    }
    // The other way round: what is in a corner of the view is in the box.
    const corner = { x: round % 4 < 2 ? 1 : 639, y: round % 3 === 0 ? 1 : 479 };
    const turn = camera.bearing, dx = corner.x - 320, dy = corner.y - 240;
    const cornerX = camera.x + (dx * Math.cos(turn) - dy * Math.sin(turn)) / camera.scale;
    const longitude = (cornerX - Math.floor(cornerX) - 0.5) * 360;
    assert.ok(west <= east ? longitude >= west - 1e-6 && longitude <= east + 1e-6 : longitude >= west || longitude <= east, JSON.stringify({ view, west, east, longitude }));
  }
});

test("a box crosses the antimeridian, goes on to the poles, and is never wider than the world", () => {
  const [west, , east] = boxOf(cameraOf({ longitude: 180, latitude: 0, zoom: 5, bearing: 0 }, 640, 480));
  assert.ok(west > 170 && east < -170, `${west} ${east}`);
  assert.deepEqual(boxOf(cameraOf({ longitude: 50, latitude: 0, zoom: 0, bearing: 0 }, 640, 600)), [-180, -90, 180, 90]);
});

test("copies of the world are drawn as far as the view reaches", () => {
  const at = (zoom: number) => copies(cameraOf({ longitude: 0, latitude: 0, zoom, bearing: 0 }, 1024, 400));
  assert.equal(at(1), 0);
  assert.equal(at(0.5), 1);
  assert.equal(at(0), 1);
  assert.equal(at(-1), 2);
});
