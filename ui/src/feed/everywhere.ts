// everywhere: the box around all devices that there are, also those out of view.

import type { Box, Position, ProcessorClient } from "../../../clients/js/src/index.ts";
import { around, bounds } from "../bounds.ts";
import { WORLD } from "../area.ts";

/** Devices of everywhere are waited for so long, ms. */
const TIMEOUT = 10_000;

/** `areas` are those that may be seen. Undefined if it cannot be known now, or nothing may be seen. */
export async function everywhere(client: ProcessorClient, areas: readonly Box[] = [WORLD]): Promise<Box | undefined> {
  if (client.state.name === "closed") return undefined;
  const all = await Promise.all(areas.map((area) => inside(client, area)));
  if (all.includes(undefined)) return undefined;
  const positions = all.filter((positions) => typeof positions === "object");
  // Of one that has more than the server sends, it is all.
  return (positions.length < all.length ? undefined : bounds(positions.flat())) ?? around(areas);
}

async function inside(client: ProcessorClient, area: Box): Promise<readonly Position[] | "many" | undefined> {
  const there = client.subscribe({ area }, { everyMs: 30_000, signal: AbortSignal.timeout(TIMEOUT) });
  const positions = await new Promise<readonly Position[] | "many" | undefined>((resolve) => {
    there.on("snapshot", () => resolve([...there.devices.values()]));
    there.on("error", () => resolve("many"));
    there.on("statechange", ({ name }) => (name === "waiting" || name === "closed") && resolve(undefined));
  });
  there.close();
  return positions;
}
