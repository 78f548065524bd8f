// The page opens: what is drawn, how it moves, where it looks first.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../../../clients/js/test/wait.ts";
import type { LiveMap } from "../../src/map/view.ts";
import { agrees, showsExactly } from "./agrees.ts";
import { Scene, says, useBrowser } from "./scene.ts";

useBrowser();

test("opens on all devices: each is drawn where it was posted, the first view fits them", async () => {
  const scene = await Scene.start();
  await scene.post(...Array.from({ length: 200 }, (_, i) => ({ device_id: `van-${i}`, latitude: 52.4 + (i % 20) / 100, longitude: 13.2 + i / 500 })));
  const page = await scene.open("", { reducedMotion: "reduce" });
  await until("the view to fit", () => page.evaluate(() => window.processorMap!.map!.view().zoom > 8));
  assert.equal(await showsExactly(page, scene.truth), 200);
  const { zoom } = await page.evaluate(() => window.processorMap!.map!.view());
  assert.ok(zoom < 12, `${zoom}`);
  await says(page, ".status", /^Connected\s+last update/);
  await says(page, "#list-count", /^200 devices in view$/);
});

test("an empty server: it says that there are no devices, and looks at the first one that comes", async () => {
  const scene = await Scene.start();
  const page = await scene.open("", { viewport: { width: 900, height: 600 } });
  await says(page, ".status", /^Connected\s+no update yet$/);
  await says(page, ".devices", /^0 devices in view[^]*No devices /);
  await scene.post({ device_id: "first", latitude: -33.9, longitude: 151.2 });
  await says(page, "#list-count", /^1 device in view$/);
  await says(page, ".status", /^Connected\s+last update (just now|\d s ago)$/);
  await until("the view to be there", () => page.evaluate(() => {
    const { longitude, latitude, zoom } = window.processorMap!.map!.view();
    return Math.abs(longitude - 151.2) < 0.01 && Math.abs(latitude + 33.9) < 0.01 && zoom > 10;
  }));
  await agrees(page, scene.truth);
});

test("what moves slides to its newest fix and is never ahead of it; it is an arrow, and a dot when it stands; a far jump is one", async () => {
  const scene = await Scene.start();
  const [latitude, longitude] = [52.52, 13.4];
  await scene.post({ device_id: "moves", latitude, longitude, speed: 20, heading: 90 }, { device_id: "stands", latitude: 52.525, longitude, speed: 0 });
  const page = await scene.open("?at=14/52.52/13.4");
  await agrees(page, scene.truth);
  const shapes = () => page.evaluate(() => {
    const map = window.processorMap!.map as LiveMap;
    return [map.shape("moves"), map.shape("stands")];
  });
  assert.deepEqual(await shapes(), ["arrow", "dot"]);
  // Each frame: where it is drawn, and where its newest fix is.
  await page.evaluate(() => {
    const { map, fleet } = window.processorMap!, places: { x: number; newest: number }[] = [];
    const note = () => {
      const newest = fleet.devices.get("moves")!.fix.position.longitude;
      places.push({ x: map!.drawn().get("moves")!.x, newest: (map as LiveMap).mapLibre.project([newest, 52.52]).x });
      requestAnimationFrame(note);
    };
    note();
    Object.assign(window, { places });
  });
  for (let step = 1; step <= 6; step++) {
    await scene.post({ device_id: "moves", latitude, longitude: longitude + step * 0.001, speed: 20, heading: 90 });
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const end = await page.evaluate(([longitude]) => (window.processorMap!.map as LiveMap).mapLibre.project([longitude! + 0.006, 52.52]).x, [longitude]);
  await until("it to have arrived", () => page.evaluate((end) => Math.abs(window.processorMap!.map!.drawn().get("moves")!.x - end) < 0.5, end));
  const places = await page.evaluate(() => (window as unknown as { places: { x: number; newest: number }[] }).places);
  const start = places[0]!.x, way = end - start;
  assert.ok(way > 50, `${way}`);
  for (let i = 1; i < places.length; i++) {
    const { x, newest } = places[i]!, before = places[i - 1]!.x;
    assert.ok(x <= newest + 0.5, `ahead of its newest fix: ${x} of ${newest}`);
    assert.ok(x >= before - 0.5, `went back from ${before} to ${x}`);
  }
  const between = new Set(places.map(({ x }) => Math.round(x)).filter((x) => x > start + 1 && x < end - 1));
  assert.ok(between.size > 12, `${between.size} places on the way`);
  // Too far for any vehicle: it is there at once.
  const frames = places.length;
  await scene.post({ device_id: "moves", latitude, longitude: longitude - 0.02, speed: 0 });
  const west = await page.evaluate(() => (window.processorMap!.map as LiveMap).mapLibre.project([13.38, 52.52]).x);
  await until("it to be there", () => page.evaluate((west) => Math.abs(window.processorMap!.map!.drawn().get("moves")!.x - west) < 0.5, west));
  const jump = (await page.evaluate(() => (window as unknown as { places: { x: number }[] }).places)).slice(frames).map(({ x }) => x);
  assert.deepEqual(jump.filter((x) => x > west + 1 && x < end - 1), []);
  await until("it to be a dot", async () => (await shapes())[0] === "dot");
});
