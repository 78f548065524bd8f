// The connection goes and comes back: the page says so, and is true again afterwards.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { until } from "../../../clients/js/test/wait.ts";
import { keptPorts } from "../port.ts";
import { agrees } from "./agrees.ts";
import { CONNECTION_ERROR, feedOf, HURRIED, Scene, says, useBrowser } from "./scene.ts";

useBrowser();

const HERE = "?at=12/52.52/13.4";
const CONNECTED = /^Connected\s+last update/;
const AWAY = /^(Not connected|Connecting)/;
const expected = CONNECTION_ERROR;
const near = (i: number) => ({ device_id: `van-${i}`, latitude: 52.5 + i / 1000, longitude: 13.38 + i / 1000 });
const far = (i: number) => ({ device_id: `van-${i}`, latitude: -20 - i, longitude: 40 });

/** Posts while the page is away: one moves, one goes far away, one comes. */
async function meanwhile(scene: Scene): Promise<void> {
  await scene.post({ ...near(0), latitude: 52.53 }, far(1), near(50));
}

/** All is well again, and goes on. */
async function isBack(page: Page, scene: Scene): Promise<void> {
  await says(page, ".status", CONNECTED);
  await agrees(page, scene.truth);
  assert.equal(await page.evaluate(() => window.processorMap!.fleet.devices.has("van-1")), false, "it has left");
  await scene.post({ ...near(2), latitude: 52.54 });
  await agrees(page, scene.truth);
  await says(page, ".status", /^Connected\s+last update (just now|\ds ago|\d s ago)$/);
}

async function opened(scene: Scene): Promise<Page> {
  await scene.post(...Array.from({ length: 20 }, (_, i) => near(i)));
  const page = await scene.open(HERE, { expected });
  await agrees(page, scene.truth);
  await says(page, ".status", CONNECTED);
  return page;
}

/** What the status line says from now on, each text once. */
async function statusTexts(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const texts: string[] = [], line = document.querySelector<HTMLElement>(".status")!;
    const note = () => texts.at(-1) !== line.innerText && texts.push(line.innerText);
    note();
    new MutationObserver(note).observe(line, { subtree: true, childList: true, characterData: true });
    Object.assign(window, { texts });
  });
  return () => page.evaluate(() => (window as unknown as { texts: string[] }).texts);
}

for (const [name, signal] of [["drained", "SIGTERM"], ["killed", "SIGKILL"]] as const) {
  test(`the server is ${name} and started again: the page says so, counts down, and is true again`, async () => {
    const scene = await Scene.start(await keptPorts());
    const page = await opened(scene), texts = await statusTexts(page);
    await scene.server.stop(signal);
    await says(page, ".status", AWAY);
    // What was known stays to be seen.
    assert.equal(await page.evaluate(() => window.processorMap!.map!.drawn().size), 20);
    await until("the next attempt to be announced", async () => (await texts()).some((text) => /Not connected: .+\s+trying again( in \d+ s)?$/.test(text)));
    await scene.server.run();
    await meanwhile(scene);
    await isBack(page, scene);
  });
}

test("the last update grows old while nothing comes, and is young again", async () => {
  const scene = await Scene.start();
  const page = await opened(scene);
  await says(page, ".status", /last update ([3-9]|[1-5]\d) s ago$/);
  await scene.post(near(3));
  await says(page, ".status", /last update (just now|[12] s ago)$/);
});

test("the connection is cut: the page is true again at once", async () => {
  const scene = await Scene.throughProxy();
  const page = await opened(scene), texts = await statusTexts(page);
  scene.proxy.refusing = true;
  scene.proxy.cut();
  await says(page, ".status", AWAY);
  await meanwhile(scene);
  scene.proxy.refusing = false;
  await isBack(page, scene);
  assert.ok((await texts()).some((text) => text.startsWith("Not connected: ")), (await texts()).join("\n"));
});

test("the network freezes: the page finds out by itself", async () => {
  const scene = await Scene.throughProxy();
  const page = await scene.open(HERE, { expected, init: HURRIED });
  await scene.post(...Array.from({ length: 20 }, (_, i) => near(i)));
  await agrees(page, scene.truth);
  scene.proxy.frozen = true;
  await meanwhile(scene);
  await says(page, ".status", /^(Not connected: the server does not answer|Connecting)/);
  scene.proxy.frozen = false;
  await isBack(page, scene);
});

test("the network is slow: the page is sent fewer steps, is not cut, and is true in the end", async () => {
  const scene = await Scene.throughProxy({ LIVE_WS_OUTBOX_BYTES: "16384", LIVE_WS_PING_INTERVAL_MS: "1000", LIVE_WS_PONG_TIMEOUT_MS: "15000" });
  await scene.post(...Array.from({ length: 20 }, (_, i) => near(i)));
  // Each step is sent there.
  const page = await scene.open("?at=15/52.51/13.39", { expected, init: listening() });
  await agrees(page, scene.truth);
  const accepted = scene.proxy.accepted, cars = 100, rounds = 60;
  scene.proxy.delay = 2_000;
  scene.proxy.rate = 40_000;
  const round = (round: number) => scene.post(...Array.from({ length: cars }, (_, i) => ({ device_id: `car-${i}`, latitude: 52.51 + i / 1e5, longitude: 13.388 + round / 1e5, attributes: { note: noise() } })));
  for (let n = 0; n < rounds; n++) await round(n);
  await agrees(page, scene.truth);
  const steps = await feedOf(page).evaluate(() => (globalThis as unknown as { steps: number }).steps);
  assert.ok(steps >= cars && steps < (cars * rounds) * 0.7, `${steps} steps of ${cars * rounds}`);
  assert.equal(scene.proxy.accepted, accepted, "the connection is the same");
  await says(page, ".status", CONNECTED);
});

/** Text that cannot be compressed. */
const noise = () => randomBytes(200).toString("base64");

/** The page's feed counts the positions that come to it. */
function listening(): string {
  return `{ const Real = WebSocket; globalThis.steps = 0; globalThis.WebSocket = class extends Real { constructor(url) { super(url); this.addEventListener("message", ({ data }) => (globalThis.steps += data.split('"device_id"').length - 1)); } }; }`;
}
