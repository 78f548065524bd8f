// everywhere: the box around all devices that there are, also those out of view.

import type { Box, Position, ProcessorClient } from "../../../clients/js/src/index.ts";
import { bounds } from "../bounds.ts";
import { WORLD } from "../area.ts";

/** Devices of everywhere are waited for so long, ms. */
const TIMEOUT = 10_000;

/** Undefined if it cannot be known now. */
export async function everywhere(client: ProcessorClient): Promise<Box | undefined> {
  if (client.state.name === "closed") return undefined;
  const world = client.subscribe({ area: WORLD }, { everyMs: 30_000, signal: AbortSignal.timeout(TIMEOUT) });
  const positions = await new Promise<Iterable<Position> | undefined>((resolve) => {
    world.on("snapshot", () => resolve(world.devices.values()));
    // More than the server sends: the whole world, then.
    world.on("error", () => resolve([]));
    world.on("statechange", ({ name }) => (name === "waiting" || name === "closed") && resolve(undefined));
  });
  const box = positions && (bounds(positions) ?? WORLD);
  world.close();
  return box;
}
