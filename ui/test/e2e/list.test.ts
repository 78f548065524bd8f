// The list and the card: what is in view, sorted, searched, walked through by keyboard; fields, ages, copies; hostile names.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { until } from "../../../clients/js/test/wait.ts";
import { agrees } from "./agrees.ts";
import { Scene, says, useBrowser } from "./scene.ts";

useBrowser();

const viewport = { width: 900, height: 700 };
const HERE = "?at=12/52.52/13.4";
const names = (page: Page) => page.locator(".row:not([hidden])").evaluateAll((rows) =>
  rows.sort((a, b) => Number(a.getAttribute("aria-posinset")) - Number(b.getAttribute("aria-posinset"))).map((row) => row.querySelector(".row-name")!.textContent));
const selected = (page: Page) => page.evaluate(() => window.processorMap!.state.shown.selected);
const ago = (ms: number) => new Date(Date.now() - ms).toISOString();

/** Three in view, one out of it. */
async function three(env: Record<string, string> = {}): Promise<Scene> {
  const scene = await Scene.start(env);
  await scene.post(
    { device_id: "b near", latitude: 52.521, longitude: 13.4, timestamp: ago(20_000) },
    { device_id: "c far", latitude: 52.53, longitude: 13.42, timestamp: ago(10_000), attributes: { driver: "Ada" } },
    { device_id: "a mid", latitude: 52.525, longitude: 13.4, timestamp: ago(15_000) },
    { device_id: "elsewhere", latitude: 48.1, longitude: 11.5, timestamp: ago(5_000) });
  return scene;
}

test("the list has what is in view, by age, by distance and by name, and follows the view", async () => {
  const scene = await three();
  const page = await scene.open(HERE, { viewport });
  await agrees(page, scene.truth);
  await says(page, "#list-count", /^3 devices in view$/);
  assert.deepEqual(await names(page), ["c far", "a mid", "b near"]);
  await page.check("#order-distance", { force: true });
  assert.deepEqual(await names(page), ["b near", "a mid", "c far"]);
  await says(page, ".row >> nth=0", /\d+ m$/);
  await page.check("#order-name", { force: true });
  assert.deepEqual(await names(page), ["a mid", "b near", "c far"]);
  await page.evaluate(() => window.processorMap!.map!.go({ longitude: 11.5, latitude: 48.1 }));
  await says(page, "#list-count", /^1 device in view$/);
  assert.deepEqual(await names(page), ["elsewhere"]);
  await scene.post({ device_id: "elsewhere", latitude: 0, longitude: 0 });
  await says(page, "#list-count", /^0 devices in view$/);
});

test("by keyboard only: search, the list, the card, follow, and back", async () => {
  const scene = await three();
  const page = await scene.open(HERE, { viewport });
  await says(page, "#list-count", /^3 devices in view$/);
  await page.keyboard.press("/");
  await page.keyboard.type("ada");
  await says(page, "#list-count", /^1 device found$/);
  assert.deepEqual(await names(page), ["c far"]);
  await page.keyboard.press("Enter");
  assert.equal(await selected(page), "c far");
  await says(page, ".card h2", /^c far$/);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  assert.equal(await selected(page), undefined);
  // What was searched for was gone to; now everything is.
  await says(page, "#list-count", /^1 device in view$/);
  assert.equal(await page.evaluate(() => document.activeElement === document.body), true);
  await page.keyboard.press("a");
  await says(page, "#list-count", /^4 devices in view$/);
  await agrees(page, scene.truth, [-180, -90, 180, 90]);
  await page.keyboard.press("l");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  const active = await page.evaluate(() => document.getElementById(document.activeElement!.getAttribute("aria-activedescendant")!)!.querySelector(".row-name")!.textContent);
  assert.equal(active, "a mid");
  await page.keyboard.press("Enter");
  assert.equal(await selected(page), "a mid");
  await page.keyboard.press("f");
  assert.equal(await page.evaluate(() => window.processorMap!.state.shown.follow), true);
  await until("the map to be with it", () => page.evaluate(() => Math.abs(window.processorMap!.map!.view().latitude - 52.525) < 1e-4));
  // What the page does not know, the server may.
  await page.keyboard.press("/");
  await page.keyboard.type("elsewhere");
  await page.keyboard.press("Enter");
  assert.equal(await selected(page), "elsewhere");
  await says(page, ".card .facts", /48\.100000, 11\.500000/);
  await page.keyboard.press("s");
  await until("the map to be there", () => page.evaluate(() => Math.abs(window.processorMap!.map!.view().latitude - 48.1) < 1e-3));
});

test("the card has all fields and attributes, its age grows, copies are right", async () => {
  const scene = await Scene.start();
  await scene.post({
    device_id: "van", latitude: 52.520008, longitude: 13.404954, speed: 14.2, heading: 47, altitude: 36, accuracy: 6.2, timestamp: ago(4_000),
    attributes: { name: "Van 17", engine: { rpm: 2100 }, doors: ["front", "rear"] },
  });
  const page = await scene.open(`${HERE}&device=van`, { viewport, permissions: ["clipboard-read", "clipboard-write"] });
  await says(page, ".card", /^Van 17\s+van\s/);
  await says(page, ".facts", /^Coordinates\s+52\.520008, 13\.404954\s+Speed\s+51 km\/h\s+Heading\s+NE, 47°\s+Altitude\s+36 m\s+Accuracy\s+± 6 m$/);
  await says(page, ".attributes", /engine › rpm\s+2100\s+doors\s+front, rear/);
  await says(page, ".card-age", /^Fresh\s+([6-9]|[1-5]\d) s ago/);
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.click("[aria-label='Copy coordinates']");
  await says(page, ".card-said", /^Coordinates copied$/);
  assert.equal(await copied(), "52.520008, 13.404954");
  await page.click("[title='Copy the position as JSON']");
  await says(page, ".card-said", /^Position copied as JSON$/);
  const { device_id, heading, attributes } = JSON.parse(await copied());
  assert.deepEqual({ device_id, heading, attributes }, { device_id: "van", heading: 47, attributes: { name: "Van 17", engine: { rpm: 2100 }, doors: ["front", "rear"] } });
  await scene.post({ device_id: "van", latitude: 52.52, longitude: 13.405, speed: 0 });
  await says(page, ".facts", /Speed\s+0 km\/h$/);
  // What the newest position does not say is not shown any longer.
  assert.doesNotMatch(await page.locator(".card").innerText(), /Heading|Altitude|Accuracy|engine/);
  await says(page, ".card-age", /^Fresh\s+(just now|\d s ago)/);
  await page.keyboard.press("u");
  await says(page, ".facts", /Speed\s+0 mph$/);
  await says(page, ".maplibregl-ctrl-scale", /(mi|ft)$/);
});

test("stale and lost by the operator's settings, in list and card", async () => {
  const scene = await three({ WEB_STALE_AFTER_MS: "8000", WEB_LOST_AFTER_MS: "20000", WEB_UNITS: "imperial" });
  const page = await scene.open(`${HERE}&device=c+far`, { viewport });
  // It is fresh for 8 s from each time on.
  const post = () => scene.post({ device_id: "young", latitude: 52.52, longitude: 13.4, speed: 10 });
  await says(page, ".card-age", /^Lost\s/);
  await post();
  await says(page, ".row >> nth=0", /^young\s+22 mph\s+(now|\d s)$/);
  // The list is drawn once a second.
  const others = page.locator(".row:not([hidden])").filter({ hasNotText: "young" });
  await until("the other three to be lost", async () => (await others.locator(".mark[data-age=lost]").count()) === 3);
  await post();
  await page.evaluate(() => window.processorMap!.state.set({ selected: "young" }));
  await says(page, ".card-age", /^Fresh\s/);
  await says(page, ".card-age", /^Stale\s+(8|9|1\d) s ago/);
  await says(page, ".row >> nth=0", /stale$/);
  await says(page, ".card-age", /^Lost\s+[2-5]\d s ago/);
  await post();
  await says(page, ".card-age", /^Fresh\s/);
});

test("names, attributes and events that mean harm are text", async () => {
  const scene = await Scene.start();
  const hostile = ["<img src=x onerror=alert(1)>", "x".repeat(128), "\"'><script>alert(1)</script>", "🚚👩‍🚒".repeat(5), "شاحنة", "..", "constructor"];
  await scene.post(...hostile.map((device_id, i) => ({
    device_id, latitude: 52.52 + i / 1000, longitude: 13.4, topics: hostile.slice(0, 1).map((name) => `event:${name}`),
    attributes: JSON.parse(JSON.stringify({ name: device_id, [device_id]: { [device_id]: [device_id] } }).replace("constructor", "__proto__")),
  })));
  const event = encodeURIComponent(hostile[0]!);
  const page = await scene.open(`${HERE}&event=${event}`, { viewport });
  page.on("dialog", () => assert.fail("a script of a device has run"));
  await agrees(page, scene.truth);
  await says(page, "#list-count", /^7 devices in view$/);
  for (const id of hostile) {
    await page.evaluate((id) => window.processorMap!.state.set({ selected: id }), id);
    await until(`the card of ${id}`, async () => (await page.locator(".card h2").textContent()) === id || (await page.locator(".card .card-id").textContent()) === id);
    await until("its place", async () => (await page.locator(".card .facts").textContent())!.includes("52.52"));
    await until("its id in the URL", () => page.evaluate((id) => new URL(location.href).searchParams.get("device") === id, id));
  }
  await says(page, ".chip .chip-name", /^<img src=x onerror=alert\(1\)>$/);
  assert.equal(await page.locator("#panel img, #panel script").count(), 0);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector("#panel")!.scrollWidth <= document.querySelector("#panel")!.clientWidth));
});
