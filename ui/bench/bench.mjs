// The speed of the map page in headless Chromium with software WebGL, beside the same fleet drawn by MapLibre alone and by Leaflet.
// Prints a Markdown table. Arguments: see `usage`.

import { parseArgs } from "node:util";
import { cpus } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { firstDevices, median, memory, open, pan, query, seconds } from "./measure.mjs";
import { profile } from "./profile.mjs";
import { Server } from "../../clients/js/test/server.ts";
import { startFleet } from "./posting.mjs";
import { startSite } from "./site.mjs";
import { comparison, flatness, speeds, starts } from "./table.mjs";

const usage = `npm run bench --prefix ui -- [options]
  --sizes 1000,10000,50000   devices in view; "": none
  --subjects page,still,...  of: page, still (the page with reduced motion), setData, updateData, leaflet
  --seconds 8                seconds at rest that medians are of; panning takes half of them
  --minutes 1                how long memory is watched at --memory devices; 0: not at all
  --memory 10000
  --loads 5                  navigations of which the median is taken, at 1,000 devices; 0: none
  --sources                  the page built from the sources, instead of the one that the server has in it
  --profile                  prints what costs most on the page's main thread, instead of the tables
PROCESSOR: the server's program (default: target/release/processor)`;

const { values: options } = parseArgs({
  options: {
    sizes: { type: "string", default: "1000,10000,50000" }, subjects: { type: "string", default: "page,still,setData,updateData,leaflet" },
    seconds: { type: "string", default: "8" }, minutes: { type: "string", default: "1" }, memory: { type: "string", default: "10000" },
    loads: { type: "string", default: "5" }, sources: { type: "boolean", default: false }, profile: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
process.env.PROCESSOR ??= join(import.meta.dirname, "../../target/release/processor");

/** Graphics are drawn by the processor (SwiftShader), those of WebGL and the page's alike: otherwise each frame of a canvas is read back. */
const flags = (process.env.CHROMIUM_FLAGS ?? "--use-angle=swiftshader --enable-unsafe-swiftshader --ignore-gpu-blocklist").split(" ").filter(Boolean);

/** How each subject is opened: its path on the bench's own site, or on the page's. */
const subjects = {
  page: { path: query }, still: { path: query, still: true }, setData: { path: "geojson.html" }, updateData: { path: "geojson.html?update" },
  leaflet: { path: "leaflet.html" },
};

/** A server with a fleet of so many devices, the pages, and a browser, while `run` runs. */
async function withFleet(count, run) {
  const server = await Server.start({ LIVE_WS_MAX_AREA_DEVICES: String(2 * count) });
  const site = await startSite(server.live, { minify: !options.profile });
  const fleet = await startFleet(server, count);
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags, handleSIGTERM: false, handleSIGINT: false });
  const opened = (name) => {
    const { path, still } = subjects[name];
    const port = (name === "page" || name === "still") && !options.sources ? server.web : site.port;
    return open(browser, `http://127.0.0.1:${port}/${path}`, { still });
  };
  try {
    return await run({ server, fleet, opened, browser });
  } finally {
    await browser.close();
    await fleet.close();
    await site.close();
    await server[Symbol.asyncDispose]();
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One subject with one fleet. */
async function measure({ server, opened }, name) {
  const page = await opened(name);
  try {
    const first = await firstDevices(page);
    await pause(4000);
    const counters = async () => ({
      bytes: await server.counter("processor_live_deflate_bytes_total", 'direction="out",form="compressed"'),
      positions: await server.counter("processor_live_batched_positions_total"),
    });
    const rest = await seconds(page, Number(options.seconds), counters);
    const panning = await pan(page, (Number(options.seconds) * 1000) / 2);
    const used = await memory(page);
    if (page.errors.length > 0) console.error(name, page.errors.slice(0, 3));
    return { name, first, rest, panning, used };
  } finally {
    await page.close();
  }
}

/** Medians of navigations with nothing cached. */
async function loads({ opened }, name, times) {
  const all = [];
  for (let time = 0; time < times; time++) {
    const page = await opened(name);
    all.push(await firstDevices(page));
    await page.close();
  }
  return { name, median: median(all), most: Math.max(...all) };
}

/** The memory of the page, looked at every ten seconds. The first half minute does not count. */
async function watchMemory({ opened }, minutes) {
  const page = await opened("page"), samples = [];
  await pause(30_000);
  for (let at = 0; at <= minutes * 60; at += 10) {
    samples.push({ at, ...(await memory(page)) });
    if (at < minutes * 60) await pause(10_000);
  }
  await page.close();
  return samples;
}

async function main() {
  if (options.help) return console.log(usage);
  const sizes = options.sizes.split(",").map(Number).filter(Boolean), names = options.subjects.split(",");
  if (options.profile) {
    for (const count of sizes) await withFleet(count, async ({ opened }) => console.log(await profile(await opened(names[0]), Number(options.seconds))));
    return;
  }
  console.log(`${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0].model.trim()}, ${options.sources ? "page from the sources" : "the server's page"}\n`);
  for (const count of sizes) {
    const rows = [];
    const skipped = await withFleet(count, async (all) => {
      for (const name of names) rows.push(await measure(all, name).catch((error) => ({ name, error })));
      return all.fleet.skipped();
    });
    console.log(speeds(count, rows, skipped));
    console.log(comparison(rows));
  }
  if (Number(options.loads) > 0) {
    await withFleet(1000, async (all) => {
      const rows = [];
      for (const name of names) rows.push(await loads(all, name, Number(options.loads)));
      console.log(starts(rows));
    });
  }
  if (Number(options.minutes) > 0) {
    const count = Number(options.memory);
    await withFleet(count, async (all) => console.log(flatness(count, await watchMemory(all, Number(options.minutes)))));
  }
}

// Whatever ends it, ends what it has started.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
await main();
