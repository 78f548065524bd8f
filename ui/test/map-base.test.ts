// Tests of the base map, in Chromium: the built-in one, the operator's, and the one instead of the other.

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { colorsAt, idle, near, onPage, PLAIN, site } from "./map-tab.ts";
import { pmtiles } from "./pmtiles.ts";

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
