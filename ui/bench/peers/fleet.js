// What the pages beside the map page have in common: the same fleet, by the same client, in the same view.

import { ProcessorClient } from "../../../clients/js/src/index.ts";
import { cadence, grown } from "../../src/area.ts";
import { liveUrl, loadConfig } from "../../src/config.ts";
import { boxOf, cameraOf } from "../../src/map/projection.ts";
import { VIEW } from "../fleet.mjs";

/** Subscribes to what a map of the whole window shows, as often as the map page does. */
export async function follow() {
  const client = new ProcessorClient(liveUrl(await loadConfig(), new URL(location.href)));
  const box = boxOf(cameraOf({ ...VIEW, bearing: 0 }, innerWidth, innerHeight));
  return client.subscribe({ area: grown(box) }, { everyMs: cadence(VIEW.zoom, false) });
}

/** Once a second, calls with the devices that have moved since; all at first. */
export function everySecond(subscription, draw) {
  let moved = new Map();
  subscription.on("position", (position) => moved.set(position.device_id, position));
  subscription.on("snapshot", ({ positions }) => {
    for (const position of positions) moved.set(position.device_id, position);
    tell();
  });
  const tell = () => {
    const all = moved;
    moved = new Map();
    if (all.size > 0) draw(all.values());
  };
  setInterval(tell, 1000);
}

/** The bench is told that the first devices can be seen. */
export function drawn() {
  requestAnimationFrame(() => setTimeout(() => performance.mark("first-devices")));
}

export { VIEW };
