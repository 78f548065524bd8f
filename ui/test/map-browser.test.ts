// Tests of the map in Chromium, under the real content security policy, with devices that are made up.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { openPage, openSite } from "./browser.ts";
import type { Site } from "./browser.ts";
import { pmtiles } from "./pmtiles.ts";
import type { Page as Harness } from "./map-page.ts";

declare const page: Harness;

let site: Site;
before(async () => void (site = await openSite("test/map-page.ts", "test/map-page.css")));
after(() => site.close());

type Extra = { errors?: RegExp; context?: Parameters<typeof openPage>[1] };

/** A test with a page of its own, which must end without errors in the console and without violations of the policy. */
function onPage(name: string, body: (tab: Page) => Promise<void>, { errors: expected, context }: Extra = {}): void {
  test(name, async () => {
    const { page: tab, errors, close } = await openPage(site, context);
    try {
      await body(tab);
      assert.deepEqual(errors.filter((error) => !expected?.test(error)), []);
      assert.deepEqual(await tab.evaluate(() => page.violations), []);
    } finally {
      await close();
    }
  });
}

/** The colours of the page at some points: red, green, blue. */
async function colorsAt(tab: Page, points: { x: number; y: number }[]): Promise<number[][]> {
  const picture = (await tab.screenshot()).toString("base64");
  return tab.evaluate(async ({ picture, points }) => {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height), brush = canvas.getContext("2d")!;
    brush.drawImage(image, 0, 0);
    return points.map(({ x, y }) => [...brush.getImageData(Math.round(x), Math.round(y), 1, 1).data.slice(0, 3)]);
  }, { picture, points });
}

const near = (a: number[], b: number[], by = 12) => a.every((value, index) => Math.abs(value - b[index]!) <= by);
const idle = (tab: Page) => tab.evaluate(async () => {
  if (!page.map.mapLibre.loaded() || page.map.mapLibre.isMoving()) await new Promise((resolve) => page.map.mapLibre.once("idle", resolve));
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
});
const PLAIN = [0x1f, 0x6f, 0xeb];

onPage("devices are drawn, and where MapLibre puts them, also on a turned map and over the antimeridian", async (tab) => {
  await tab.evaluate(() => page.open());
  const worst = await tab.evaluate(async () => {
    let worst = 0;
    for (const view of [
      { longitude: 13.4, latitude: 52.5, zoom: 10, bearing: 0 }, { longitude: 13.4, latitude: 52.5, zoom: 17, bearing: 130 },
      { longitude: 179.99, latitude: -17, zoom: 12, bearing: -45 }, { longitude: -179.8, latitude: 65, zoom: 6, bearing: 10 },
    ]) {
      page.map.mapLibre.jumpTo({ center: [view.longitude, view.latitude], zoom: view.zoom, bearing: view.bearing });
      await new Promise((resolve) => page.map.mapLibre.once("render", resolve));
      const reach = (300 / (512 * 2 ** view.zoom)) * 360, gone = [...page.devices.keys()];
      page.devices.clear();
      const all = Array.from({ length: 300 }, (_, i) => {
        const longitude = view.longitude + Math.sin(i) * reach;
        return page.fix(`d${i}`, ((longitude + 540) % 360) - 180, view.latitude + Math.sin(i * 7) * reach * 0.3);
      });
      page.map.update(all, gone);
      page.map.update(all, []);
      const drawn = page.map.drawn();
      if (drawn.size !== 300) throw new Error(`${drawn.size} devices`);
      for (const { id, fix } of all) {
        let { longitude, latitude } = fix.position;
        longitude += Math.round((view.longitude - longitude) / 360) * 360;
        const want = page.map.mapLibre.project([longitude, latitude]), got = drawn.get(id)!;
        worst = Math.max(worst, Math.hypot(want.x - got.x, want.y - got.y));
      }
    }
    return worst;
  });
  assert.ok(worst < 0.5, `${worst} pixels off`);
});

onPage("the picture shows the devices in their colours on land and sea", async (tab) => {
  await tab.evaluate(async () => {
    await page.open({ view: { longitude: 13.4, latitude: 54.5, zoom: 6, bearing: 0 } });
    page.colors.set("red", "#cc3311");
    page.put("red", 13.4, 54.5);
    page.put("plain", 11, 53);
  });
  await idle(tab);
  await tab.waitForTimeout(150);
  const places = await tab.evaluate(() => Object.fromEntries(page.map.drawn()));
  const [red, plain, sea, land] = await colorsAt(tab, [places["red"]!, places["plain"]!, { x: 320, y: 170 }, { x: 420, y: 430 }]);
  assert.ok(near(red!, [0xcc, 0x33, 0x11]), String(red));
  assert.ok(near(plain!, PLAIN), String(plain));
  assert.ok(near(sea!, [0xcf, 0xdd, 0xe6]), `sea ${sea}`);
  assert.ok(near(land!, [0xf5, 0xf4, 0xef]), `land ${land}`);
});

onPage("a device slides to its newest fix and is never ahead of it; at rest, no frame is drawn", async (tab) => {
  await tab.evaluate(() => page.open({ view: { longitude: 13.4, latitude: 52.5, zoom: 14, bearing: 0 } }));
  await idle(tab);
  const seen = await tab.evaluate(async () => {
    const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    const x = () => page.map.drawn().get("a")!.x;
    page.put("a", 13.4, 52.5);
    await wait(600);
    const start = x();
    page.put("a", 13.401, 52.5);
    const end = page.map.mapLibre.project([13.401, 52.5]).x, samples: number[] = [];
    const frames = page.map.layer.frames;
    for (let i = 0; i < 30; i++) {
      await wait(30);
      samples.push(x());
    }
    const moving = page.map.layer.frames - frames;
    await wait(300);
    const rest = page.map.layer.frames;
    await wait(500);
    return { start, end, samples, moving, resting: page.map.layer.frames - rest };
  });
  assert.ok(seen.samples.every((x, i) => x <= seen.end + 0.01 && x >= (seen.samples[i - 1] ?? seen.start)), JSON.stringify(seen));
  assert.ok(seen.samples.filter((x) => x > seen.start + 1 && x < seen.end - 1).length >= 5, "in between");
  assert.ok(Math.abs(seen.samples.at(-1)! - seen.end) < 0.1);
  assert.ok(seen.moving >= 5, `${seen.moving} frames while moving`);
  assert.equal(seen.resting, 0, "frames at rest");
});

onPage("arrows and dots; reduced motion", async (tab) => {
  const shapes = await tab.evaluate(async () => {
    await page.open({ still: true });
    page.map.update([page.fix("dot", 13.4, 52.5), page.fix("arrow", 13.5, 52.5, { heading: 40, speed: 3 }), page.fix("stands", 13.3, 52.5, { heading: 40, speed: 0 })], []);
    page.map.drawn();
    const shapes = ["dot", "arrow", "stands", "none"].map((id) => page.map.shape(id));
    await new Promise((resolve) => setTimeout(resolve, 500));
    page.put("dot", 13.41, 52.5);
    const { x } = page.map.drawn().get("dot")!, end = page.map.mapLibre.project([13.41, 52.5]).x;
    return [...shapes, Math.abs(x - end) < 0.1];
  });
  assert.deepEqual(shapes, ["dot", "arrow", "dot", undefined, true]);
});

onPage("devices that fall silent fade, then are grey", async (tab) => {
  await tab.evaluate(async () => {
    await page.open({ view: { longitude: 13.4, latitude: 52.5, zoom: 12, bearing: 0 } });
    page.put("fresh", 13.35, 52.5);
    page.put("stale", 13.4, 52.5, {}, Date.now() - 200_000);
    page.put("lost", 13.45, 52.5, {}, Date.now() - 700_000);
  });
  await idle(tab);
  await tab.waitForTimeout(150);
  const places = await tab.evaluate(() => Object.fromEntries(page.map.drawn()));
  const [fresh, stale, lost] = await colorsAt(tab, [places["fresh"]!, places["stale"]!, places["lost"]!]);
  const blue = ([r, , b]: number[]) => b! - r!;
  assert.ok(near(fresh!, PLAIN), String(fresh));
  assert.ok(blue(stale!) > 40 && blue(stale!) < blue(fresh!) - 60, `stale ${stale}`);
  assert.ok(blue(lost!) < 30, `lost ${lost}`);
});

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
  await tab.waitForFunction(() => Math.hypot(page.map.drawn().get("a")!.x - 320, page.map.drawn().get("a")!.y - 240) < 1);
  await tab.evaluate(() => page.put("a", 13.425, 52.512));
  await tab.waitForTimeout(300);
  await tab.waitForFunction(() => Math.abs(page.map.view().longitude - 13.425) < 1e-5 && Math.hypot(page.map.drawn().get("a")!.x - 320) < 1);
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
  assert.ok(await tab.evaluate(() => page.events.some(({ name, event }) => name === "move" && (event as { byHand: boolean }).byHand)));
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
  assert.equal(point!.view.zoom, 15);
  assert.ok(world!.view.zoom < 1.5, JSON.stringify(world));
});

onPage("dark at once, with all devices", async (tab) => {
  await tab.evaluate(async () => {
    await page.open({ view: { longitude: 13.4, latitude: 54.5, zoom: 6, bearing: 0 } });
    page.map.update(Array.from({ length: 50 }, (_, i) => page.fix(`d${i}`, 11 + (i % 10) / 2, 53 + i / 40)), []);
  });
  await idle(tab);
  await tab.evaluate(() => page.map.setDark(true));
  await idle(tab);
  const [sea, land] = await colorsAt(tab, [{ x: 320, y: 170 }, { x: 420, y: 430 }]);
  assert.ok(near(sea!, [0x11, 0x18, 0x1f]) && near(land!, [0x1e, 0x27, 0x30]), `${sea} ${land}`);
  const [first] = await tab.evaluate(() => [...page.map.drawn().values()]);
  const [device] = await colorsAt(tab, [first!]);
  assert.ok(near(device!, PLAIN), String(device));
  assert.equal(await tab.evaluate(() => page.map.drawn().size), 50);
});

onPage("the devices are there again after their context was lost", async (tab) => {
  await tab.evaluate(async () => {
    await page.open();
    page.put("a", 13.4, 52.5);
  });
  await idle(tab);
  await tab.waitForTimeout(150);
  const lost = await tab.evaluate(async () => {
    const { canvas } = page.map.layer, extension = canvas.getContext("webgl2")!.getExtension("WEBGL_lose_context")!;
    const event = (name: string) => new Promise((resolve) => canvas.addEventListener(name, resolve, { once: true }));
    const gone = event("webglcontextlost"), back = event("webglcontextrestored");
    extension.loseContext();
    await gone;
    const lost = page.map.layer.lost;
    page.put("b", 13.5, 52.5);
    await new Promise((resolve) => setTimeout(resolve, 50));
    extension.restoreContext();
    await back;
    return lost;
  });
  assert.equal(lost, true);
  await tab.waitForTimeout(300);
  const { a, b } = await tab.evaluate(() => Object.fromEntries(page.map.drawn())) as { a: { x: number; y: number }; b: { x: number; y: number } };
  const colors = await colorsAt(tab, [a, b]);
  assert.ok(colors.every((color) => near(color, PLAIN)), String(colors));
});

const notice = (tab: Page) => tab.waitForFunction(() => page.events.filter(({ name, event }) => name === "notice" && (event as { text?: string }).text !== undefined).at(-1))
  .then(async (handle) => ((await handle.jsonValue()) as { event: { text: string } }).event.text);
const NOT_FOUND = /Failed to load resource/;
const style = (more: object = {}, layers: object[] = []) =>
  JSON.stringify({ version: 8, sources: {}, layers: [{ id: "all", type: "background", paint: { "background-color": "#aa00aa" } }, ...layers], ...more });

const source = (more: object) => style({ sources: { tiles: { type: "raster", tileSize: 256, ...more } } }, [{ id: "tiles", type: "raster", source: "tiles" }]);
const tiles = (url: string) => source({ tiles: [url] });

onPage("the operator's style is shown, at once", async (tab) => {
  site.more.set("style.json", { body: style() });
  await tab.evaluate(async () => {
    await page.open({ config: { style: { light: "style.json", dark: null } } });
    page.put("a", 13.4, 52.5);
  });
  await tab.waitForFunction(() => page.map.mapLibre.getLayer("all") !== undefined);
  await idle(tab);
  const [ground, device] = await colorsAt(tab, [{ x: 100, y: 100 }, { x: 320, y: 240 }]);
  assert.ok(near(ground!, [0xaa, 0, 0xaa]) && near(device!, PLAIN), `${ground} ${device}`);
  assert.equal(await tab.evaluate(() => document.querySelector(".map-coarse:not([hidden])")), null);
});

for (const [name, broken] of [
  ["is not there", undefined], ["is no JSON", "<html>"], ["is no style", '{"version":8,"sources":{},"layers":[{"id":"x","type":"nonsense"}]}'],
  ["has tiles that are not there", tiles("tiles/{z}/{x}/{y}.png")], ["has tiles that fail", tiles("fails?{z}/{x}/{y}")], ["has a source that fails", source({ url: "fails" })],
] as const) {
  onPage(`a style that ${name}: the built-in map, and a notice`, async (tab) => {
    site.more.delete("broken.json");
    site.more.set("fails", { status: 500, body: "" });
    if (broken !== undefined) site.more.set("broken.json", { body: broken });
    await tab.evaluate(async () => {
      await page.open({ config: { style: { light: "broken.json", dark: null } } });
      page.put("a", 13.4, 52.5);
    });
    assert.match(await notice(tab), /could not be loaded.*built-in/);
    await tab.waitForFunction(() => page.map.mapLibre.getLayer("countries") !== undefined);
    await idle(tab);
    const [ground, device] = await colorsAt(tab, [{ x: 100, y: 100 }, { x: 320, y: 240 }]);
    assert.ok(near(ground!, [0xf5, 0xf4, 0xef]) && near(device!, PLAIN), `${ground} ${device}`);
    assert.ok(await tab.evaluate(() => document.querySelector(".map-coarse:not([hidden])") !== null), "says that it is coarse");
  }, { errors: /Failed to load resource|"nonsense" found/ });
}

onPage("a PMTiles file that is not there: the built-in map, and a notice", async (tab) => {
  await tab.evaluate(() => page.open({ config: { pmtiles: "missing.pmtiles" } }));
  assert.match(await notice(tab), /could not be loaded.*built-in/);
  await tab.waitForFunction(() => page.map.mapLibre.getLayer("countries") !== undefined);
}, { errors: NOT_FOUND });

onPage("a PMTiles file is shown, light and dark, and is credited", async (tab) => {
  site.more.set("file.pmtiles", { body: pmtiles() });
  await tab.evaluate(() => page.open({ config: { pmtiles: "file.pmtiles" } }));
  for (const [dark, earth] of [[false, [0xe2, 0xdf, 0xda]], [true, [0x1f, 0x1f, 0x1f]]] as const) {
    await tab.evaluate((dark) => page.map.setDark(dark), dark);
    await tab.waitForFunction((dark) => page.map.mapLibre.getLayer("earth") && page.map.mapLibre.getPaintProperty("earth", "fill-color") === (dark ? "#1f1f1f" : "#e2dfda"), dark);
    await idle(tab);
    const [ground] = await colorsAt(tab, [{ x: 100, y: 100 }]);
    assert.ok(near(ground!, [...earth]), String(ground));
  }
  assert.match(await tab.locator(".maplibregl-ctrl-attrib").innerText(), /Somebody/);
});

onPage("a PMTiles file of another kind of map: the built-in one, and a notice", async (tab) => {
  site.more.set("other.pmtiles", { body: pmtiles("transportation") });
  await tab.evaluate(() => page.open({ config: { pmtiles: "other.pmtiles" } }));
  assert.match(await notice(tab), /not of the Protomaps basemap/);
});

onPage("the trail of what is selected leads to where it is drawn, with a gap where nothing is known", async (tab) => {
  const at = await tab.evaluate(async () => {
    await page.open({ view: { longitude: 13.4, latitude: 52.5, zoom: 14, bearing: 0 }, still: true });
    page.colors.set("a", "#cc3311");
    const now = Date.now() - 1_000_000;
    const fixes = [[13.391, 52.501, 0], [13.391, 52.506, 20], [13.401, 52.506, 40], [13.411, 52.506, 900], [13.411, 52.501, 920]] as const;
    for (const [longitude, latitude, seconds] of fixes) {
      page.put("a", longitude, latitude, {}, now + seconds * 1000);
      page.map.drawn();
    }
    page.map.select("a");
    return fixes.map(([longitude, latitude]) => page.map.mapLibre.project([longitude, latitude]));
  });
  await idle(tab);
  await tab.waitForTimeout(150);
  const middle = (a: { x: number; y: number }, b: { x: number; y: number }, part = 0.5) => ({ x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part });
  const legs = [0, 1, 3].map((leg) => middle(at[leg]!, at[leg + 1]!)), gap = Array.from({ length: 40 }, (_, i) => middle(at[2]!, at[3]!, 0.2 + i / 70));
  const red = ([r, g, b]: number[]) => r! > 170 && g! < 120 && b! < 110;
  for (const color of await colorsAt(tab, legs)) assert.ok(red(color), `leg ${color}`);
  const drawn = (await colorsAt(tab, gap)).map((color) => near(color, [0xf5, 0xf4, 0xef]));
  assert.ok(drawn.filter(Boolean).length > 10 && drawn.filter((bare) => !bare).length > 5, `dots: ${drawn}`);
  await tab.evaluate(() => page.map.select(undefined));
  await tab.waitForTimeout(150);
  for (const color of await colorsAt(tab, legs)) assert.ok(!red(color), `no trail ${color}`);
});

onPage("devices are drawn in each copy of the world that is shown", async (tab) => {
  await tab.setViewportSize({ width: 1200, height: 480 });
  await tab.evaluate(async () => {
    await page.open({ view: { longitude: 150, latitude: 10, zoom: 0, bearing: 0 } });
    page.put("a", -40, 20);
  });
  await idle(tab);
  await tab.waitForTimeout(150);
  const { at, width } = await tab.evaluate(() => ({ at: page.map.drawn().get("a")!, width: 512 * 2 ** page.map.mapLibre.getZoom() }));
  const places = [-1, 0, 1].map((copy) => ({ x: at.x + copy * width, y: at.y })).filter(({ x }) => x > 0 && x < 1200);
  assert.ok(places.length >= 2);
  for (const color of await colorsAt(tab, places)) assert.ok(near(color, PLAIN), String(color));
});

onPage("50,000 devices", async (tab) => {
  const result = await tab.evaluate(async () => {
    await page.open({ view: { longitude: 13.4, latitude: 52.5, zoom: 8, bearing: 0 } });
    const all = Array.from({ length: 50_000 }, (_, i) => page.fix(`d${i}`, 12 + (i % 250) / 90, 51.7 + Math.floor(i / 250) / 125));
    page.map.update(all, []);
    const { uploads } = page.map.layer;
    // A tenth of them moves, each second, in parts; one upload each at most.
    for (let part = 0; part < 5; part++) {
      page.map.update(all.slice(part * 1000, part * 1000 + 1000).map(({ id, fix: { position } }) => page.fix(id, position.longitude + 0.001, position.latitude)), []);
      await new Promise((resolve) => setTimeout(resolve, 120));
    }
    page.map.update([], all.slice(0, 20_000).map(({ id }) => id));
    return { drawn: page.map.drawn().size, uploads: page.map.layer.uploads - uploads };
  });
  assert.equal(result.drawn, 30_000);
  assert.ok(result.uploads >= 2 && result.uploads <= 7, `${result.uploads} uploads`);
});

onPage("the built-in map's data does not come: a notice, and devices nevertheless", async (tab) => {
  await tab.route("**/world-*.json", (route) => route.abort());
  await tab.evaluate(async () => {
    await page.open();
    page.put("a", 13.41, 52.51);
  });
  assert.match(await notice(tab), /could not be loaded/);
  const { a } = await tab.evaluate(() => Object.fromEntries(page.map.drawn())) as { a: { x: number; y: number } };
  await idle(tab);
  assert.ok(near((await colorsAt(tab, [a]))[0]!, PLAIN));
}, { errors: NOT_FOUND });

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
