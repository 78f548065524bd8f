// Clocks: of a browser that is wrong, of a page that has slept.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../../../clients/js/test/wait.ts";
import { agrees } from "./agrees.ts";
import { CONNECTION_ERROR, feedOf, HURRIED, Scene, says, useBrowser } from "./scene.ts";

useBrowser();

const HOUR = 3_600_000;

declare global {
  /** All clocks of the page, or of its feed, leap ahead, ms. */
  var leap: (ms: number) => void;
  /** Nothing runs there for so long, ms. */
  var sleep: (ms: number) => void;
}

/** The clock is ahead by so many ms, and can leap. */
function shifted(ahead: number): string {
  return `{
    const Real = Date, real = performance.now.bind(performance);
    let leapt = 0;
    globalThis.Date = class extends Real {
      constructor(...given) { given.length > 0 ? super(...given) : super(Real.now() + ${ahead} + leapt); }
      static now() { return Real.now() + ${ahead} + leapt; }
    };
    performance.now = () => real() + leapt;
    globalThis.sleep = (ms) => { for (const end = real() + ms; real() < end; ); };
    globalThis.leap = (ms) => void (leapt += ms);
  }`;
}

const ago = (ms: number) => new Date(Date.now() - ms).toISOString();

for (const minutes of [10, -10]) {
  test(`a browser whose clock is ${minutes} minutes ahead: ages are right all the same`, async () => {
    const scene = await Scene.start();
    await scene.post(
      { device_id: "new", latitude: 52.5, longitude: 13.4, timestamp: ago(20_000) }, { device_id: "stale", latitude: 52.51, longitude: 13.4, timestamp: ago(180_000) },
      { device_id: "lost", latitude: 52.52, longitude: 13.4, timestamp: ago(1_200_000) });
    const page = await scene.open("?at=12/52.5/13.4&device=new", { init: shifted(minutes * 60_000), viewport: { width: 1000, height: 700 } });
    await agrees(page, scene.truth);
    await says(page, ".card-age", /^Fresh\s+[2-5]\d s ago/);
    await says(page, ".row >> nth=0", /^new\s+[2-5]\d s$/);
    await says(page, ".row >> nth=1", /^stale\s+3 min\s+stale$/);
    await says(page, ".row >> nth=2", /^lost\s+20 min\s+lost$/);
    await says(page, ".status", /^Connected\s+last update [2-5]\d s ago$/);
  });
}

for (const [name, fate] of [["its connection is gone", "cut"], ["its connection is dead", "frozen"], ["its connection has lived on", "lives"]] as const) {
  test(`a tab that has slept for an hour, and ${name}: it is true again, and ages are right`, async () => {
    const scene = await Scene.throughProxy();
    const vans = Array.from({ length: 10 }, (_, i) => ({ device_id: `van-${i}`, latitude: 52.5 + i / 1000, longitude: 13.4 }));
    await scene.post(...vans);
    const page = await scene.open("?at=12/52.5/13.4&device=van-0", { init: `${HURRIED} ${shifted(0)}`, expected: CONNECTION_ERROR });
    await agrees(page, scene.truth);
    // Nothing runs in the page for a while, then an hour has passed; the browser says that it goes on.
    await Promise.all([
      feedOf(page).evaluate((ms) => void setTimeout(() => {
        sleep(6_000);
        leap(ms);
      }), HOUR),
      page.evaluate((ms) => void setTimeout(() => {
        sleep(6_000);
        leap(ms);
        document.dispatchEvent(new Event("resume"));
      }), HOUR),
    ]);
    // Whoever is asked something now answers when it has slept.
    const sleeping = Promise.all([feedOf(page).evaluate(() => {}), page.evaluate(() => {})]);
    let sleeps = true;
    void sleeping.then(() => (sleeps = false));
    if (fate === "cut") scene.proxy.cut();
    if (fate === "frozen") scene.proxy.frozen = true;
    await scene.post({ ...vans[0]!, latitude: 52.505 }, { ...vans[1]!, longitude: -100 }, { device_id: "came", latitude: 52.51, longitude: 13.41 });
    assert.ok(sleeps, "all of it while it slept");
    await sleeping;
    // A connection that is dead is given up, and the next one goes through.
    if (fate === "frozen") {
      await until("another attempt", () => scene.proxy.accepted > 1);
      scene.proxy.frozen = false;
    }
    await agrees(page, scene.truth);
    await says(page, ".status", /^Connected\s+last update/);
    await says(page, ".card-age", /^Fresh\s+(just now|[12]?\d s ago)/);
    await scene.post({ ...vans[2]!, latitude: 52.52 });
    await agrees(page, scene.truth);
    await says(page, ".status", /^Connected\s+last update (just now|[1-4] s ago)$/);
  });
}
