// The panel on a page of its own, with devices that are made up, for tests in a browser.

import type { Box } from "../../../clients/js/src/index.ts";
import type { Config } from "../../src/config.ts";
import type { Device } from "../../src/device.ts";
import { showFailure } from "../../src/panel/failure.ts";
import { openPanel } from "../../src/panel/index.ts";
import { PageState } from "../../src/state.ts";
import { shownAtFirst } from "../../src/panel/preferences.ts";
import { keepUrl } from "../../src/url.ts";
import { MadeUpFleet } from "./fleet.ts";

const query = new URLSearchParams(location.search);
const noMap = query.get("nomap") ?? undefined;
const config: Config = {
  version: "test", live_url: null, live_port: 1, style: { light: null, dark: null }, pmtiles: null,
  stale_after_ms: 60_000, lost_after_ms: 600_000, units: "metric",
};

const fleet = new MadeUpFleet();
const state = new PageState(shownAtFirst(location.search));
const moved: (() => void)[] = [];
const map = {
  at: (noMap === undefined ? [13, 52, 14, 53] : [-180, -90, 180, 90]) as Box,
  shown: [] as string[],
  fitted: 0,
  box: () => map.at,
  onMove: (listener: () => void) => void moved.push(listener),
  show: (device: Device) => void map.shown.push(device.id),
  fitAll: () => void map.fitted++,
  /** The map has been moved. */
  go(box: Box) {
    map.at = box;
    for (const listener of moved) listener();
  },
};
const given: { token: string; keep: boolean }[] = [];
const giveToken = (token: string, keep: boolean) => void given.push({ token, keep });
const violations: string[] = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));

fleet.fill(Number(query.get("devices") ?? 0));
if (query.has("locked")) fleet.say({ connection: "closed", access: "needed" });
keepUrl(state, window);
const panel = openPanel({ root: document.querySelector<HTMLElement>("#panel")!, config, state, fleet, map, noMap, giveToken });

const page = { fleet, state, map, panel, violations, given };
export type TestPage = typeof page;
Object.assign(window, { page });
if (query.has("fail")) {
  panel.close();
  showFailure(new Error(`config.json: ${query.get("fail")}`));
}
