// Makes the pictures of the map in docs/: `processor demo`, a courier selected, after a minute, light and dark.
// Needs the program that `cargo build` made, or that PROCESSOR names, and Chromium.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const project = join(import.meta.dirname, "..");
const program = process.env.PROCESSOR ?? join(project, "target/debug/processor");
/** How long devices drive, ms: so that there is a trail. */
const DRIVE = 60_000;
const SIZE = { width: 1200, height: 720 };

const server = spawn(program, ["demo"], {
  stdio: ["ignore", "pipe", "ignore"],
  env: { ...process.env, LIVE_WS_HOST: "127.0.0.1", LIVE_WS_PORT: "0", OPS_PORT: "0", WEB_PORT: "0" },
});
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
try {
  let address;
  for await (const line of createInterface({ input: server.stdout })) if ((address = /^open (\S+)/.exec(line)?.[1])) break;
  if (!address) throw new Error(`${program} demo did not start`);
  const pages = [];
  for (const colorScheme of ["light", "dark"]) {
    const page = await browser.newPage({ viewport: SIZE, colorScheme });
    await page.goto(`${address}?event=couriers`);
    await page.waitForFunction(() => window.processorMap?.fleet.devices.size >= 200);
    // Somebody who is on the way.
    await page.evaluate(() => {
      const { fleet, state } = window.processorMap;
      const couriers = [...fleet.devices.values()].filter(({ events, fix }) => events.has("couriers") && fix.position.speed > 5);
      state.set({ selected: couriers[0]?.id });
    });
    pages.push({ page, colorScheme });
  }
  await new Promise((resolve) => setTimeout(resolve, DRIVE));
  for (const { page, colorScheme } of pages) {
    await page.evaluate(() => {
      const { fleet, state, map } = window.processorMap, { position } = fleet.devices.get(state.shown.selected).fix;
      map.go({ zoom: 13.2, longitude: position.longitude, latitude: position.latitude });
    });
    await page.waitForTimeout(2_000);
    await page.screenshot({ path: join(project, `docs/map-${colorScheme}.png`) });
  }
} finally {
  await browser.close();
  server.kill("SIGINT");
}
