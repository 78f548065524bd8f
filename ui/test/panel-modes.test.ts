// The panel in a browser: on a phone, in a frame, without a map, hidden, closed; accessibility; what it costs.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";
import type { Page } from "playwright-core";
import { PanelBrowser } from "./panel/browser.ts";

let browser: PanelBrowser, axe: string;
before(async () => {
  axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  browser = await PanelBrowser.start();
});
after(() => browser.close());
afterEach(async () => assert.deepEqual(await browser.faults(), [], "no error on the console, no breach of the policy"));

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };
const size = (page: Page) => page.evaluate(() => document.querySelector<HTMLElement>("#panel")!.dataset["size"]);
/** A tap is a click in a later task. */
const becomes = (page: Page, wanted: string) => page.waitForFunction((wanted) => document.querySelector<HTMLElement>("#panel")!.dataset["size"] === wanted, wanted);
const box = async (page: Page, selector: string) => (await page.locator(selector).boundingBox())!;

test("on a phone the panel is a sheet: it leaves the map its room, and is drawn by its grip", async () => {
  const page = await browser.open("devices=50", PHONE);
  assert.equal(await size(page), "peek");
  assert.ok((await box(page, "#map")).height > 600);
  assert.equal(await page.isVisible("#list"), false);
  await page.tap(".grip");
  await becomes(page, "half");
  assert.ok(await page.isVisible("#list"));
  assert.ok((await box(page, "#map")).height > 300);
  const grip = await box(page, ".grip");
  await page.mouse.move(200, grip.y + 8);
  await page.mouse.down();
  await page.mouse.move(200, grip.y - 100, { steps: 3 });
  await page.mouse.move(200, 120, { steps: 3 });
  await page.mouse.up();
  assert.equal(await size(page), "full");
  await page.tap(".grip");
  await becomes(page, "peek");
  await page.evaluate(() => window.page.state.set({ selected: "device-1" }));
  assert.equal(await size(page), "half");
  assert.deepEqual([await page.isVisible(".card"), await page.isVisible("#list")], [true, false]);
  await page.tap(".card [aria-label=Close]");
  await page.waitForSelector("#list", { state: "visible" });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
});

test("a wide page without the panel has more map", async () => {
  const page = await browser.open("devices=50");
  const before = await box(page, "#map");
  await page.keyboard.press("p");
  const after = await box(page, "#map");
  assert.ok(before.x > 300 && after.x === 0 && after.width === 1200, `${before.x} ${after.x}`);
  assert.ok(await page.isVisible(".status"));
  await page.keyboard.press("/");
  assert.equal(await size(page), "half", "the search opens it again");
});

test("in a frame: no list and no controls, but trouble, the card and a link to the full page", async () => {
  const page = await browser.open("devices=50&embed=1&event=rally-42", { viewport: { width: 500, height: 400 } });
  assert.equal(await page.locator("#list, .search, .buttons, .events").count(), 0);
  assert.equal(await page.isVisible(".status"), false);
  assert.deepEqual(await box(page, "#map"), { x: 0, y: 0, width: 500, height: 400 });
  await page.evaluate(() => window.page.fleet.say({ connection: "waiting", until: Date.now() + 9000, message: "connection lost" }));
  assert.match(await page.locator(".status").innerText(), /Not connected: connection lost\s+trying again in \d s/);
  await page.evaluate(() => window.page.state.set({ selected: "device-1" }));
  assert.match(await page.locator(".card").innerText(), /^Courier 1/);
  const link = page.locator(".full-page");
  assert.equal(await link.getAttribute("href"), "/?device=device-1&event=rally-42&devices=50");
  assert.deepEqual([await link.getAttribute("target"), await link.getAttribute("rel")], ["_blank", "noopener"]);
});

test("without a map: a message in its place, the list of the world, no buttons for a map", async () => {
  for (const options of [{}, PHONE]) {
    const page = await browser.open("devices=50&nomap=This+browser+has+no+WebGL2.", options);
    assert.match(await page.locator("#map").innerText(), /The map cannot be shown\s+This browser has no WebGL2\./);
    await page.getByText("50 devices", { exact: true }).waitFor();
    assert.equal(await page.locator("#order-distance, [aria-label='Show all devices']").count(), 0);
    await page.click(".row >> nth=0");
    assert.ok(await page.isVisible(".card"));
    assert.equal(await page.isVisible("[title='Show on the map (s)']"), false);
    await page.keyboard.press("a");
    await page.keyboard.press("f");
    assert.deepEqual(await page.evaluate(() => [window.page.map.fitted, window.page.state.shown.follow]), [0, false]);
  }
});

test("a hidden page does nothing, and is right as soon as it is seen", async () => {
  const page = await browser.open("devices=100");
  await page.getByText("100 devices in view").waitFor();
  await page.evaluate(() => {
    Object.assign(window, { hide: (hidden: boolean) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    } });
    (window as unknown as { hide(hidden: boolean): void }).hide(true);
  });
  const changes = await page.evaluate(() => new Promise<number>((done) => {
    let count = 0;
    const everything = { subtree: true, childList: true, characterData: true, attributes: true };
    new MutationObserver((all) => (count += all.length)).observe(document.querySelector("#panel")!, everything);
    const { fleet } = window.page;
    const timer = setInterval(() => fleet.move(0, 1), 100);
    fleet.set({ device_id: "while hidden", timestamp: new Date().toISOString(), latitude: 52.5, longitude: 13.5 });
    setTimeout(() => [clearInterval(timer), done(count)], 2500);
  }));
  assert.equal(changes, 0);
  // Before anything else is done there, and not a second later.
  const count = await page.evaluate(async () => {
    (window as unknown as { hide(hidden: boolean): void }).hide(false);
    await new Promise((resolve) => setTimeout(resolve));
    return document.querySelector<HTMLElement>("#list-count")!.innerText;
  });
  assert.equal(count, "101 devices in view");
});

test("closed, it leaves nothing and does nothing", async () => {
  const page = await browser.open("devices=100&device=device-1&theme=dark");
  await page.evaluate(() => {
    window.page.panel.close();
    window.page.fleet.move(0, 1);
    window.page.fleet.say({ connection: "closed" });
    window.page.state.set({ selected: "device-2" });
    window.page.map.go([0, 0, 1, 1]);
  });
  await page.keyboard.press("a");
  await page.waitForTimeout(1200);
  assert.deepEqual(await page.evaluate(() => [document.querySelector("#panel")!.innerHTML, window.page.map.fitted]), ["", 0]);
});

test("a page that cannot start says why, and can be tried again", async () => {
  const page = await browser.open("fail=HTTP+503+%3Cb%3E");
  assert.match(await page.locator("#map").innerText(), /The live map could not start\s+config\.json: HTTP 503 <b>\s+Try again/);
  assert.equal(await page.isVisible("#panel"), false);
  await Promise.all([page.waitForEvent("load"), page.click("text=Try again")]);
});

test("looks are remembered for the next visit, but not for a frame", async () => {
  const page = await browser.open("devices=3");
  await page.keyboard.press("d");
  await page.goto(browser.url("devices=3"));
  await page.waitForFunction(() => document.documentElement.dataset["theme"] === "dark");
  await page.goto(browser.url("devices=3&theme=light"));
  await page.waitForFunction(() => document.documentElement.dataset["theme"] === "light");
  await page.goto(browser.url("devices=3&embed=1"));
  await page.waitForFunction(() => document.documentElement.dataset["theme"] === "light");
  await page.evaluate(() => window.page.state.set({ theme: "light" }));
  assert.equal(await page.evaluate(() => JSON.parse(localStorage.getItem("processor-map")!).theme), "dark");
});

test("on a page that is low or very narrow all of the list can be reached", async () => {
  for (const viewport of [{ width: 844, height: 300 }, { width: 320, height: 480 }]) {
    const page = await browser.open("devices=50&event=rally-42", { viewport });
    await page.keyboard.press("l");
    await page.keyboard.press("End");
    await page.locator("[aria-posinset='50']").scrollIntoViewIfNeeded();
    const { y, height } = await box(page, "[aria-posinset='50']");
    assert.ok(y >= 0 && y + height <= viewport.height + 1, `${y} ${height} of ${viewport.height}`);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), viewport.width);
  }
});

test("where the card takes the place of the list, it takes the focus too, and gives it back", async () => {
  const page = await browser.open("devices=30", { viewport: { width: 1000, height: 500 } });
  await page.keyboard.press("l");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "card-name");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "list");
  assert.equal(await page.locator("[data-active]").getAttribute("aria-posinset"), "2");
});

type State = (page: Page) => Promise<unknown>;
const STATES: [name: string, query: string, act?: State | undefined, options?: object][] = [
  ["list", "devices=50&event=rally-42"],
  ["card", "devices=50&event=rally-42&device=device-1&follow=1"],
  ["waiting for news", "devices=50&device=nobody"],
  ["settings", "devices=50", (page) => page.click("[aria-label=Settings]")],
  ["help", "devices=50", (page) => page.keyboard.press("?")],
  ["list with the focus", "devices=50", async (page) => { await page.keyboard.press("l"); await page.keyboard.press("ArrowDown"); }],
  ["nothing found", "devices=50", (page) => page.fill("#search", "nothing")],
  ["no devices", "devices=0"],
  ["too many, refused, not connected", "devices=50&event=rally-42&event=x", (page) => page.evaluate(() => {
    const tooMany = { message: "12345 devices, at most 10000" }, refused = new Map([["x", "no"]]);
    window.page.fleet.say({ connection: "waiting", until: Date.now() + 1e6, message: "gone", tooMany, refused });
    window.page.panel.notice("The style could not be loaded.");
  })],
  ["wrong event", "devices=50", async (page) => { await page.fill("#event-name", "ü".repeat(65)); await page.press("#event-name", "Enter"); }],
  ["closed panel", "devices=50", (page) => page.keyboard.press("p")],
  ["frame", "devices=50&embed=1&device=device-1", (page) => page.evaluate(() => window.page.fleet.say({ connection: "closed", message: "gone" }))],
  ["no map", "devices=50&nomap=No+WebGL2."],
  ["no map in a frame", "devices=50&embed=1&nomap=No+WebGL2."],
  ["failure", "fail=HTTP+503"],
  ["token", "devices=50", (page) => page.evaluate(() => window.page.fleet.say({ connection: "closed", access: "refused", message: "the token has expired" })), {}],
  ["token, later", "devices=50", async (page) => {
    await page.evaluate(() => window.page.fleet.say({ connection: "closed", access: "needed" }));
    await page.keyboard.press("Escape");
  }, {}],
  ["phone with token", "devices=50", (page) => page.evaluate(() => window.page.fleet.say({ connection: "closed", access: "needed" })), PHONE],
  ["phone", "devices=50", undefined, PHONE],
  ["low", "devices=50&event=rally-42", undefined, { viewport: { width: 844, height: 300 } }],
  ["phone with card", "devices=50&device=device-1", undefined, PHONE],
];

/** What axe says, as far as it is used here. */
interface Found {
  readonly violations: { readonly id: string; readonly nodes: { readonly html: string; readonly failureSummary: string }[] }[];
  readonly passes: unknown[];
}

for (const theme of ["light", "dark"]) {
  test(`accessibility without violations, ${theme}`, async () => {
    for (const [name, query, act, options] of STATES) {
      const page = await browser.open(`${query}&theme=${theme}`, { ...options, bypassCSP: false });
      await page.waitForTimeout(150);
      await act?.(page);
      // Through the debugger, as the policy lets no script in.
      await page.evaluate(axe);
      const { violations, passes } = await page.evaluate(async () => {
        const found = await (window as unknown as { axe: { run(): Promise<Found> } }).axe.run();
        const where = ({ html, failureSummary }: Found["violations"][0]["nodes"][0]) => `${html.slice(0, 160)} ${failureSummary}`;
        return {
          passes: found.passes.length,
          violations: found.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(where).join(" | ")}`),
        };
      });
      assert.deepEqual(violations, [], name);
      assert.ok(passes > 15, `${name}: ${passes} rules`);
      await page.context().close();
    }
  });
}

/** Milliseconds that the main thread computes per second, however long others keep it waiting, while every device moves once a second. */
async function cost(page: Page, seconds: number): Promise<{ task: number; script: number; layout: number; longest: number }> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const read = async () => Object.fromEntries((await session.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value * 1000]));
  await page.evaluate(() => {
    let part = 0;
    const timing = Object.assign(window, { longest: 0 });
    // Not quite ten times a second: each time that the list is made, others have moved last.
    setInterval(() => window.page.fleet.move(part++ % 10, 10), 97);
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => (timing.longest = Math.max(timing.longest, duration)))).observe({ type: "longtask" });
  });
  await page.waitForTimeout(1500);
  const before = await read();
  await page.waitForTimeout(seconds * 1000);
  const after = await read();
  const each = (name: string) => (after[name]! - before[name]!) / seconds;
  return {
    task: each("TaskDuration"), script: each("ScriptDuration"), layout: each("LayoutDuration") + each("RecalcStyleDuration"),
    longest: await page.evaluate(() => (window as unknown as { longest: number }).longest),
  };
}

/** Milliseconds that making the list anew takes, all of it at once: the shortest of 15 times, which nothing else has made longer. */
async function update(page: Page): Promise<number> {
  return page.evaluate(() => {
    const times: number[] = [];
    for (let time = 0; time < 15; time++) {
      window.page.fleet.move(time % 10, 10);
      const from = performance.now();
      window.page.map.go([13, 52, 14, 53]);
      times.push(performance.now() - from);
    }
    return Math.min(...times);
  });
}

test("what it costs while each device moves once a second", async () => {
  for (const count of [1000, 10_000, 50_000]) {
    for (const order of ["age", "distance", "name"] as const) {
      const page = await browser.open(`devices=${count}`);
      await page.check(`#order-${order}`, { force: true });
      const once = await update(page), whole = await cost(page, 4);
      await page.context().close();
      if (order === "age") {
        // The made-up fleet and the browser itself: the same without the panel.
        const bare = await browser.open(`devices=${count}`);
        await bare.evaluate(() => window.page.panel.close());
        const { task, script } = await cost(bare, 4);
        console.log(`${String(count).padStart(6)} devices, no panel: ${task.toFixed(1)} ms a second (script ${script.toFixed(1)})`);
        await bare.context().close();
      }
      console.log(`${String(count).padStart(6)} devices, by ${order.padEnd(8)}: ${whole.task.toFixed(1)} ms a second ` +
        `(script ${whole.script.toFixed(1)}, layout ${whole.layout.toFixed(1)}), longest task ${whole.longest} ms; one update ${once.toFixed(1)} ms`);
      if (count === 10_000) assert.ok(once < 50 && whole.script < 60, `${once} ms for one update, ${whole.script} ms of script a second`);
    }
  }
});
