// The page where things are otherwise: in another page's frame, with the operator's base map, without WebGL2; and accessibility.

import assert from "node:assert/strict";
import { readFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Frame, Page } from "playwright-core";
import { until } from "../../../clients/js/test/wait.ts";
import type { LiveMap } from "../../src/map/view.ts";
import { pmtiles } from "../pmtiles.ts";
import { agrees } from "./agrees.ts";
import { Scene, disposeLater, openPage, ready, says, useBrowser } from "./scene.ts";

/** What is said of the base map; the notice before it says what may be seen. */
const MAP_NOTICE = ".notices .info ~ .info";

useBrowser();

const viewport = { width: 900, height: 600 };
const HERE = "?at=12/52.52/13.4";
const van = { device_id: "van", latitude: 52.52, longitude: 13.4, speed: 10, heading: 20, attributes: { name: "Van 17" } };

/** Another web server: files by path, and the paths that were asked for. */
async function site(files: Record<string, string | Buffer | undefined>): Promise<{ origin: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://x").pathname, body = files[path];
    asked.push(path);
    const type = path.endsWith(".json") ? "application/json" : path.endsWith(".png") ? "image/png" : "text/html";
    response.writeHead(body === undefined ? 404 : 200, { "content-type": type, "access-control-allow-origin": "*" }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  disposeLater(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

// In a frame

/** A page of another origin with the map in a frame. */
const framing = (url: string) => `<!doctype html><title>x</title><link rel="icon" href="data:,"><body><iframe src="${url}" title="map" width="600" height="400"></iframe>`;

test("in a frame of an origin that the operator allows: the map without list and controls, and the way to the full page", async () => {
  const files: Record<string, string> = {}, { origin } = await site(files);
  const scene = await Scene.start({ WEB_FRAME_ANCESTORS: origin.replace("127.0.0.1", "other.test") });
  await scene.post(van);
  files["/"] = framing(`${scene.url}${HERE}&embed=1`);
  const page = await openPage(origin.replace("127.0.0.1", "other.test"), { viewport });
  const frame = await until("the frame", () => page.frames().find((frame) => frame.url().startsWith(scene.url)));
  await ready(frame);
  await agrees(frame, scene.truth);
  assert.equal(await frame.locator("#list, .search, .buttons, .events").count(), 0);
  assert.equal(await frame.locator(".status").isVisible(), false);
  const [map, outer] = [(await frame.locator("#map").boundingBox())!, (await page.locator("iframe").boundingBox())!];
  assert.ok(Math.abs(map.width - outer.width) < 10 && Math.abs(map.height - outer.height) < 10, "all of the frame");
  const { x, y } = await frame.evaluate(() => window.processorMap!.map!.drawn().get("van")!);
  await page.mouse.click(map.x + x, map.y + y);
  await says(frame, ".card h2", /^Van 17$/);
  await until("the link to have the selection", async () => /device=van/.test((await frame.locator(".full-page").getAttribute("href"))!));
  const [full] = await Promise.all([page.context().waitForEvent("page"), frame.locator(".full-page").click()]);
  await ready(full);
  await says(full, ".card h2", /^Van 17$/);
  assert.equal(await full.locator("#list").count(), 1);
});

test("in a frame of any other origin it is not shown", async () => {
  const files: Record<string, string> = {}, { origin } = await site(files);
  for (const allowed of [undefined, "https://allowed.example"]) {
    const scene = await Scene.start(allowed === undefined ? {} : { WEB_FRAME_ANCESTORS: allowed });
    files["/"] = framing(`${scene.url}${HERE}&embed=1`);
    const refused: string[] = [];
    const page = await openPage(origin, { expected: /frame-ancestors/ });
    page.on("console", (message) => message.type() === "error" && refused.push(message.text()));
    await page.reload();
    await until("the browser to refuse", () => refused.some((text) => text.includes("frame-ancestors")));
    const frame = await until("the frame", () => page.frames()[1]);
    assert.equal(await frame.evaluate(() => window.processorMap === undefined && document.querySelector("#map") === null), true);
  }
});

// The operator's base map

/** A style of one colour with a layer of tiles. */
const style = (color: string, tiles?: string) => JSON.stringify({
  version: 8, sources: tiles === undefined ? {} : { tiles: { type: "raster", tileSize: 256, tiles: [tiles] } },
  layers: [{ id: "theirs", type: "background", paint: { "background-color": color } }, ...(tiles === undefined ? [] : [{ id: "tiles", type: "raster", source: "tiles" }])],
});
/** One pixel. */
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAX+XDSwAAAABJRU5ErkJggg==", "base64");
const layers = (page: Page) => page.evaluate(() => ((window.processorMap!.map as LiveMap).mapLibre.getStyle()?.layers ?? []).map(({ id }) => id));

test("the operator's styles, light and dark, and tiles from an origin that is allowed, pass the policy", async () => {
  const tiles = await site({ "/tile.png": PNG });
  const styles = await site({ "/light.json": style("#aa00aa", `${tiles.origin}/tile.png?{z}/{x}/{y}`), "/dark.json": style("#440044") });
  const scene = await Scene.start({
    WEB_MAP_STYLE_URL: `${styles.origin}/light.json`, WEB_MAP_STYLE_DARK_URL: `${styles.origin}/dark.json`, WEB_MAP_ORIGINS: tiles.origin,
  });
  await scene.post(van);
  const page = await scene.open(HERE, { viewport });
  await until("their layers", async () => (await layers(page)).join() === "theirs,tiles");
  await until("their tiles", () => tiles.asked.includes("/tile.png"));
  await agrees(page, scene.truth);
  await page.keyboard.press("d");
  await until("their dark layers", async () => (await layers(page)).join() === "theirs");
  assert.ok(styles.asked.includes("/dark.json"));
  assert.equal(await page.locator(MAP_NOTICE).isVisible(), false);
});

test("a style that fails, or whose tiles come from where the policy does not allow: the built-in map, and a notice", async () => {
  const other = await site({ "/tile.png": PNG });
  const styles = await site({ "/style.json": style("#aa00aa", `${other.origin}/tile.png?{z}/{x}/{y}`) });
  for (const [path, expected] of [["missing.json", /Failed to load resource/], ["style.json", /Content Security Policy|securitypolicyviolation|Failed to fetch/]] as const) {
    const scene = await Scene.start({ WEB_MAP_STYLE_URL: `${styles.origin}/${path}` });
    await scene.post(van);
    const page = await scene.open(HERE, { viewport, expected });
    await says(page, MAP_NOTICE, /could not be loaded.*built-in/);
    await until("the built-in layers", async () => (await layers(page)).includes("land"));
    await agrees(page, scene.truth);
  }
  assert.deepEqual(other.asked, [], "nothing was loaded from there");
});

test("the operator's PMTiles file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tiles-"));
  disposeLater(() => rm(folder, { recursive: true }));
  const file = join(folder, "world.pmtiles");
  await writeFile(file, pmtiles());
  const scene = await Scene.start({ WEB_PMTILES_FILE: file });
  await scene.post(van);
  const page = await scene.open("?at=1/52.52/13.4", { viewport });
  await until("its layers", async () => (await layers(page)).includes("earth"));
  await until("its tiles", () => page.evaluate(() => (window.processorMap!.map as LiveMap).mapLibre.areTilesLoaded()));
  assert.equal(await page.locator(MAP_NOTICE).isVisible(), false);
  await agrees(page, scene.truth);
});

// Without WebGL2

test("without WebGL2: a plain message, and a list of the whole world that works", async () => {
  const scene = await Scene.start();
  await scene.post(van, { device_id: "far", latitude: -40, longitude: 170 }, { device_id: "pole", latitude: 90, longitude: 0 });
  const init = `if (globalThis.document) { const real = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext = function (kind, ...rest) { return kind.startsWith("webgl") ? null : real.call(this, kind, ...rest); }; }`;
  const page = await scene.open(HERE, { viewport, init });
  await says(page, "#map", /^The map cannot be shown\s+this browser has no WebGL2/i);
  await says(page, "#list-count", /^3 devices$/);
  await page.click(".row >> nth=0");
  await says(page, ".card .facts", /Coordinates/);
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  await page.keyboard.type("far");
  await says(page, "#list-count", /^1 device found$/);
  await page.keyboard.press("Escape");
  await scene.post({ device_id: "new", latitude: 0, longitude: -100 });
  await says(page, "#list-count", /^4 devices$/);
  await says(page, ".status", /^Connected\s+last update/);
});

// Nothing at all

test("a page whose server does not answer says why it could not start", async () => {
  const scene = await Scene.start();
  const page = await openPage(scene.url, { expected: /config\.json|Failed to load resource/ });
  await page.route("**/config.json", (route) => route.fulfill({ status: 503, body: "" }));
  await page.reload();
  await says(page, "#map", /could not (start|be opened)[^]*503/);
});

test("a page whose connection cannot even be begun says so", async () => {
  const scene = await Scene.start();
  const page = await openPage(scene.url, { viewport, expected: /Failed to load resource/ });
  await page.route(/\/assets\/feed-/, (route) => route.fulfill({ status: 404, body: "" }));
  await page.reload();
  await says(page, ".status", /^Closed: a part of the page could not be loaded\s+load the page again to connect$/);
});

// Accessibility

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function violations(page: Page | Frame): Promise<string[]> {
  // Through the debugger, as the policy lets no script in.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[]; passes: unknown[] }> } };
    const { violations, passes } = await axe.run();
    if (passes.length < 10) throw new Error(`${passes.length} rules passed`);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join(" | ")}`);
  });
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`accessibility without violations, ${colorScheme}: list, card, frame, phone`, async () => {
    const scene = await Scene.start();
    await scene.post({ ...van, topics: ["event:rally"] }, { ...van, device_id: "other", latitude: 52.53 });
    for (const [query, options] of [
      [`${HERE}&event=rally`, { viewport }], [`${HERE}&event=rally&device=van&follow=1`, { viewport }], [`${HERE}&device=van&embed=1`, { viewport }],
      [`${HERE}&device=van`, { viewport: { width: 390, height: 844 }, hasTouch: true }],
    ] as const) {
      const page = await scene.open(query, { ...options, colorScheme, reducedMotion: "reduce" });
      await agrees(page, scene.truth);
      if (query.includes("device=")) await says(page, ".card h2", /^Van 17$/);
      await until("the map to be loaded", () => page.evaluate(() => (window.processorMap!.map as LiveMap).mapLibre.loaded()));
      assert.deepEqual(await violations(page), [], query);
      await page.context().close();
    }
  });
}
