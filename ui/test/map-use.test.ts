// Tests of what people do with the map, in Chromium.

import assert from "node:assert/strict";
import { colorsAt, idle, near, onPage, PLAIN } from "./map-tab.ts";

onPage("click and hover give the device that is drawn there", async (tab) => {
  await tab.evaluate(async () => {
    await page.open();
    page.put("a", 13.4, 52.5);
    page.put("b", 13.5, 52.5);
  });
  await idle(tab);
  const { a, b } = await tab.evaluate(() => Object.fromEntries(page.map.drawn())) as { a: { x: number; y: number }; b: { x: number; y: number } };
  await tab.mouse.click(a.x + 8, a.y - 8);
  await tab.mouse.move(b.x + 5, b.y);
  assert.ok(await tab.evaluate(() => document.querySelector(".map-over-device") !== null));
  await tab.mouse.click(200, 100);
  const events = await tab.evaluate(() => page.events.filter(({ name }) => name === "click" || name === "hover"));
  const clicks = events.filter(({ name }) => name === "click").map(({ event }) => (event as { id?: string }).id);
  assert.deepEqual(clicks, ["a", undefined]);
  assert.ok(events.some(({ name, event }) => name === "hover" && (event as { id?: string }).id === "b"));
  assert.ok(await tab.evaluate(() => document.querySelector(".map-over-device") === null));
});

onPage("a finger reaches farther than a mouse", async (tab) => {
  await tab.evaluate(async () => {
    await page.open();
    page.put("a", 13.4, 52.5);
  });
  await idle(tab);
  await tab.touchscreen.tap(320 + 14, 240 + 13);
  await tab.waitForFunction(() => page.events.some(({ name }) => name === "click"));
  const clicks = await tab.evaluate(() => page.events.filter(({ name }) => name === "click").map(({ event }) => event));
  assert.deepEqual(clicks, [{ id: "a" }]);
}, { context: { hasTouch: true } });

onPage("follow keeps the device in the middle; a drag is by hand and ends it, zooming does not", async (tab) => {
  await tab.evaluate(async () => {
    await page.open({ view: { longitude: 13.4, latitude: 52.5, zoom: 13, bearing: 0 } });
    page.put("a", 13.42, 52.51);
    page.map.select("a");
    page.map.follow(true);
    page.map.on("move", ({ byHand }) => byHand && page.map.follow(false));
  });
  const start = await tab.evaluate(() => performance.now());
  await tab.waitForFunction(() => Math.hypot(page.map.drawn().get("a")!.x - 320, page.map.drawn().get("a")!.y - 240) < 1);
  await tab.evaluate(() => page.put("a", 13.425, 52.512));
  await tab.waitForTimeout(300);
  await tab.waitForFunction(() => Math.abs(page.map.view().longitude - 13.425) < 1e-5 && Math.hypot(page.map.drawn().get("a")!.x - 320) < 1);
  // It moves with the device, frame by frame, but does not come to rest as often.
  await tab.waitForTimeout(600);
  await tab.waitForFunction(() => page.events.at(-1)!.name === "moveend");
  const { moves, rests, most } = await tab.evaluate((start) => {
    const count = (wanted: string) => page.events.filter(({ name }) => name === wanted).length;
    return { moves: count("move"), rests: count("moveend"), most: (performance.now() - start) / 500 + 2 };
  }, start);
  assert.ok(moves > rests && rests >= 1 && rests <= most, `${moves} moves, ${rests} times at rest of at most ${most}`);
  // Zooming by the wheel, away from the middle, stays with it.
  await tab.mouse.move(500, 100);
  await tab.mouse.wheel(0, -200);
  await tab.waitForFunction(() => page.map.view().zoom > 13.2 && !page.map.mapLibre.isMoving());
  await idle(tab);
  const zoomed = await tab.evaluate(() => ({ at: page.map.drawn().get("a")!, byHand: page.events.some(({ event }) => (event as { byHand?: boolean }).byHand) }));
  assert.ok(Math.hypot(zoomed.at.x - 320, zoomed.at.y - 240) < 1.5, JSON.stringify(zoomed));
  assert.equal(zoomed.byHand, false);
  await tab.mouse.move(300, 200);
  await tab.mouse.down();
  await tab.mouse.move(400, 260, { steps: 5 });
  await tab.mouse.up();
  await tab.waitForFunction(() => page.events.some(({ name, event }) => name === "move" && (event as { byHand: boolean }).byHand));
  await tab.waitForTimeout(400);
  const { x, y } = await tab.evaluate(() => page.map.drawn().get("a")!);
  assert.ok(Math.hypot(x - 320, y - 240) > 60, `${x} ${y}`);
});

onPage("arrow keys move the map, and end following", async (tab) => {
  await tab.evaluate(async () => {
    await page.open();
    page.put("a", 13.4, 52.5);
    page.map.select("a");
    page.map.follow(true);
  });
  await idle(tab);
  await tab.locator("canvas.maplibregl-canvas").focus();
  await tab.keyboard.press("ArrowRight");
  await tab.waitForFunction(() => page.events.some(({ name, event }) => name === "moveend" && (event as { byHand: boolean }).byHand));
  assert.ok(await tab.evaluate(() => page.map.view().longitude > 13.41));
});

onPage("fit and box, also over the antimeridian", async (tab) => {
  await tab.evaluate(() => page.open({ still: true }));
  const inside = await tab.evaluate(() => {
    const out = [];
    for (const [west, south, east, north] of [[10, 50, 15, 54], [175, -20, -170, -10], [13.4, 52.5, 13.4, 52.5], [-180, -60, 180, 70]] as const) {
      page.map.fit([west, south, east, north]);
      out.push({ view: page.map.view(), box: page.map.box() });
    }
    return out;
  });
  const [land, sea, point, world] = inside;
  assert.ok(land!.box[0] < 10 && land!.box[2] > 15 && land!.box[1] < 50 && land!.box[3] > 54 && land!.box[0] > 0, JSON.stringify(land));
  assert.ok(sea!.box[0] > 150 && sea!.box[0] < 175 && sea!.box[2] > -170 && sea!.box[2] < -140, JSON.stringify(sea));
  assert.equal(point!.view.zoom, 13);
  assert.ok(world!.view.zoom < 1.5, JSON.stringify(world));
});

onPage("fit is by the size that the page has just given the map", async (tab) => {
  await tab.evaluate(() => page.open({ still: true }));
  const box = await tab.evaluate(() => {
    document.getElementById("map")!.style.height = "200px";
    page.map.fit([13, 52, 14, 53]);
    return page.map.box();
  });
  assert.ok(box[0] < 13 && box[1] < 52 && box[2] > 14 && box[3] > 53 && box[3] < 54, JSON.stringify(box));
  await idle(tab);
  assert.deepEqual(await tab.evaluate(() => page.map.box()), box);
});

onPage("a map that is made smaller and larger stays whole", async (tab) => {
  await tab.evaluate(async () => {
    await page.open();
    page.put("a", 13.41, 52.51);
  });
  for (const [width, height] of [[400, 300], [800, 500]] as const) {
    await tab.setViewportSize({ width, height });
    await tab.waitForFunction((width) => page.map.layer.canvas.width === width, width);
    await idle(tab);
    const { drawn, want } = await tab.evaluate(() => ({ drawn: page.map.drawn().get("a")!, want: page.map.mapLibre.project([13.41, 52.51]) }));
    assert.ok(Math.hypot(drawn.x - want.x, drawn.y - want.y) < 0.5, JSON.stringify({ drawn, want }));
    assert.ok(near((await colorsAt(tab, [drawn]))[0]!, PLAIN));
  }
});

onPage("units of the scale bar", async (tab) => {
  await tab.evaluate(() => page.open());
  assert.match(await tab.locator(".maplibregl-ctrl-scale").innerText(), /\d\s(km|m)$/);
  await tab.evaluate(() => page.map.setUnits("imperial"));
  assert.match(await tab.locator(".maplibregl-ctrl-scale").innerText(), /\d\s(mi|ft)$/);
});

onPage("without WebGL2 it says so", async (tab) => {
  const name = await tab.evaluate(() => {
    HTMLCanvasElement.prototype.getContext = () => null;
    return page.open().then(() => "opened", (error: Error) => error.name);
  });
  assert.equal(name, "NoWebGL");
});
