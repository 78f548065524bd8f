// A server that wants a token: the page asks for it, shows what it allows, and says what it does not.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { AUTH, jwt } from "../../../clients/js/test/jwt.ts";
import { until } from "../../../clients/js/test/wait.ts";
import { freePort } from "../port.ts";
import { agrees } from "./agrees.ts";
import { Scene, ready, says, useBrowser } from "./scene.ts";
import type { PageOptions } from "./scene.ts";

useBrowser();

const HERE = "?at=10/52.5/13.5";
const CONNECTED = /^Connected\s+last update/;
const ALL = { topics: ["*"] };
const vans = Array.from({ length: 20 }, (_, i) => ({ device_id: `van-${i}`, latitude: 52.45 + i / 200, longitude: 13.4 + i / 100, topics: i < 5 ? ["event:rally"] : [] }));

async function start(env: Record<string, string> = {}): Promise<Scene> {
  const scene = await Scene.start({ ...AUTH, ...env });
  await scene.post(...vans);
  return scene;
}

const asks = (page: Page) => page.waitForSelector("dialog.token[open]");
const isAsking = (page: Page) => page.locator("dialog.token[open]").count();
/** Types a token into the dialog, and sends it. */
async function give(page: Page, token: string): Promise<void> {
  await asks(page);
  await page.fill("#token", token);
  await page.keyboard.press("Enter");
}
/** The page with a token that was given to it. */
async function opened(scene: Scene, claims: object, query = HERE, options: PageOptions = {}): Promise<Page> {
  const page = await scene.open(query, options);
  await give(page, jwt(claims));
  await page.waitForSelector("dialog.token", { state: "hidden" });
  return page;
}
const known = (page: Page) => page.evaluate(() => [...window.processorMap!.fleet.devices.keys()]);
const notices = (page: Page) => page.evaluate(() => [...document.querySelectorAll<HTMLElement>(".notice:not([hidden])")].map(({ innerText }) => innerText));
/** Waits until these are the notices, and no others: the page hears of them after the devices. */
async function notes(page: Page, ...wanted: string[]): Promise<void> {
  await until("the notices", async () => (await notices(page)).join("\n") === wanted.join("\n")).catch(async () => assert.deepEqual(await notices(page), wanted));
}

test("asks for a token, says what is wrong with one, and shows the devices with the right one; it is in no address and no storage", async () => {
  const scene = await start();
  const page = await scene.open(HERE), addresses: string[] = [];
  page.on("request", (request) => addresses.push(request.url()));
  page.on("websocket", (socket) => addresses.push(socket.url()));
  await asks(page);
  assert.equal(await page.evaluate(() => document.activeElement?.id), "token");
  assert.equal(await page.getAttribute("#token", "type"), "password");
  await says(page, ".status", /^A token is needed/);
  await give(page, jwt(ALL, -60));
  await says(page, "#token-fault", /^The server did not accept it: .*expired/);
  await give(page, jwt(ALL, 60, "another secret of the tests, as long as that"));
  await until("it to be refused too", async () => !/expired/.test(await page.innerText("#token-fault")) && (await page.innerText("#token-fault")) !== "");
  assert.equal(await page.getAttribute("#token", "aria-invalid"), "true");
  const token = jwt(ALL);
  await give(page, `Bearer ${token}\n`);
  await page.waitForSelector("dialog.token", { state: "hidden" });
  await agrees(page, scene.truth);
  await says(page, ".status", CONNECTED);
  await scene.post({ ...vans[0]!, latitude: 52.5 });
  await agrees(page, scene.truth);
  const kept = await page.evaluate(() => JSON.stringify([location.href, { ...localStorage }, { ...sessionStorage }, document.cookie, document.documentElement.outerHTML, (document.querySelector("#token") as HTMLInputElement).value]));
  const parts = token.split(".");
  assert.deepEqual(parts.filter((part) => kept.includes(part) || addresses.join().includes(part)), []);
  await page.reload();
  await ready(page);
  await asks(page);
});

test("keeps the token for the tab where that is wanted, until it is refused", async () => {
  const scene = await start();
  const page = await scene.open(HERE);
  await asks(page);
  await page.getByLabel("Keep it until this tab is closed").check();
  await give(page, jwt(ALL));
  await agrees(page, scene.truth);
  await page.reload();
  await ready(page);
  await agrees(page, scene.truth);
  assert.equal(await isAsking(page), 0);
  assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage)]), [[], ["processor-map-token"]]);
  const other = await page.context().newPage();
  await other.goto(`${scene.url}${HERE}`);
  await asks(other);
  await page.evaluate((token) => sessionStorage.setItem("processor-map-token", token), jwt(ALL, -60));
  await page.reload();
  await asks(page);
  await says(page, "#token-fault", /expired/);
  assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), []);
});

test("goes on with another token when one has ended; what was shown stays meanwhile", async () => {
  const scene = await start();
  const page = await scene.open(HERE);
  // Its time runs from here on.
  await asks(page);
  await give(page, jwt(ALL, 10));
  await agrees(page, scene.truth);
  await says(page, "#token-fault", /^The server did not accept it: .*expired/);
  assert.equal((await known(page)).length, 20);
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog.token", { state: "hidden" });
  await says(page, ".status", /^The token was not accepted: .*expired/);
  await scene.post({ device_id: "van-0", latitude: -20, longitude: 40 }, { ...vans[1]!, latitude: 52.51 });
  await page.getByRole("button", { name: "Enter a token" }).click();
  await give(page, jwt(ALL));
  await agrees(page, scene.truth);
  await says(page, ".status", CONNECTED);
  await until("what has left to be gone", async () => !(await known(page)).includes("van-0"));
});

test("says that access has ended when it is taken away, and shows nothing any longer", async () => {
  const scene = await start();
  const page = await opened(scene, { ...ALL, sub: "eve" });
  await agrees(page, scene.truth);
  await scene.server.revoke({ subject: "eve" });
  await says(page, ".status", /^Access has ended/);
  await until("nothing to be shown", async () => (await known(page)).length === 0);
  assert.equal(await isAsking(page), 0);
});

test("asks for nothing where a cookie does it", async () => {
  // The page's address must be known to the server before it starts.
  const port = await freePort();
  const scene = await start({ AUTH_COOKIE: "session", LIVE_WS_ALLOWED_ORIGINS: `http://127.0.0.1:${port}`, WEB_PORT: String(port) });
  const cookie = { name: "session", value: jwt(ALL), domain: "127.0.0.1", path: "/", httpOnly: true };
  const page = await scene.open(HERE, { storageState: { cookies: [{ ...cookie, expires: -1, secure: false, sameSite: "Lax" }], origins: [] } });
  await agrees(page, scene.truth);
  await says(page, ".status", CONNECTED);
  assert.equal(await isAsking(page), 0);
});

test("shows the areas that the token allows, looks there first, and says where they are", async () => {
  const scene = await start();
  const [west, east] = [[13.35, 52.44, 13.45, 52.56], [13.5, 52.4, 13.56, 52.5]] as const;
  const page = await opened(scene, { topics: [`area:${west}`, `area:${east}`, "event:other"] }, "");
  await until("the view to be there", () => page.evaluate(() => {
    const [west, south, east, north] = window.processorMap!.map!.box();
    return west < 13.35 && east > 13.56 && south < 52.4 && north > 52.56 && east - west < 1.5;
  }));
  await agrees(page, scene.truth, [...west]);
  await agrees(page, scene.truth, [...east]);
  const allowed = [...new Set([...scene.truth.of([...west]), ...scene.truth.of([...east])])];
  assert.equal((await known(page)).length, allowed.length);
  assert.ok(allowed.length > 5 && allowed.length < 20);
  await says(page, ".status", CONNECTED);
  const said = "The map shows devices only here: 52.44° to 52.56° N, 13.35° to 13.45° E; 52.4° to 52.5° N, 13.5° to 13.56° E.";
  await notes(page, said);
  // One goes out of them, another comes in; the map is moved to where nothing may be seen, and back.
  await scene.post({ ...vans[0]!, longitude: 13.47 }, { device_id: "new", latitude: 52.46, longitude: 13.52 });
  await until("that to be seen", async () => !(await known(page)).includes("van-0") && (await known(page)).includes("new"));
  await agrees(page, scene.truth, [...west]);
  await page.evaluate(() => window.processorMap!.map!.fit([20, 10, 21, 11]));
  await until("nothing to be shown", async () => (await known(page)).length === 0);
  await page.keyboard.press("a");
  await agrees(page, scene.truth, [...east]);
  await notes(page, said);
});

test("says which event and which device the token does not allow; the list works all the same", async () => {
  const scene = await start();
  const page = await opened(scene, { topics: ["area:13,52,14,53"] }, `${HERE}&event=rally&device=hidden`, { viewport: { width: 900, height: 700 } });
  await agrees(page, scene.truth);
  await says(page, ".chip", /rally[^]*Refused: your access does not include this event/);
  await until("word of the device", async () => (await notices(page)).some((text) => text.startsWith("Your access does not include the device hidden;")));
  await page.evaluate(() => window.processorMap!.state.set({ selected: "van-3" }));
  await says(page, ".card h2", /^van-3$/);
  await until("no word of it", async () => (await notices(page)).every((text) => !text.includes("does not include")));
  await says(page, "#list-count", /^20 devices in view$/);
  await scene.post({ ...vans[3]!, latitude: 52.47 });
  await agrees(page, scene.truth);
});

test("has events where the token allows no area of the map", async () => {
  const scene = await start();
  const page = await opened(scene, { topics: ["event:*"] }, `${HERE}&event=rally`, { viewport: { width: 900, height: 700 } });
  await until("the five of the event", async () => (await known(page)).length === 5);
  await notes(page, "Your access includes no area of the map, but event:*: add an event, or look up a device by its id.");
  await says(page, ".status", CONNECTED);
});
