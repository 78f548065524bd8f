// The panel in a browser: status, list, search, card, events, looks, keys.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { Page } from "playwright-core";
import { until } from "../../clients/js/test/wait.ts";
import { PanelBrowser } from "./panel/browser.ts";

let browser: PanelBrowser;
before(async () => {
  browser = await PanelBrowser.start();
});
after(() => browser.close());
afterEach(async () => assert.deepEqual(await browser.faults(), [], "no error on the console, no breach of the policy"));

const text = (page: Page, selector: string) => page.locator(selector).first().innerText();
/** Waits until the text of an element fits. */
async function says(page: Page, selector: string, wanted: RegExp | string): Promise<void> {
  const pattern = typeof wanted === "string" ? { source: wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), flags: "" } : wanted;
  await page.waitForFunction(([selector, source, flags]) => new RegExp(source!, flags).test((document.querySelector<HTMLElement>(selector!)?.innerText ?? "").trim()),
    [selector, pattern.source, pattern.flags], { timeout: 20_000 }).catch(async () => assert.fail(`${selector} is "${await text(page, selector)}", not ${wanted}`));
}
const selected = (page: Page) => page.evaluate(() => window.page.state.shown.selected);
/** The names in the list from above, those rows that are on the page. */
const names = (page: Page) => page.evaluate(() =>
  [...document.querySelectorAll<HTMLElement>(".row:not([hidden])")]
    .sort((a, b) => Number(a.ariaPosInSet) - Number(b.ariaPosInSet))
    .map((row) => row.querySelector(".row-name")!.textContent));
/** The row that the keys have come to, as a screen reader finds it. */
const active = (page: Page) => page.evaluate(() => {
  const id = document.querySelector("#list")!.getAttribute("aria-activedescendant");
  return id === null ? null : document.getElementById(id)!.getAttribute("aria-posinset");
});
const put = (page: Page, id: string, more: object = {}, events: string[] = []) => page.evaluate(([id, more, events]) => {
  window.page.fleet.set({ device_id: id as string, timestamp: new Date().toISOString(), latitude: 52.5, longitude: 13.5, ...(more as object) }, events as string[]);
}, [id, more, events] as const);

test("the status line: connected, trying again, closed; seconds are not read out", async () => {
  const page = await browser.open("devices=3");
  await says(page, ".status", /^Connected\s+last update (just now|\d s ago)$/);
  await page.evaluate(() => {
    const changes = Object.assign(window, { changes: [] as string[] }).changes;
    for (const region of document.querySelectorAll("[role=status], [aria-live]")) {
      new MutationObserver(() => changes.push(region.textContent ?? "")).observe(region, { subtree: true, childList: true, characterData: true });
    }
  });
  await page.evaluate(() => window.page.fleet.say({ connection: "waiting", until: Date.now() + 60_000, message: "server shutting down" }));
  await says(page, ".status", /^Not connected: server shutting down\s+trying again in (60|[1-5]\d) s$/);
  await says(page, ".status", /in [1-5]\d s$/);
  const changes = await page.evaluate(() => (window as unknown as { changes: string[] }).changes);
  assert.deepEqual(changes.filter((change) => change !== ""), ["Not connected: server shutting down"], "said once, without the seconds");
  await page.evaluate(() => window.page.fleet.say({ connection: "closed", message: "closed by the page" }));
  await says(page, ".status", /^Closed: closed by the page\s+load the page again to connect$/);
});

test("notices: too many devices, what the server refused, what the map has to say", async () => {
  const page = await browser.open("devices=3");
  await page.evaluate(() => {
    window.page.fleet.say({ message: "event refused", tooMany: { message: "12345 devices are inside this area, at most 10000 may be; ask for a smaller one" } });
    window.page.panel.notice("The style could not be loaded.");
  });
  await says(page, ".notices", /^12,345 devices are in view, .* \(10,000\)\. Zoom in to see them\.\s+event refused\s+The style could not be loaded\.$/);
  await page.evaluate(() => [window.page.fleet.say({}), window.page.panel.notice(undefined)]);
  await says(page, ".notices", /^$/);
});

test("the list has what is in view, in the order that is chosen, and follows", async () => {
  const page = await browser.open("devices=0");
  await says(page, ".devices", /0 devices in view[\s\S]*No devices here\. Move the map, or:\s+Show all devices/);
  await page.click(".offer button:visible");
  assert.equal(await page.evaluate(() => window.page.map.fitted), 1);
  const ago = (ms: number) => ({ timestamp: new Date(Date.now() - ms).toISOString() });
  await put(page, "van 10", { ...ago(5000), longitude: 13.5, speed: 15, heading: 47 });
  await put(page, "van 2", { ...ago(90_000), longitude: 13.6 }, ["rally"]);
  await put(page, "old", { ...ago(7_200_000), longitude: 13.45, attributes: { name: "A truck" } });
  await put(page, "elsewhere", { longitude: 40 });
  await says(page, ".list-count", "3 devices in view");
  assert.deepEqual(await names(page), ["van 10", "van 2", "A truck"]);
  await page.check("#order-name");
  assert.deepEqual(await names(page), ["A truck", "van 2", "van 10"]);
  await page.check("#order-distance");
  assert.deepEqual(await names(page), ["van 10", "A truck", "van 2"]);
  assert.match(await text(page, ".row:has-text('van 10')"), /^van 10\s+54 km\/h NE\s+\d+ s\s+\d m$/);
  const states = await page.locator(".row .mark").evaluateAll((marks) => marks.map((mark) => [mark.getAttribute("data-age"), mark.hasAttribute("data-moving")]));
  assert.deepEqual(states.sort(), [["fresh", true], ["lost", false], ["stale", false]]);
  assert.match((await page.locator("#list").innerText()).replaceAll("\n", " "), /lost.*stale|stale.*lost/, "not by the mark alone");
  await page.getByRole("option", { name: /^van 10 54 km\/h NE \d+ s \d m$/ }).waitFor();
  await page.getByRole("option", { name: /^A truck old 2 h lost$/ }).waitFor();
  await says(page, ".list-ages", "1 stale, 1 lost");
  await page.evaluate(() => window.page.map.go([39, 52, 41, 53]));
  await says(page, ".list-count", "1 device in view");
  await page.evaluate(() => window.page.fleet.remove("elsewhere"));
  await says(page, ".list-count", "0 devices in view");
  assert.equal(await page.evaluate(() => localStorage.getItem("processor-map")), '{"theme":"auto","order":"distance","keys":true}');
});

test("50,000 devices: few rows on the page, the last is reached, keys lead everywhere", async () => {
  const page = await browser.open("devices=50000");
  await says(page, ".list-count", "50,000 devices in view");
  const rows = () => page.locator(".row").count();
  assert.ok(await rows() < 30, `${await rows()}`);
  await page.keyboard.press("l");
  for (const [key, wanted] of [["ArrowDown", "2"], ["End", "50000"], ["ArrowUp", "49999"], ["Home", "1"], ["ArrowUp", "1"], ["PageDown", null]] as const) {
    await page.keyboard.press(key);
    await page.waitForTimeout(50);
    if (wanted !== null) assert.equal(await active(page), wanted, key);
    assert.ok(await rows() < 40);
  }
  assert.ok(Number(await active(page)) > 5);
  const row = page.locator("[data-active]");
  assert.equal(await row.getAttribute("aria-setsize"), "50000");
  await page.keyboard.press("Enter");
  assert.equal(await selected(page), await row.locator(".row-name").innerText().then((name) => name.startsWith("Courier") ? selected(page) : name));
  assert.equal(await row.getAttribute("aria-selected"), "true");
});

test("the order is held while the pointer is over the list, and no longer", async () => {
  const page = await browser.open("devices=0");
  for (const id of ["a", "b", "c"]) await put(page, id);
  await says(page, ".list-count", "3 devices in view");
  const order = await names(page);
  const last = order.at(-1)!, first = order[0]!;
  await page.hover(".row >> nth=1");
  await put(page, last);
  await page.evaluate((id) => window.page.fleet.remove(id), first);
  await put(page, "d");
  await says(page, ".list-count", "3 devices in view");
  await page.waitForFunction(() => document.querySelectorAll(".row:not([hidden])").length === 4);
  assert.deepEqual(await names(page), [...order, "d"]);
  await says(page, "#list", /out of view/);
  await page.mouse.move(800, 400);
  await put(page, last);
  // It may have been made anew before that one came.
  await until("the order of now", async () => (await names(page)).join() === [last, "d", order[1]].join());
});

test("the row that the keys have come to stays in its place when the order changes", async () => {
  const page = await browser.open("devices=500&event=any");
  await page.keyboard.press("l");
  for (let time = 0; time < 4; time++) await page.keyboard.press("PageDown");
  const place = () => page.locator("[data-active]").evaluate((row) => [row.querySelector(".row-name")!.textContent, Math.round(row.getBoundingClientRect().top)]);
  const before = await place(), position = await active(page);
  await page.evaluate(() => {
    const { fleet } = window.page;
    for (let index = 0; index < 100; index++) fleet.set({ device_id: `new ${index}`, timestamp: new Date().toISOString(), latitude: 52.5, longitude: 13.5 });
    window.page.state.set({ only: true });
  });
  await says(page, ".list-count", "600 devices in view");
  assert.notEqual(await active(page), position, "it has other neighbours");
  assert.deepEqual(await place(), before);
});

test("a search filters all devices that are known, and looks up those that are not", async () => {
  const page = await browser.open("devices=300");
  await put(page, "far away", { longitude: 100, attributes: { driver: "Özil" } });
  await page.keyboard.press("/");
  await page.keyboard.type("device-29");
  await says(page, ".list-count", "11 devices found");
  assert.equal((await names(page))[0], "device-29", "the exact id first");
  await page.keyboard.press("Enter");
  assert.equal(await selected(page), "device-29");
  assert.deepEqual(await page.evaluate(() => window.page.map.shown), ["device-29"]);
  // Single keys are for the device now.
  await page.keyboard.press("f");
  assert.equal(await page.evaluate(() => window.page.state.shown.follow), true);
  await page.keyboard.press("/");
  await page.keyboard.press("Escape");
  await says(page, ".list-count", "300 devices in view");
  assert.equal(await page.inputValue("#search"), "");
  await page.keyboard.type("özil");
  await says(page, ".list-count", "1 device found");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await selected(page), "far away");
  assert.deepEqual(await page.evaluate(() => window.page.map.shown), ["device-29", "far away"], "what is not in view is shown");
  await page.keyboard.press("/");
  await page.keyboard.type("unknown <b>");
  await says(page, ".offer", /No device the page knows has “unknown <b>” in its id or attributes\.\s+Look up the id “unknown <b>”/);
  await page.click(".offer button");
  assert.equal(await selected(page), "unknown <b>");
  await says(page, ".card", /unknown <b>[\s\S]*Waiting for news of unknown <b>/);
  await put(page, "unknown <b>", { longitude: 120 });
  await says(page, ".card", /52\.500000, 120\.000000/);
  assert.equal(await page.locator("#panel b").count(), 0);
});

test("the card has everything, in the units that are chosen, and grows old", async () => {
  const page = await browser.open("devices=3&event=rally&event=tour");
  const van = (age: number) => put(page, "van", {
    timestamp: new Date(Date.now() - age).toISOString(), longitude: 13.404954, latitude: 52.520008, speed: 14.2, heading: 47, altitude: 36, accuracy: 6.2,
    attributes: { name: "Van 17", engine: { rpm: 2100 }, note: "y".repeat(300), ...Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, index])) },
  }, ["tour"]);
  await van(30_000);
  await page.evaluate(() => window.page.state.set({ selected: "van" }));
  await says(page, ".card", /^Van 17\s+van\s/);
  await says(page, ".facts", /^Coordinates\s+52\.520008, 13\.404954\s+Speed\s+51 km\/h\s+Heading\s+NE, 47°\s+Altitude\s+36 m\s+Accuracy\s+± 6 m$/);
  await says(page, ".card-events", /^tour$/);
  await says(page, ".card-age", /^Fresh\s+[345]\d s ago/);
  assert.match(await page.locator(".card time").getAttribute("title") ?? "", /^\d+ \w+ 2\d\d\d.* UTC$/);
  // Still fresh, but for a few seconds only.
  await van(57_000);
  await says(page, ".card-age", /^Stale\s+1 min ago/);
  await says(page, ".attributes", /engine › rpm\s+2100\s+note\s+y{120}…\s+Show all/);
  await page.click(".attributes .link-button:visible");
  await says(page, ".attributes", /y{300}\s+Show less/);
  assert.equal(await page.locator(".attributes .field").count(), 12);
  await page.click("text=Show all 23 attributes");
  assert.equal(await page.locator(".attributes .field").count(), 23);
  // What someone reads stays as it is when news come.
  await put(page, "van", { speed: 0, attributes: { note: "y".repeat(300) } }, ["tour"]);
  await says(page, ".facts", /Speed\s+0 km\/h/);
  await page.keyboard.press("u");
  await says(page, ".facts", /Speed\s+0 mph/);
  await page.keyboard.press("Escape");
  assert.equal(await selected(page), undefined);
  assert.equal(await page.isVisible(".card"), false);
});

test("follow is a switch, and says when it ends", async () => {
  const page = await browser.open("devices=3&device=device-1");
  const follow = page.locator(".card-actions button >> nth=0");
  assert.equal(await follow.getAttribute("aria-pressed"), "false");
  await follow.click();
  assert.equal(await page.evaluate(() => window.page.state.shown.follow), true);
  assert.equal(await follow.getAttribute("aria-pressed"), "true");
  await page.evaluate(() => window.page.state.set({ follow: false }));
  await says(page, ".card-said", "No longer following");
  await page.keyboard.press("f");
  assert.equal(await page.evaluate(() => window.page.state.shown.follow), true);
  await page.keyboard.press("s");
  assert.deepEqual(await page.evaluate(() => window.page.map.shown), ["device-1"]);
});

test("copying works, by https and without, and says so when it does not", async () => {
  const paste = async (page: Page) => {
    await page.keyboard.press("/");
    await page.keyboard.press("Control+V");
    return page.inputValue("#search");
  };
  const page = await browser.open("devices=3&device=device-2", { permissions: ["clipboard-read", "clipboard-write"] });
  await page.click("[aria-label='Copy coordinates']");
  await says(page, ".card-said", "Coordinates copied");
  assert.match(await paste(page), /^52\.\d{6}, 13\.\d{6}$/);
  await page.click("[title='Copy the position as JSON']");
  await says(page, ".card-said", "Position copied as JSON");
  assert.equal(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())).device_id, "device-2");
  // A page by plain http has no navigator.clipboard.
  await page.goto(browser.url("devices=3&device=device-3", "panel.test"));
  await page.waitForFunction(() => window.page !== undefined);
  assert.equal(await page.evaluate(() => navigator.clipboard), undefined);
  await page.click("[title='Copy the position as JSON']");
  await says(page, ".card-said", "Position copied as JSON");
  assert.match(await paste(page), /"device_id": "device-3"/);
  await page.evaluate(() => (document.execCommand = () => false));
  await page.click("[aria-label='Copy coordinates']");
  await says(page, ".card-said", /does not let this page copy/);
});

test("events are added, counted, filtered by, refused and removed", async () => {
  const page = await browser.open("devices=90");
  const add = async (name: string) => {
    await page.fill("#event-name", name);
    await page.press("#event-name", "Enter");
  };
  await page.keyboard.press("e");
  await page.keyboard.type("rally-42");
  await page.keyboard.press("Enter");
  await says(page, ".chips", /^rally-42\s+30$/);
  assert.equal(await page.inputValue("#event-name"), "");
  const colors = await page.locator(".row .mark").evaluateAll((marks) => [...new Set(marks.map((mark) => mark.getAttribute("data-color")))].sort());
  assert.deepEqual(colors, ["#1f6feb", "#ee7733"]);
  for (const [name, fault] of [["rally-42", /already/], ["", /Type the name/], ["ü".repeat(65), /longer than 128 bytes/], ["a\u0085b", /not allowed/]] as const) {
    await add(name);
    await says(page, "#event-fault", fault);
    assert.equal(await page.getAttribute("#event-name", "aria-invalid"), "true");
  }
  await page.check("#events-only");
  assert.equal(await page.evaluate(() => window.page.state.shown.only), true);
  await add("<b>bold</b>");
  assert.equal(await page.getAttribute("#event-name", "aria-invalid"), null);
  await page.evaluate(() => window.page.fleet.say({ refused: new Map([["<b>bold</b>", "this connection has 1000 subscriptions"]]) }));
  await says(page, ".chip.refused", /<b>bold<\/b>\s+0\s+Refused: this connection has 1000 subscriptions/);
  await page.waitForFunction(() => location.search === "?event=rally-42&event=%3Cb%3Ebold%3C/b%3E&only=1&devices=90");
  for (let index = 2; index < 16; index++) await add(`event ${index}`);
  await add("one too many");
  await says(page, "#event-fault", /At most 16/);
  await page.click("[aria-label='Remove event rally-42']");
  assert.equal(await page.locator(".chip").count(), 15);
  assert.equal(await page.evaluate(() => document.activeElement?.id), "event-name");
});

test("the theme follows the system until one is chosen, and is remembered; so are units", async () => {
  const page = await browser.open("devices=3&device=device-2");
  const theme = () => page.evaluate(() => document.documentElement.dataset["theme"]);
  const ground = () => page.evaluate(() => getComputedStyle(document.querySelector("#panel")!).backgroundColor);
  assert.deepEqual([await theme(), await ground()], ["light", "rgb(255, 255, 255)"]);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForFunction(() => document.documentElement.dataset["theme"] === "dark");
  assert.equal(await ground(), "rgb(21, 25, 30)");
  await page.keyboard.press("d");
  assert.deepEqual([await theme(), await ground()], ["light", "rgb(255, 255, 255)"]);
  await page.click("[aria-label=Settings]");
  await page.check("#theme-dark", { force: true });
  await page.check("#units-imperial", { force: true });
  assert.equal(await theme(), "dark");
  await says(page, ".facts", /Speed\s+[\d.]+ mph/);
  assert.deepEqual(await page.evaluate(() => JSON.parse(localStorage.getItem("processor-map") ?? "")), { theme: "dark", units: "imperial", order: "age", keys: true });
  await page.keyboard.press("Escape");
  assert.equal(await page.isVisible(".settings"), false);
  assert.equal(await selected(page), "device-2", "Escape closes one thing at a time");
});

test("a browser that remembers nothing is no trouble", async () => {
  const page = await browser.open("devices=3");
  await page.addInitScript(() => Object.defineProperty(window, "localStorage", { get: () => { throw new DOMException("denied", "SecurityError"); } }));
  await page.reload();
  await says(page, ".list-count", "3 devices in view");
  await page.keyboard.press("d");
  await page.keyboard.press("u");
  await page.check("#order-name", { force: true });
  assert.equal(await page.evaluate(() => window.page.state.shown.units), "imperial");
});

test("keys: help shows them, they are off while typing and when switched off", async () => {
  const page = await browser.open("devices=3");
  await page.keyboard.press("?");
  await says(page, "dialog", /Help[\s\S]*Search[\s\S]*Follow the selected device/);
  await page.keyboard.press("a");
  assert.equal(await page.evaluate(() => window.page.map.fitted), 0, "not behind the help");
  await page.keyboard.press("Escape");
  assert.equal(await page.isVisible("dialog"), false);
  await page.keyboard.press("a");
  assert.equal(await page.evaluate(() => window.page.map.fitted), 1);
  await page.keyboard.press("Control+a");
  await page.keyboard.press("/");
  await page.keyboard.type("a?dup");
  assert.equal(await page.inputValue("#search"), "a?dup");
  assert.equal(await page.evaluate(() => window.page.map.fitted), 1);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.uncheck(".help input");
  await page.keyboard.press("Escape");
  await page.keyboard.press("a");
  assert.equal(await page.evaluate(() => window.page.map.fitted), 1);
});

test("by keyboard alone: every control is reached, and the first leads to the map", async () => {
  const page = await browser.open("devices=30&event=rally-42");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the map");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "map");
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await page.keyboard.press("l");
  await page.keyboard.press("Enter");
  await page.evaluate(() => document.querySelector<HTMLElement>(".skip-link")!.focus());
  const reached = new Set<string>();
  for (let step = 0; step < 40; step++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => {
      const element = document.activeElement as HTMLElement;
      return element.getAttribute("aria-label") ?? (element.id !== "" ? element.id : element.textContent ?? "");
    }));
  }
  for (const wanted of [
    "Hide the panel", "Show all devices", "Settings", "Help and keyboard shortcuts", "Search devices by id, name or other text", "Close", "Follow", "Show",
    "Copy coordinates", "Copy", "Remove event rally-42", "event-name", "Add", "events-only", "order-age", "list",
  ]) {
    assert.ok(reached.has(wanted), `${wanted} of ${[...reached].join(", ")}`);
  }
});

test("names that mean harm are text", async () => {
  const page = await browser.open("devices=0&event=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E");
  const hostile = [
    "<img src=x onerror=alert(1)>", "\u202Ertl", "x".repeat(128), "🚚👩‍🚒".repeat(6), "\"'><script>alert(1)</script>",
    "a\u0301\u0301\u0301".repeat(20), "شاحنة",
  ];
  page.on("dialog", () => assert.fail("a script of a device has run"));
  for (const id of hostile) {
    await put(page, id, { attributes: { name: id, [id]: { [id]: id }, __proto__: null, constructor: 1 } }, [id]);
    await page.evaluate((id) => window.page.state.set({ selected: id }), id);
    await says(page, ".card h2", id.replace("\u202E", "") === id ? id : /rtl/);
  }
  await says(page, ".list-count", "7 devices in view");
  assert.equal(await page.locator("#panel img, #panel script").count(), 0);
  assert.ok(await page.locator("#panel").evaluate((panel) => panel.scrollWidth <= panel.clientWidth), "nothing is wider than the panel");
  const heights = await page.locator(".row").evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
  assert.deepEqual(new Set(heights), new Set([52]));
});
