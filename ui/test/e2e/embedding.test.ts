// The pages of docs/embedding.md: maps of other people's making, as they stand there, with the real server.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";
import { AUTH, SECRET } from "../../../clients/js/test/jwt.ts";
import { Server } from "../../../clients/js/test/server.ts";
import { until } from "../../../clients/js/test/wait.ts";
import { freePort } from "../port.ts";

const project = join(import.meta.dirname, "../../..");
/** What a map's style can be: nothing but a ground. */
const STYLE = JSON.stringify({ version: 8, sources: {}, layers: [{ id: "ground", type: "background", paint: { "background-color": "#eee" } }] });

let server: Server;
let browser: Browser;
before(async () => {
  server = await Server.start();
  browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium" });
});
after(async () => {
  await browser.close();
  await server[Symbol.asyncDispose]();
});

/** Opens an example: its libraries come from where npm put them, its server's addresses are those of this one. */
async function open(name: string): Promise<{ page: Page; errors: string[]; close(): Promise<void> }> {
  const text = await readFile(join(project, "examples", `${name}.html`), "utf8");
  const here = text.replace("127.0.0.1:8080", `127.0.0.1:${server.web}`).replace("127.0.0.1:8081", `127.0.0.1:${server.live}`);
  assert.ok(here.includes(`:${server.web}/client.js`) && here.includes(`:${server.live}/`));
  const site = createServer((_, response) => response.setHeader("content-type", "text/html").end(here));
  await once(site.listen(0, "127.0.0.1"), "listening");
  const context = await browser.newContext({ viewport: { width: 640, height: 480 } });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.route("https://unpkg.com/**", (route) => {
    // unpkg.com/<name>@<version>/<file>
    const [, library, version, file] = /unpkg\.com\/([^@]+)@([^/]+)\/([^?]+)/.exec(route.request().url()) ?? [];
    const { version: installed } = JSON.parse(packages.get(library ?? "") ?? "{}");
    assert.equal(version, installed, `${library}: the example's version is the one that is tried here`);
    return route.fulfill({ path: join(project, "ui/node_modules", library ?? "", file ?? ""), headers: { "access-control-allow-origin": "*" } });
  });
  await page.route("https://demotiles.maplibre.org/**", (route) => route.fulfill({ contentType: "application/json", body: STYLE, headers: { "access-control-allow-origin": "*" } }));
  await page.route("https://tile.openstreetmap.org/**", (route) => route.fulfill({ contentType: "image/svg+xml", body: `<svg xmlns="http://www.w3.org/2000/svg"/>` }));
  await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
  return {
    page, errors,
    async close() {
      await context.close();
      site.closeAllConnections();
      site.close();
    },
  };
}

/** How far from the left edge, in pixels, the westernmost device of the MapLibre page is drawn. */
async function dot(page: Page): Promise<number | undefined> {
  const picture = (await page.screenshot()).toString("base64");
  return page.evaluate(async (picture) => {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes])), { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext("2d")!;
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    for (let x = 0; x < width; x++) {
      for (let y = 0; y < height; y++) {
        const at = (y * width + x) * 4;
        // #1f6feb
        if (data[at] === 0x1f && data[at + 1] === 0x6f && data[at + 2] === 0xeb) return x;
      }
    }
    return undefined;
  }, picture);
}

test("the page that gets its token from a backend shows the event that the token allows, as docs/embedding.md has both", async () => {
  const guide = await readFile(join(project, "docs/embedding.md"), "utf8"), folder = await mkdtemp(join(tmpdir(), "tokens-"));
  const guarded = await Server.start(AUTH);
  const port = await freePort();
  for (const [name, language] of [["tokens.mjs", "js"], ["tokens.html", "html"]] as const) {
    const text = (await readFile(join(project, "examples", name), "utf8"));
    assert.ok(guide.includes(`\`\`\`${language}\n${text.trimEnd()}\n\`\`\``), name);
    const here = text.replace("127.0.0.1:8080", `127.0.0.1:${guarded.web}`).replace("127.0.0.1:8081", `127.0.0.1:${guarded.live}`).replace("3000", String(port));
    assert.notEqual(here, text);
    await writeFile(join(folder, name), here);
  }
  await guarded.post({ device_id: "t1", latitude: 52.52, longitude: 13.4, topics: ["event:demo"] }, { device_id: "t2", latitude: 52.52, longitude: 13.4 });
  const backend = spawn(process.execPath, [join(folder, "tokens.mjs")], { env: { AUTH_JWT_SECRET: SECRET }, stdio: "inherit" });
  const context = await browser.newContext(), page = await context.newPage(), errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  try {
    await until("the backend", () => fetch(`http://127.0.0.1:${port}/`).then(({ ok }) => ok, () => false));
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.waitForFunction(() => document.title === "connected" && document.querySelector("#devices")!.textContent === "t1");
    await guarded.post({ device_id: "t3", latitude: 52.52, longitude: 13.4, topics: ["event:demo"] });
    await page.waitForFunction(() => document.querySelectorAll("#devices li").length === 2);
    await guarded.revoke({ subject: "ann" });
    await page.waitForFunction(() => !["connected", "connecting", "waiting"].includes(document.title));
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
    backend.kill();
    await guarded[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  }
});

const packages = new Map<string, string>();
before(async () => {
  for (const name of ["maplibre-gl", "leaflet"]) packages.set(name, await readFile(join(project, "ui/node_modules", name, "package.json"), "utf8"));
});

test("the MapLibre page draws what is in view, and what comes into view", async () => {
  await server.post({ device_id: "m1", latitude: 52.52, longitude: 13.4 }, { device_id: "m2", latitude: 48.2, longitude: 16.4 });
  const { page, errors, close } = await open("maplibre");
  await page.waitForFunction(() => document.title === "connected");
  // Of a module nothing is global, so the picture is looked at.
  const first = await until("a device on the map", () => dot(page));
  await server.post({ device_id: "m1", latitude: 52.52, longitude: 13.45 });
  await until("it to move east", async () => ((await dot(page)) ?? 0) > first + 50);
  await page.mouse.move(320, 240);
  await page.mouse.down();
  await page.mouse.move(620, 240, { steps: 5 });
  await page.mouse.up();
  await server.post({ device_id: "m3", latitude: 52.52, longitude: 13.2 });
  await until("one that is in view since the map was moved", async () => ((await dot(page)) ?? 640) < first);
  assert.deepEqual(errors, []);
  await close();
});

test("the Leaflet page has a marker for each device of the event, and none for those that left", async () => {
  const here = { latitude: 52.52, longitude: 13.4 };
  await server.post({ device_id: "<img src=x onerror=alert(1)>", ...here, topics: ["event:demo"] }, { device_id: "l2", ...here, topics: ["event:demo"] });
  const { page, errors, close } = await open("leaflet");
  const markers = page.locator("path.leaflet-interactive");
  const count = (n: number) => page.waitForFunction((n) => document.querySelectorAll("path.leaflet-interactive").length === n, n);
  await count(2);
  await markers.first().hover({ force: true });
  await page.waitForFunction(() => document.querySelector(".leaflet-tooltip b")?.textContent !== undefined);
  const path = await markers.last().getAttribute("d");
  await server.post({ device_id: "l2", latitude: 52.53, longitude: 13.45, topics: ["event:demo"] });
  await page.waitForFunction((path) => [...document.querySelectorAll("path.leaflet-interactive")].at(-1)?.getAttribute("d") !== path, path);
  await server.post({ device_id: "l2", ...here });
  await count(1);
  assert.deepEqual(errors, []);
  await close();
});
