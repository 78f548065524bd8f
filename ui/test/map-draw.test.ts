// Tests of how devices are drawn, in Chromium.

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { until } from "../../clients/js/test/wait.ts";
import { colorsAt, idle, near, onPage, PLAIN } from "./map-tab.ts";

/** Waits until no frame is drawn for a while: the last one may come late. */
const resting = (tab: Page, ms = 500) => until("no frame to be drawn any longer", () => tab.evaluate(async (ms) => {
  const { frames } = page.map.layer;
  await new Promise((resolve) => setTimeout(resolve, ms));
  return page.map.layer.frames === frames;
}, ms));

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
    // So long does it take to slide.
    await wait(1500);
    const start = x();
    page.put("a", 13.401, 52.5);
    const end = page.map.mapLibre.project([13.401, 52.5]).x, samples: number[] = [];
    const frames = page.map.layer.frames;
    while (samples.length < 300 && Math.abs((samples.at(-1) ?? start) - end) > 0.05) {
      await wait(30);
      samples.push(x());
    }
    return { start, end, samples, moving: page.map.layer.frames - frames };
  });
  assert.ok(seen.samples.every((x, i) => x <= seen.end + 0.01 && x >= (seen.samples[i - 1] ?? seen.start)), JSON.stringify(seen));
  assert.ok(seen.samples.filter((x) => x > seen.start + 1 && x < seen.end - 1).length >= 5, "in between");
  assert.ok(Math.abs(seen.samples.at(-1)! - seen.end) < 0.1);
  assert.ok(seen.moving >= 5, `${seen.moving} frames while moving`);
  await resting(tab);
});

onPage("the picture, too, shows a device between its fixes", async (tab) => {
  await tab.evaluate(async () => {
    await page.open({ view: { longitude: 13.4, latitude: 52.5, zoom: 14, bearing: 30 } });
    page.put("a", 13.391, 52.501);
  });
  await idle(tab);
  const end = await tab.evaluate(() => {
    // As if it had come eight seconds after the one before.
    const device = page.fix("a", 13.405, 52.506, {}, Date.now() + 8000);
    device.fix = { ...device.fix, came: device.fix.came + 8000 };
    page.map.update([device], []);
    return page.map.mapLibre.project([13.405, 52.506]);
  });
  await tab.waitForTimeout(1500);
  const before = await tab.evaluate(() => page.map.drawn().get("a")!);
  // A screenshot takes a while: the device is somewhere on this stretch.
  const stretch = Array.from({ length: 300 }, (_, i) => ({ x: before.x + (end.x - before.x) * (i / 300), y: before.y + (end.y - before.y) * (i / 300) }));
  const colors = (await colorsAt(tab, stretch)).map((color) => near(color, PLAIN, 30));
  const after = await tab.evaluate(() => page.map.drawn().get("a")!);
  const along = ({ x, y }: { x: number; y: number }) => Math.hypot(x - before.x, y - before.y), whole = along(end);
  const middle = colors.flatMap((is, i) => (is ? [(i / 300) * whole] : [])).reduce((sum, at, _, all) => sum + at / all.length, 0);
  assert.ok(colors.some(Boolean) && middle <= along(after) + 4, `seen ${middle} along, drawn up to ${along(after)}`);
  assert.ok(along(after) < whole && !colors.at(-1), "not yet there");
});

onPage("arrows point where devices head, on a turned map", async (tab) => {
  await tab.evaluate(async () => {
    await page.open({ view: { longitude: 13.401, latitude: 52.501, zoom: 14, bearing: 40 } });
    page.put("a", 13.401, 52.501, { heading: 160, speed: 5 });
  });
  await idle(tab);
  await tab.waitForTimeout(150);
  const turn = ((160 - 40) * Math.PI) / 180, at = (pixels: number) => ({ x: 320 + pixels * Math.sin(turn), y: 240 - pixels * Math.cos(turn) });
  const [tip, middle, notch] = await colorsAt(tab, [at(6), at(0), at(-7.5)]);
  assert.ok(near(tip!, PLAIN, 40) && near(middle!, PLAIN), `${tip} ${middle}`);
  assert.ok(!near(notch!, PLAIN, 60), `behind it ${notch}`);
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

onPage("they do so while nothing else happens", async (tab) => {
  await tab.evaluate(async () => {
    await page.open({ config: { stale_after_ms: 1000, lost_after_ms: 3000 } });
    page.put("a", 13.41, 52.51);
  });
  const { a } = await tab.evaluate(() => Object.fromEntries(page.map.drawn())) as { a: { x: number; y: number } };
  await until("it to be grey", async () => {
    const [[r, , b]] = await colorsAt(tab, [a]) as [[number, number, number]];
    return b - r < 30;
  });
  // Nothing ages any more.
  await resting(tab, 1500);
});

onPage("a hidden page: devices are where they are now, at once", async (tab) => {
  const { drawn, want } = await tab.evaluate(async () => {
    await page.open();
    page.put("a", 13.4, 52.5);
    await new Promise((resolve) => setTimeout(resolve, 300));
    Object.defineProperty(document, "hidden", { get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
    page.put("a", 13.41, 52.5);
    page.put("a", 13.42, 52.5);
    return { drawn: page.map.drawn().get("a")!, want: page.map.mapLibre.project([13.42, 52.5]) };
  });
  assert.ok(Math.abs(drawn.x - want.x) < 0.1, JSON.stringify({ drawn, want }));
});

onPage("the circle of accuracy of what is selected is as large as it says", async (tab) => {
  const radius = await tab.evaluate(async () => {
    await page.open({ view: { longitude: 13.401, latitude: 52.501, zoom: 14, bearing: 0 } });
    page.put("a", 13.401, 52.501, { accuracy: 500 });
    page.map.select("a");
    // 500 m to the east.
    return page.map.mapLibre.project([13.401 + 500 / (111_319.49 * Math.cos((52.501 * Math.PI) / 180)), 52.501]).x - 320;
  });
  await idle(tab);
  await tab.waitForTimeout(150);
  const at = (part: number) => [45, 135, 225, 315].map((turn) => ({
    x: 320 + radius * part * Math.cos((turn * Math.PI) / 180), y: 240 + radius * part * Math.sin((turn * Math.PI) / 180),
  }));
  const blue = ([r, , b]: number[]) => b! - r! > 10;
  assert.ok((await colorsAt(tab, at(0.96))).every(blue), "inside");
  assert.ok(!(await colorsAt(tab, at(1.05))).some(blue), "outside");
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
  await idle(tab);
  const { a, b } = await tab.evaluate(() => Object.fromEntries(page.map.drawn())) as { a: { x: number; y: number }; b: { x: number; y: number } };
  const colors = await colorsAt(tab, [a, b]);
  assert.ok(colors.every((color) => near(color, PLAIN)), String(colors));
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
  await idle(tab);
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

onPage("frames are drawn as often as something moves by half a pixel: many near by, few from far away", async (tab) => {
  const frames = await tab.evaluate(async () => {
    const counted: number[] = [];
    for (const zoom of [17, 8]) {
      await page.open({ view: { longitude: 13.4, latitude: 52.5, zoom, bearing: 0 } });
      await new Promise((resolve) => page.map.mapLibre.once("idle", resolve));
      page.put("a", 13.4, 52.5);
      await new Promise((resolve) => setTimeout(resolve, 2000));
      // 34 m/s.
      page.put("a", 13.401, 52.5);
      await new Promise((resolve) => setTimeout(resolve, 300));
      const { frames } = page.map.layer;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      counted.push(page.map.layer.frames - frames);
      page.map.close();
      document.getElementById("map")!.replaceChildren();
      page.devices.clear();
    }
    return counted;
  });
  const [near, far] = frames as [number, number];
  assert.ok(near > 3 * Math.max(1, far), String(frames));
});

onPage("50,000 devices", async (tab) => {
  const result = await tab.evaluate(async () => {
    await page.open({ view: { longitude: 13.4, latitude: 52.5, zoom: 8, bearing: 0 } });
    const all = Array.from({ length: 50_000 }, (_, i) => page.fix(`d${i}`, 12 + (i % 250) / 90, 51.7 + Math.floor(i / 250) / 125));
    page.map.update(all, []);
    const { uploads } = page.map.layer, sent = () => page.map.layer.uploads - uploads;
    // For ten seconds at most.
    const isSent = async (least: number) => {
      for (let time = 0; time < 100 && sent() < least; time++) await new Promise((resolve) => setTimeout(resolve, 100));
    };
    await isSent(1);
    // A tenth of them moves, each second, in parts; one upload each at most.
    for (let part = 0; part < 5; part++) {
      page.map.update(all.slice(part * 1000, part * 1000 + 1000).map(({ id, fix: { position } }) => page.fix(id, position.longitude + 0.001, position.latitude)), []);
      await new Promise((resolve) => setTimeout(resolve, 120));
    }
    page.map.update([], all.slice(0, 20_000).map(({ id }) => id));
    await isSent(2);
    return { drawn: page.map.drawn().size, uploads: sent() };
  });
  assert.equal(result.drawn, 30_000);
  assert.ok(result.uploads >= 2 && result.uploads <= 7, `${result.uploads} uploads`);
});
