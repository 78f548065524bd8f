// The dialog that asks for a token, in a browser, with a server that is made up.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { Page } from "playwright-core";
import type { Status } from "../src/fleet.ts";
import { PanelBrowser } from "./panel/browser.ts";

let browser: PanelBrowser;
before(async () => {
  browser = await PanelBrowser.start();
});
after(() => browser.close());
afterEach(async () => assert.deepEqual(await browser.faults(), [], "no error on the console, no breach of the policy"));

const say = (page: Page, status: Partial<Status>) => page.evaluate((status) => window.page.fleet.say(status), status);
const needed = (page: Page) => say(page, { connection: "closed", access: "needed", message: "no token came" });
const isOpen = (page: Page) => page.evaluate(() => document.querySelector("dialog.token")!.matches("[open]"));
const given = (page: Page) => page.evaluate(() => window.page.given);
const fault = (page: Page) => page.innerText("#token-fault");

test("opens where a token is needed, takes what is pasted, waits, and closes when that is accepted", async () => {
  const page = await browser.open("devices=3");
  assert.equal(await isOpen(page), false);
  await needed(page);
  assert.equal(await isOpen(page), true);
  const dialog = page.getByRole("dialog", { name: "A token is needed" });
  assert.ok(await dialog.isVisible());
  assert.equal(await page.evaluate(() => document.activeElement?.id), "token");
  await page.keyboard.press("Enter");
  assert.deepEqual(await given(page), [], "nothing is nothing");
  await page.keyboard.insertText("  Bearer a.b.c\n");
  await page.keyboard.press("Enter");
  assert.deepEqual(await given(page), [{ token: "a.b.c", keep: false }]);
  assert.equal(await dialog.getByRole("button").first().innerText(), "Connecting");
  await say(page, { connection: "connecting" });
  assert.equal(await isOpen(page), true);
  await say(page, { connection: "connected" });
  assert.equal(await isOpen(page), false);
  assert.equal(await page.inputValue("#token"), "");
});

test("keeps no token when it has closed, and loses none that is pasted when it has opened again at once", async () => {
  const page = await browser.open("devices=3");
  await needed(page);
  await page.fill("#token", "first");
  const left = await page.evaluate(async () => {
    const { fleet } = window.page, input = document.querySelector<HTMLInputElement>("#token")!, dialog = document.querySelector("dialog.token")!;
    const closed = new Promise((resolve) => dialog.addEventListener("close", resolve));
    fleet.say({ connection: "connected", access: "open" });
    const atOnce = input.value;
    fleet.say({ connection: "closed", access: "needed" });
    input.value = "second";
    await closed;
    return [atOnce, input.value];
  });
  assert.deepEqual(left, ["", "second"]);
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.querySelector<HTMLInputElement>("#token")!.value === "");
});

test("opens where a token was needed before there was a panel", async () => {
  const page = await browser.open("devices=0&locked");
  assert.equal(await isOpen(page), true);
  assert.equal(await page.evaluate(() => document.activeElement?.id), "token");
});

test("says why a token is not accepted, as often as that happens, also by the same words", async () => {
  const page = await browser.open("devices=3");
  const refused = () => say(page, { connection: "closed", access: "refused", message: "the token is not accepted" });
  await needed(page);
  for (let round = 0; round < 3; round++) {
    await page.fill("#token", "x");
    assert.equal(await fault(page), "");
    await page.getByLabel("Keep it until this tab is closed").setChecked(round === 1);
    await page.getByRole("button", { name: "Connect" }).click();
    await say(page, { connection: "connecting" });
    await refused();
    assert.equal(await fault(page), "The server did not accept it: the token is not accepted.");
    assert.equal(await page.getAttribute("#token", "aria-invalid"), "true");
    // What is typed takes the place of what was wrong.
    assert.deepEqual(await page.evaluate(() => [document.activeElement?.id, getSelection()?.toString().length]), ["token", 1]);
  }
  assert.deepEqual((await given(page)).map(({ keep }) => keep), [false, true, false]);
});

test("says that the server is away", async () => {
  const page = await browser.open("devices=3");
  await needed(page);
  await page.fill("#token", "x");
  await page.keyboard.press("Enter");
  await say(page, { connection: "waiting", until: Date.now() + 1000, message: "cannot connect" });
  assert.equal(await fault(page), "Not connected: cannot connect. It is tried again.");
});

test("can be put aside: a button brings it back, and nothing else does but another refusal", async () => {
  const page = await browser.open("devices=3");
  await needed(page);
  await page.keyboard.press("Escape");
  assert.equal(await isOpen(page), false);
  await needed(page);
  assert.equal(await isOpen(page), false, "it is the same");
  await page.getByRole("button", { name: "Enter a token" }).click();
  assert.equal(await isOpen(page), true);
  await page.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await isOpen(page), false);
  await say(page, { connection: "connected" });
  assert.equal(await page.getByRole("button", { name: "Enter a token" }).count(), 0);
  await say(page, { connection: "closed", access: "refused", message: "the token has expired" });
  assert.equal(await isOpen(page), true);
});

test("goes when access has ended, which the status says", async () => {
  const page = await browser.open("devices=3");
  await needed(page);
  await say(page, { connection: "closed", access: "ended", message: "revoked" });
  assert.equal(await isOpen(page), false);
  assert.match(await page.innerText(".status"), /^Access has ended: revoked$/);
});

test("fits a phone, and a frame of another page", async () => {
  for (const [query, viewport] of [["devices=3", { width: 320, height: 568 }], ["devices=3&embed=1", { width: 300, height: 260 }]] as const) {
    const page = await browser.open(query, { viewport });
    await needed(page);
    const { x, y, width, height } = (await page.locator("dialog.token").boundingBox())!;
    assert.ok(x >= 0 && y >= 0 && x + width <= viewport.width && y + height <= viewport.height, `${x} ${y} ${width} ${height}`);
    await page.fill("#token", "t");
    await page.keyboard.press("Enter");
    assert.equal((await given(page)).length, 1);
  }
});

test("says what may be seen, and in a frame only that the map stays empty", async () => {
  for (const [query, areas, none] of [["devices=3", /only here: 52° to 53° N/, /no area of the map/], ["devices=3&embed=1", /^$/, /no area of the map/]] as const) {
    const page = await browser.open(query);
    await say(page, { connection: "connected", mayRead: ["area:13,52,14,53"] });
    assert.match((await page.innerText(".notices")).trim(), areas);
    await say(page, { connection: "connected", mayRead: ["event:*"] });
    assert.match(await page.innerText(".notices"), none);
    await say(page, { connection: "connected", mayRead: ["*"] });
    assert.equal((await page.innerText(".notices")).trim(), "");
  }
});
