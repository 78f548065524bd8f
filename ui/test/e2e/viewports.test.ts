// A thousand views, at random: after each, what is drawn is what was posted. SEED=<number> looks at the same ones again, VIEWS=<number> at fewer.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Report } from "../../../clients/js/test/server.ts";
import type { LiveMap } from "../../src/map/view.ts";
import { between, random } from "../random.ts";
import { agrees, showsExactly } from "./agrees.ts";
import { Scene, useBrowser } from "./scene.ts";

useBrowser();

const VIEWS = Number(process.env["VIEWS"] ?? 1_000), DEVICES = 600;
/** Some devices move before each view of so many. */
const MOVE_EVERY = 20;

const seed = Number(process.env["SEED"] ?? Date.now() % 1e9);
const next = random(seed);
const wrap = (longitude: number) => ((((longitude + 180) % 360) + 360) % 360) - 180;

/** A place: anywhere, near the antimeridian, near a pole, exactly on one of them, or in a city. */
function place(): { latitude: number; longitude: number } {
  const kind = next();
  if (kind < 0.3) return { latitude: between(next, -90, 90), longitude: between(next, -180, 180) };
  if (kind < 0.5) return { latitude: between(next, -20, -15), longitude: wrap(180 + between(next, -2, 2)) };
  if (kind < 0.6) return { latitude: (next() < 0.5 ? -1 : 1) * between(next, 80, 90), longitude: between(next, -180, 180) };
  if (kind < 0.65) return { latitude: next() < 0.5 ? 90 : -17.5, longitude: next() < 0.5 ? 180 : -180 };
  return { latitude: between(next, 52.3, 52.7), longitude: between(next, 13.1, 13.7) };
}

const report = (i: number): Report => ({ device_id: `d${i}`, ...place() });

test(`a thousand views at random, seed ${seed}`, async (context) => {
  const scene = await Scene.start();
  await scene.post(...Array.from({ length: DEVICES }, (_, i) => report(i)));
  const page = await scene.open("?at=3/0/0", { reducedMotion: "reduce", viewport: { width: 320, height: 320 } });
  // Without the base map, which takes most of the time and is not looked at here.
  await page.evaluate(() => void (window.processorMap!.map as LiveMap).mapLibre.setStyle({ version: 8, sources: {}, layers: [] }));
  let seen = 0, empty = 0;
  for (let n = 0; n < VIEWS; n++) {
    if (n % MOVE_EVERY === 0) await scene.post(...Array.from({ length: 30 }, () => report(Math.floor(next() * DEVICES))));
    const { latitude, longitude } = place(), zoom = between(next, 0, 15), isTurned = next() < 0.1;
    const view = { center: [longitude, latitude] as [number, number], zoom, bearing: isTurned ? between(next, 0, 360) : 0 };
    await page.evaluate((view) => void (window.processorMap!.map as LiveMap).mapLibre.jumpTo(view), view);
    try {
      if (isTurned) await agrees(page, scene.truth);
      else {
        const count = await showsExactly(page, scene.truth);
        seen += count;
        if (count === 0) empty += 1;
      }
    } catch (error) {
      throw new Error(`seed ${seed}, view ${n}: ${JSON.stringify(view)}`, { cause: error });
    }
  }
  context.diagnostic(`seed ${seed}: ${seen} devices in view, ${empty} views without any`);
  assert.ok(seen > 10 * VIEWS && empty < VIEWS / 2, `${seen} ${empty}`);
});
