// A page with the map alone and devices that a test makes up: `globalThis.page`.

import { PLAIN } from "../src/colors.ts";
import type { Color } from "../src/colors.ts";
import type { Config } from "../src/config.ts";
import type { Device } from "../src/device.ts";
import { openMap } from "../src/map/index.ts";
import type { LiveMap } from "../src/map/view.ts";
import type { MapOptions } from "../src/map/types.ts";

const config: Config = {
  version: "test", live_url: null, live_port: 0, style: { light: null, dark: null }, pmtiles: null,
  stale_after_ms: 60_000, lost_after_ms: 600_000, units: "metric",
};

const page = {
  map: undefined as unknown as LiveMap,
  devices: new Map<string, Device>(),
  colors: new Map<string, Color>(),
  events: [] as { name: string; event: unknown }[],
  violations: [] as string[],

  async open({ config: change, ...more }: Partial<Omit<MapOptions, "config">> & { config?: Partial<Config> } = {}): Promise<void> {
    page.map = await openMap({
      container: document.getElementById("map")!, config: { ...config, ...change },
      view: { longitude: 13.4, latitude: 52.5, zoom: 10, bearing: 0 }, dark: false, units: "metric", still: false,
      now: () => Date.now(), color: (device) => page.colors.get(device.id) ?? PLAIN, ...more,
    });
    for (const name of ["move", "moveend", "click", "hover", "notice"] as const) {
      page.map.on(name, (event) => void page.events.push({ name, event }));
    }
  },

  /** A fix of a device, which need not be new. */
  fix(id: string, longitude: number, latitude: number, more: Record<string, number> = {}, at = Date.now()): Device {
    let device = page.devices.get(id);
    const fix = {
      position: { device_id: id, timestamp: new Date(at).toISOString(), longitude, latitude, ...more },
      at, came: performance.now(),
    };
    if (device === undefined) page.devices.set(id, (device = { id, fix, before: undefined, events: new Set() }));
    else {
      device.before = device.fix;
      device.fix = fix;
    }
    return device;
  },

  /** The same, and the map is told. */
  put(id: string, longitude: number, latitude: number, more: Record<string, number> = {}, at = Date.now()): void {
    page.map.update([page.fix(id, longitude, latitude, more, at)], []);
  },
};

document.addEventListener("securitypolicyviolation", (event) => page.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
Object.assign(globalThis, { page });

export type Page = typeof page;
