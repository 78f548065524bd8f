// What is measured of a page in Chromium: its main thread, its processes, its memory, long tasks, the first devices.

import { readFile } from "node:fs/promises";
import { VIEW, WINDOW } from "./fleet.mjs";

/** Ticks of /proc/<pid>/stat a second. */
const TICKS = 100;

/** Runs in the page before anything of it: notes long tasks, and the first frame in which the layer draws devices. */
function watch() {
  const noted = (globalThis.bench = { long: [], events: 0 });
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) noted.long.push([startTime, duration]);
  }).observe({ type: "longtask", buffered: true });
  const draw = WebGL2RenderingContext.prototype.drawArrays;
  WebGL2RenderingContext.prototype.drawArrays = function (mode, first, count) {
    draw.call(this, mode, first, count);
    // Devices are points, and nothing else is.
    if (mode !== this.POINTS || count < 100) return;
    WebGL2RenderingContext.prototype.drawArrays = draw;
    requestAnimationFrame(() => setTimeout(() => performance.mark("first-devices")));
  };
}

/** Opens a page in a context of its own: nothing of it is in a cache. */
export async function open(browser, url, { still = false } = {}) {
  const context = await browser.newContext({ viewport: WINDOW, reducedMotion: still ? "reduce" : "no-preference" });
  const page = await context.newPage(), errors = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.addInitScript(watch);
  const cdp = await context.newCDPSession(page);
  const before = await processes(browser);
  await page.goto(url, { waitUntil: "commit" });
  await page.waitForFunction(() => performance.getEntriesByName("first-devices").length > 0, undefined, { timeout: 60_000, polling: 200 });
  return { page, cdp, errors, browser, before, close: () => context.close() };
}

/** The URL's query that shows the view of the bench. */
export const query = `?at=${VIEW.zoom}/${VIEW.latitude}/${VIEW.longitude}`;

/** Ms from navigation until the first devices could be seen. */
export const firstDevices = ({ page }) => page.evaluate(() => performance.getEntriesByName("first-devices")[0].startTime);

async function processes(browser) {
  const cdp = await browser.newBrowserCDPSession();
  const { processInfo } = await cdp.send("SystemInfo.getProcessInfo");
  await cdp.detach();
  return processInfo;
}

/** The process of a page: the renderer that has worked most since before it was opened. */
export async function rendererOf({ browser, before }) {
  const used = new Map(before.map(({ id, cpuTime }) => [id, cpuTime]));
  const all = (await processes(browser)).filter(({ type }) => type === "renderer");
  return all.sort((a, b) => b.cpuTime - (used.get(b.id) ?? 0) - (a.cpuTime - (used.get(a.id) ?? 0)))[0].id;
}

async function gpuOf(browser) {
  return (await processes(browser)).find(({ type }) => type === "GPU")?.id;
}

/** CPU time of a thread of the kernel in ms, or of all of a process. */
async function cpu(pid, thread = false) {
  if (thread) return Number((await readFile(`/proc/${pid}/task/${pid}/schedstat`, "utf8")).split(" ")[0]) / 1e6;
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1].split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1000;
}

/** Chromium's own accounting of the page's main thread since it was made, ms (elapsed, not CPU). */
async function metrics(cdp) {
  const { metrics: all } = await cdp.send("Performance.getMetrics");
  const of = (name) => all.find((metric) => metric.name === name).value * 1000;
  return { at: of("Timestamp"), task: of("TaskDuration"), script: of("ScriptDuration"), style: of("LayoutDuration") + of("RecalcStyleDuration") };
}

/** What one second costs, over so many of them: medians, in ms. */
export async function seconds(opened, count, counters) {
  const { cdp, page, browser } = opened, renderer = await rendererOf(opened), gpu = await gpuOf(browser);
  await cdp.send("Performance.enable", { timeDomain: "timeTicks" });
  const look = async () => ({
    ...(await metrics(cdp)), main: await cpu(renderer, true), renderer: await cpu(renderer), gpu: gpu ? await cpu(gpu) : 0, ...(await counters()),
  });
  const rows = [], from = await page.evaluate(() => performance.now());
  let before = await look();
  for (let index = 0; index < count; index++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const now = await look(), seconds = (now.at - before.at) / 1000;
    rows.push(Object.fromEntries(Object.keys(now).map((name) => [name, (now[name] - before[name]) / seconds])));
    before = now;
  }
  await cdp.send("Performance.disable");
  const out = Object.fromEntries(Object.keys(rows[0]).map((name) => [name, median(rows.map((row) => row[name]))]));
  return { ...out, long: await longTasks(page, from) };
}

/** Tasks over 50 ms since a time: their lengths. */
export async function longTasks(page, from) {
  const all = await page.evaluate(() => globalThis.bench.long);
  return all.filter(([start]) => start >= from).map(([, duration]) => duration);
}

/** Drags the map around for so many ms; gives the long tasks of that time. */
export async function pan({ page }, ms) {
  const from = await page.evaluate(() => performance.now()), end = Date.now() + ms;
  const middle = { x: WINDOW.width * 0.65, y: WINDOW.height / 2 };
  await page.mouse.move(middle.x, middle.y);
  await page.mouse.down();
  for (let angle = 0; Date.now() < end; angle += 0.06) {
    await page.mouse.move(middle.x + 180 * Math.sin(angle), middle.y + 120 * Math.sin(angle * 1.7));
    await new Promise((resolve) => setTimeout(resolve, 16));
  }
  await page.mouse.up();
  return longTasks(page, from);
}

/** MB: the JavaScript heap after a collection (with array buffers), and what the page's process has for itself alone. */
export async function memory(opened) {
  const { cdp } = opened, renderer = await rendererOf(opened);
  await cdp.send("HeapProfiler.collectGarbage");
  await cdp.send("HeapProfiler.collectGarbage");
  const { usedSize, backingStorageSize = 0 } = await cdp.send("Runtime.getHeapUsage");
  const rollup = await readFile(`/proc/${renderer}/smaps_rollup`, "utf8");
  const kb = [...rollup.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)].reduce((sum, [, value]) => sum + Number(value), 0);
  return { heap: usedSize / 1e6, buffers: backingStorageSize / 1e6, process: kb / 1000 };
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
