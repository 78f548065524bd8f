// The page: joins the fleet, the map and the panel.

// First, as imports run in their order.
import { feed, feedFault, settings } from "./start.ts";
import { areasOf } from "./access.ts";
import { WORLD } from "./area.ts";
import { around, bounds } from "./bounds.ts";
import { liveUrl } from "./config.ts";
import type { Config } from "./config.ts";
import type { Device } from "./device.ts";
import { LiveFleet } from "./livefleet.ts";
import { boxOf, cameraOf } from "./map/projection.ts";
import { NoWebGL, openMap } from "./map/index.ts";
import type { MapView } from "./map/types.ts";
import { showFailure } from "./panel/failure.ts";
import { openPanel } from "./panel/index.ts";
import { colorOf, nameOf } from "./panel/look.ts";
import { shownAtFirst } from "./panel/preferences.ts";
import { isDark, onTheme } from "./panel/theme.ts";
import { PageState } from "./state.ts";
import { keepToken, keptToken } from "./token.ts";
import { keepUrl } from "./url.ts";

/** A device that is gone to is shown at this zoom, if the map is farther away. */
const CLOSE = 14;
/** While the view moves, the server is asked for another area at most so often, ms. */
const LOOK_EVERY = 250;

/** What tests look at. */
export interface Page {
  readonly config: Config;
  readonly state: PageState;
  readonly fleet: LiveFleet;
  readonly map: MapView | undefined;
}

declare global {
  interface Window {
    /** The parts of the page, once it is open. */
    processorMap?: Page;
  }
}

async function open(): Promise<void> {
  const config = await settings;
  const state = new PageState(shownAtFirst(location.search));
  keepUrl(state, window);
  const container = element("map");
  // Devices are asked for before there is a map: both take a while.
  const { view } = state.shown;
  const first = view ? boxOf(cameraOf(view, container.clientWidth, container.clientHeight)) : WORLD;
  const fleet = new LiveFleet(feed, liveUrl(config, new URL(location.href)), state, { box: first, zoom: view?.zoom ?? 0 }, keptToken());
  void feedFault.then((why) => fleet.fail(why));

  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let map: MapView | undefined;
  let noMap: string | undefined;
  try {
    map = await openMap({
      container, config, view, dark: isDark(state.shown.theme), units: state.shown.units ?? config.units,
      still: still.matches, now: () => fleet.now(), color: (device) => colorOf(device, state.shown.events),
    });
  } catch (error) {
    noMap = error instanceof NoWebGL ? error.message : `The map could not be loaded (${String(error)}).`;
    fleet.look(WORLD, 0);
  }
  const giveToken = (token: string, keep: boolean) => {
    keepToken(keep ? token : undefined);
    fleet.giveToken(token);
  };
  fleet.on("status", ({ access }) => (access === "refused" || access === "ended") && keepToken(undefined));
  const panel = openPanel({ root: element("panel"), config, state, fleet, noMap, giveToken, map: steering(map, fleet, state) });
  if (map) {
    map.on("notice", ({ text }) => panel.notice(text));
    join(map, fleet, state, config, still);
  }
  window.processorMap = { config, state, fleet, map };
}

/** The map shows the fleet, and the page knows what the map does. */
function join(map: MapView, fleet: LiveFleet, state: PageState, config: Config, still: MediaQueryList): void {
  map.update(fleet.devices.values(), []);
  fleet.on("change", ({ changed, gone }) => map.update(changed, gone));
  const { selected, follow } = state.shown;
  map.select(selected);
  map.follow(follow);
  state.on("change", ({ now, before }) => {
    if (now.selected !== before.selected) map.select(now.selected);
    if (now.follow !== before.follow) map.follow(now.follow);
    if (now.units !== before.units) map.setUnits(now.units ?? config.units);
    // Colours go by the order of events.
    if (now.events !== before.events) map.update(fleet.devices.values(), []);
  });
  onTheme(state, (dark) => map.setDark(dark));
  still.addEventListener("change", () => map.setStill(still.matches));
  map.on("click", ({ id }) => state.set({ selected: id }));
  map.on("hover", ({ id }) => {
    const device = id === undefined ? undefined : fleet.devices.get(id);
    element("map").title = device ? nameOf(device) : "";
  });
  watchView(map, fleet, state);
  fitOnce(map, fleet, state);
}

/** The fleet and the URL follow the view. */
function watchView(map: MapView, fleet: LiveFleet, state: PageState): void {
  let looked = 0;
  const look = () => {
    looked = performance.now();
    fleet.look(map.box(), map.view().zoom);
  };
  map.on("move", ({ byHand }) => {
    if (byHand && state.shown.follow) state.set({ follow: false });
    if (performance.now() - looked >= LOOK_EVERY) look();
  });
  map.on("moveend", () => {
    look();
    state.set({ view: map.view() });
  });
  look();
}

/**
 * A page that was not told where to look shows the devices there are, as soon as there are some: the selected one, or those of events.
 * Where only some areas may be seen, it shows these.
 */
function fitOnce(map: MapView, fleet: LiveFleet, state: PageState): void {
  if (state.shown.view) return;
  const offs: (() => void)[] = [];
  let fitted = false;
  const done = () => offs.forEach((off) => off());
  const fit = () => {
    const { events, selected } = state.shown;
    const limits = around(areasOf(fleet.status.mayRead) ?? []);
    if (limits && events.length === 0 && selected === undefined) {
      done();
      return map.fit(limits);
    }
    // Answers come one by one, and long ones in parts.
    if (!fleet.isComplete) return;
    const devices = [...fleet.devices.values()];
    const one = selected === undefined ? undefined : fleet.devices.get(selected);
    const those = devices.filter((device) => device.events.size > 0);
    const chosen = one ? [one] : those.length > 0 ? those : devices;
    const box = bounds(chosen.map(({ fix }) => fix.position));
    if (!box) return;
    // An event that nobody is in yet is fitted when somebody is.
    if (events.length === 0 || those.length > 0 || one) done();
    else if (fitted) return;
    fitted = true;
    map.fit(box);
  };
  offs.push(fleet.on("change", fit), fleet.on("status", fit), map.on("move", ({ byHand }) => byHand && done()));
  fit();
}

/** What the panel does with the map. */
function steering(map: MapView | undefined, fleet: LiveFleet, state: PageState) {
  return {
    box: () => map?.box() ?? WORLD,
    onMove: (listener: () => void) => void map?.on("moveend", listener),
    show: ({ fix: { position } }: Device) =>
      map?.go({ longitude: position.longitude, latitude: position.latitude, zoom: Math.max(CLOSE, map.view().zoom) }),
    fitAll: () => void fitAll(map, fleet, state),
  };
}

/** Shows all devices that the filter lets through, wherever they are. */
async function fitAll(map: MapView | undefined, fleet: LiveFleet, state: PageState): Promise<void> {
  state.set({ follow: false });
  const box = state.shown.only ? undefined : await fleet.everywhere();
  map?.fit(box ?? bounds([...fleet.devices.values()].map(({ fix }) => fix.position)) ?? WORLD);
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

open().catch((error: unknown) => {
  showFailure(error);
  console.error(error);
});
