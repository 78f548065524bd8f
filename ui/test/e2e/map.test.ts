// What people do with the map: select, follow, drag, trails, links, events, fit all, looks, too many devices, a phone.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { isInside } from "../../../clients/js/src/box.ts";
import { until } from "../../../clients/js/test/wait.ts";
import type { LiveMap } from "../../src/map/view.ts";
import { agrees } from "./agrees.ts";
import { HURRIED, Scene, says, useBrowser } from "./scene.ts";

useBrowser();

const viewport = { width: 900, height: 600 };
const HERE = "?at=13/52.52/13.4";
const shown = (page: Page) => page.evaluate(() => window.processorMap!.state.shown);

/** Where on the page a device is drawn. */
async function spot(page: Page, id: string): Promise<{ x: number; y: number }> {
  const frame = (await page.locator("#map").boundingBox())!;
  const { x, y } = await page.evaluate((id) => window.processorMap!.map!.drawn().get(id)!, id);
  return { x: frame.x + x, y: frame.y + y };
}

/** The map is at rest. */
const atRest = (page: Page) => until("the map to rest", () => page.evaluate(() => !(window.processorMap!.map as LiveMap).mapLibre.isMoving()));

test("a click selects, follow keeps it in the middle, a drag ends that visibly, a click beside it closes the card", async () => {
  const scene = await Scene.start();
  await scene.post({ device_id: "van", latitude: 52.521, longitude: 13.401 });
  const page = await scene.open(HERE, { viewport, reducedMotion: "reduce" });
  await agrees(page, scene.truth);
  const { x, y } = await spot(page, "van");
  await page.mouse.click(x, y);
  await says(page, ".card h2", /^van$/);
  await page.getByRole("button", { name: "Follow" }).click();
  const { width, height } = (await page.locator("#map").boundingBox())!;
  const isInMiddle = () => page.evaluate(([width, height]) => {
    const { x, y } = window.processorMap!.map!.drawn().get("van")!;
    return Math.hypot(x - width! / 2, y - height! / 2) < 2;
  }, [width, height]);
  await until("the view to be with it", isInMiddle);
  await scene.post({ device_id: "van", latitude: 52.524, longitude: 13.41 });
  await until("the view to have gone with it", async () => (await page.evaluate(() => window.processorMap!.fleet.devices.get("van")!.fix.position.longitude)) === 13.41 && isInMiddle());
  const middle = await spot(page, "van");
  await page.mouse.move(middle.x + 100, middle.y + 100);
  await page.mouse.down();
  await page.mouse.move(middle.x + 20, middle.y + 40, { steps: 6 });
  await page.mouse.up();
  await says(page, ".card-said", /^No longer following$/);
  assert.equal((await shown(page)).follow, false);
  assert.equal(await page.getByRole("button", { name: "Follow" }).getAttribute("aria-pressed"), "false");
  await atRest(page);
  const before = await page.evaluate(() => window.processorMap!.map!.view());
  await scene.post({ device_id: "van", latitude: 52.526, longitude: 13.411 });
  await agrees(page, scene.truth);
  assert.deepEqual(await page.evaluate(() => window.processorMap!.map!.view()), before, "the view stays");
  const beside = await spot(page, "van");
  await page.mouse.click(beside.x + 60, beside.y + 60);
  await until("the card to close", async () => (await shown(page)).selected === undefined);
});

test("what is selected has a trail from when the page was opened", async () => {
  const scene = await Scene.start();
  // As fast as a car: what is faster is a jump, which a trail shows as a gap.
  const begin = Date.now() - 100_000, at = (step: number) => new Date(begin + step * 15_000).toISOString();
  await scene.post({ device_id: "van", timestamp: at(0), latitude: 52.52, longitude: 13.39 });
  const page = await scene.open(HERE, { viewport, reducedMotion: "reduce" });
  for (let step = 1; step <= 5; step++) {
    await scene.post({ device_id: "van", timestamp: at(step), latitude: 52.52, longitude: 13.39 + step * 0.004 });
    await agrees(page, scene.truth);
  }
  /** How many columns between the first fix and the last have the trail's colour on the line between them. */
  const columns = async () => {
    const from = await page.evaluate(() => (window.processorMap!.map as LiveMap).mapLibre.project([13.39, 52.52]));
    const frame = (await page.locator("#map").boundingBox())!, to = await spot(page, "van"), x = frame.x + from.x + 15;
    const picture = (await page.screenshot({ clip: { x, y: to.y - 6, width: to.x - 25 - x, height: 12 } })).toString("base64");
    return page.evaluate(async (picture) => {
      const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0)), image = await createImageBitmap(new Blob([bytes]));
      const brush = new OffscreenCanvas(image.width, image.height).getContext("2d")!;
      brush.drawImage(image, 0, 0);
      let found = 0;
      for (let column = 0; column < image.width; column++) {
        const { data } = brush.getImageData(column, 0, 1, image.height);
        for (let at = 0; at < data.length; at += 4) if (data[at + 2]! - data[at]! > 60) { found += 1; break; }
      }
      return found / image.width;
    }, picture);
  };
  await until("nothing to be there, as nothing is selected", async () => (await columns()) === 0);
  await page.evaluate(() => window.processorMap!.state.set({ selected: "van" }));
  await until("the trail", async () => (await columns()) > 0.9);
});

test("a link shows the same in another tab: view, selection, follow, events, filter", async () => {
  const scene = await Scene.start();
  await scene.post(
    { device_id: "in", latitude: 52.52, longitude: 13.4, topics: ["event:rally 42"] }, { device_id: "out", latitude: 52.521, longitude: 13.4 },
    { device_id: "far", latitude: 40, longitude: -3, topics: ["event:rally 42"] });
  const page = await scene.open(HERE, { viewport, reducedMotion: "reduce" });
  await agrees(page, scene.truth);
  await page.fill("#event-name", "rally 42");
  await page.press("#event-name", "Enter");
  await says(page, ".chips", /^rally 42\s+2$/);
  await page.check("#events-only");
  await page.evaluate(() => {
    window.processorMap!.state.set({ selected: "in" });
    window.processorMap!.map!.go({ zoom: 15.5 });
  });
  await page.keyboard.press("Escape");
  await page.evaluate(() => window.processorMap!.state.set({ selected: "in", follow: true }));
  await until("the URL to say so", async () => /at=15\.5.*device=in.*follow=1.*event=rally\+42.*only=1/.test(page.url()));
  const other = await scene.open(new URL(page.url()).search, { viewport, reducedMotion: "reduce" });
  // They make room for the card.
  await says(other, ".chips", /^rally 42\s*2$/);
  const [here, there] = [await shown(page), await shown(other)];
  assert.deepEqual({ ...there, view: undefined }, { ...here, view: undefined });
  for (const name of ["longitude", "latitude", "zoom", "bearing"] as const) assert.ok(Math.abs(there.view![name] - here.view![name]) < 0.01, name);
  await says(other, ".card h2", /^in$/);
  assert.deepEqual(await other.evaluate(() => [...window.processorMap!.map!.drawn().keys()].sort()), ["far", "in"]);
});

test("events: a colour each, counted, those only, and who leaves is gone", async () => {
  const scene = await Scene.start();
  const at = (i: number) => ({ latitude: 52.52 + i / 1000, longitude: 13.4 });
  await scene.post({ device_id: "a", ...at(0), topics: ["event:one"] }, { device_id: "b", ...at(1), topics: ["event:two", "event:one"] }, { device_id: "c", ...at(2) });
  const page = await scene.open(`${HERE}&event=one&event=two`, { viewport });
  await says(page, ".chips", /^one\s+2\s+two\s+1$/);
  await says(page, "#list-count", /^3 devices in view$/);
  const colors = () => page.locator(".row:not([hidden])").evaluateAll((rows) =>
    rows.map((row) => [row.querySelector(".row-name")!.textContent, row.querySelector(".mark")!.getAttribute("data-color")]).sort());
  const [a, b, c] = await colors();
  assert.equal(a![1], b![1], "the colour of the first event that was asked for");
  assert.notEqual(a![1], c![1]);
  await page.getByRole("button", { name: "Remove event one" }).click();
  await until("their colours to change", async () => {
    const [now, two, none] = await colors();
    return now![1] === none![1] && two![1] !== none![1];
  });
  await page.check("#events-only");
  await says(page, "#list-count", /^1 device in view$/);
  assert.deepEqual(await page.evaluate(() => [...window.processorMap!.map!.drawn().keys()]), ["b"]);
  await scene.post({ device_id: "b", ...at(1) });
  await says(page, "#list-count", /^0 devices in view$/);
  await page.uncheck("#events-only");
  await says(page, "#list-count", /^3 devices in view$/);
  await agrees(page, scene.truth);
});

test("an event that the server refuses says why; the others work", async () => {
  const scene = await Scene.start({ LIVE_WS_MAX_SUBSCRIPTIONS: "2" });
  await scene.post({ device_id: "a", latitude: 52.52, longitude: 13.4, topics: ["event:one"] });
  const page = await scene.open(`${HERE}&event=one`, { viewport });
  await says(page, ".chips", /^one\s+1$/);
  await page.fill("#event-name", "two");
  await page.press("#event-name", "Enter");
  await says(page, ".chip.refused", /^two\s+0\s+Refused: .*subscriptions/);
  await page.getByRole("button", { name: "Remove event one" }).click();
  await says(page, ".chips", /^two\s+0$/);
  await agrees(page, scene.truth);
});

test("fit all shows all devices, wherever they are, also over the antimeridian", async () => {
  const scene = await Scene.start();
  await scene.post({ device_id: "fiji", latitude: -17.7, longitude: 178 }, { device_id: "samoa", latitude: -13.8, longitude: -171.8 });
  const page = await scene.open(HERE, { viewport, reducedMotion: "reduce" });
  await says(page, "#list-count", /^0 devices in view$/);
  await page.keyboard.press("a");
  await says(page, "#list-count", /^2 devices in view$/);
  await atRest(page);
  const { zoom, longitude } = await page.evaluate(() => window.processorMap!.map!.view());
  assert.ok(zoom > 3 && Math.abs(longitude) > 170, `${zoom} ${longitude}`);
  await agrees(page, scene.truth);
});

test("dark and light, by key and by system", async () => {
  const scene = await Scene.start();
  await scene.post({ device_id: "a", latitude: 52.52, longitude: 13.4 });
  const page = await scene.open(HERE, { viewport, colorScheme: "dark" });
  const look = () => page.evaluate(() => ({ theme: document.documentElement.dataset["theme"], panel: getComputedStyle(document.querySelector("#panel")!).backgroundColor }));
  /** The colour of the sea. */
  const sea = () => page.evaluate(() => {
    const { layers } = (window.processorMap!.map as LiveMap).mapLibre.getStyle() ?? { layers: [] };
    return String((layers[0]?.paint as Record<string, unknown> | undefined)?.["background-color"]);
  });
  await until("the map to be dark", async () => (await sea()) === "#11181f");
  const dark = await look();
  assert.equal(dark.theme, "dark");
  await page.keyboard.press("d");
  const light = await look();
  assert.equal(light.theme, "light");
  assert.notEqual(light.panel, dark.panel);
  await until("the map to be light", async () => (await sea()) === "#cfdde6");
  await until("the URL to say so", async () => page.url().includes("theme=light"));
  await agrees(page, scene.truth);
});

test("more devices in view than the server sends: says how many, shows none, and all of them from where they are few enough", async () => {
  const scene = await Scene.start({ LIVE_WS_MAX_AREA_DEVICES: "5" });
  await scene.post(...Array.from({ length: 12 }, (_, i) => ({ device_id: `van-${i}`, latitude: 52.5 + (i % 4) / 100, longitude: 13.3 + i / 50 })));
  const page = await scene.open("?at=10/52.52/13.4", { viewport, reducedMotion: "reduce", init: HURRIED });
  const drawn = () => page.evaluate(() => window.processorMap!.map!.drawn().size);
  const notice = /^12 devices are in view, more than the server sends at once \(5\)\. Zoom in to see them\.$/;
  await says(page, ".notices", notice);
  assert.equal(await drawn(), 0);
  await page.evaluate(() => window.processorMap!.map!.go({ longitude: 13.34, latitude: 52.51, zoom: 12.5 }));
  await until("the notice to go", async () => !(await page.locator(".notices .warning").first().isVisible()));
  await agrees(page, scene.truth);
  const box = await page.evaluate(() => window.processorMap!.map!.box());
  const inside = [...scene.truth.devices.values()].filter((position) => isInside(box, position)).length;
  assert.ok(inside >= 2 && inside <= 5, `${inside}`);
  await page.evaluate(() => window.processorMap!.map!.go({ longitude: 13.4, latitude: 52.52, zoom: 10 }));
  await says(page, ".notices", notice);
  await until("none to be drawn", async () => (await drawn()) === 0);
  // When some have left, it finds out.
  await scene.post(...Array.from({ length: 8 }, (_, i) => ({ device_id: `van-${i}`, latitude: 0, longitude: 0 })));
  await until("the notice to go", async () => !(await page.locator(".notices .warning").first().isVisible()));
  await agrees(page, scene.truth);
});

test("on a phone: a tap selects, the sheet leaves the map its room", async () => {
  const scene = await Scene.start();
  await scene.post({ device_id: "van", latitude: 52.525, longitude: 13.4 });
  const page = await scene.open(HERE, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, reducedMotion: "reduce" });
  await agrees(page, scene.truth);
  const height = async () => (await page.locator("#map").boundingBox())!.height;
  assert.ok((await height()) > 600, `${await height()}`);
  const { x, y } = await spot(page, "van");
  await page.touchscreen.tap(x + 8, y);
  await says(page, ".card h2", /^van$/);
  assert.ok((await height()) > 300, `${await height()}`);
  const map = (await page.locator("#map").boundingBox())!, panel = (await page.locator("#panel").boundingBox())!;
  assert.ok(panel.y >= map.y + map.height - 24, "the sheet is below the map, but for its round corners");
  await page.tap(".card [aria-label=Close]");
  await until("the card to close", async () => (await shown(page)).selected === undefined);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
});
