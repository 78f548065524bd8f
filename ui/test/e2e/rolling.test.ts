// A rolling restart of two instances: on the map it is a blink of the connection's state, and nothing else.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../../../clients/js/test/wait.ts";
import { startInstances } from "./instances.ts";
import { CONNECTION_ERROR, openPage, ready, says, useBrowser } from "./scene.ts";

useBrowser();

const DEVICES = 30;
/** Longest time, ms, that a page may be without a connection: the server told it to come back within half a second, and a busy machine takes a while to connect it. */
const BLINK = 5_000;

test("a rolling restart is a blink of the connection's state", async () => {
  const instances = await startInstances({ LIVE_WS_DRAIN_TIMEOUT_MS: "8000", LIVE_WS_DRAIN_SPREAD_MS: "500", LIVE_WS_RECONNECT_SPREAD_MS: "500" });
  const [one, other] = instances.servers;
  let step = 0;
  const post = (to = instances.servers[instances.to]!) =>
    to.post(...Array.from({ length: DEVICES }, (_, i) => ({ device_id: `van-${i}`, latitude: 52.5 + i / 1000 + ++step / 1e7, longitude: 13.4 })));
  await post();
  const page = await openPage(`http://127.0.0.1:${other.web}/?at=12/52.52/13.4`, { expected: CONNECTION_ERROR });
  await ready(page);
  await until("all devices", () => page.evaluate((all) => window.processorMap!.map!.drawn().size === all, DEVICES));
  await says(page, ".status", /^Connected/);
  // What the page shows, looked at in each frame.
  await page.evaluate((all) => {
    const seen = { away: 0, since: 0, longest: 0, blinks: 0, fewest: all };
    const look = () => {
      const isAway = !document.querySelector<HTMLElement>(".status")!.innerText.startsWith("Connected"), now = performance.now();
      if (isAway && seen.since === 0) [seen.since, seen.blinks] = [now, seen.blinks + 1];
      if (seen.since > 0) seen.longest = Math.max(seen.longest, now - seen.since);
      if (!isAway) seen.since = 0;
      seen.fewest = Math.min(seen.fewest, window.processorMap!.map!.drawn().size);
      requestAnimationFrame(look);
    };
    look();
    Object.assign(window, { seen });
  }, DEVICES);
  const seen = () => page.evaluate(() => (window as unknown as { seen: { longest: number; blinks: number; fewest: number } }).seen);

  for (const [index, server] of [one, other].entries()) {
    // As a load balancer does: who comes now is led to the one that stays.
    instances.to = 1 - index;
    const stopped = server.stop("SIGTERM");
    await until("the page to be connected elsewhere", async () => (await instances.servers[1 - index]!.counter("processor_live_connections")) === 1);
    await stopped;
    await post();
    await server.run();
    await says(page, ".status", /^Connected/);
  }
  // Posted at one instance, seen by the page at the other.
  instances.to = 0;
  await post(other);
  const latitude = 52.5 + step / 1e7 + (DEVICES - 1) / 1000;
  const isThere = (latitude: number) =>
    [...window.processorMap!.fleet.devices.values()].some(({ fix }) => Math.abs(fix.position.latitude - latitude) < 1e-9);
  await until("the last position", () => page.evaluate(isThere, latitude));
  const { longest, blinks, fewest } = await seen();
  assert.equal(fewest, DEVICES, "all devices are shown all the time");
  assert.ok(blinks <= 2 && longest < BLINK, `${blinks} times not connected, for ${Math.round(longest)} ms at most`);
});
