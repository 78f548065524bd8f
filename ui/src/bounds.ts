// The smallest box around points, and around boxes.

import type { Box, Position } from "../../clients/js/src/index.ts";
import { WORLD, width } from "./area.ts";

/** A point. */
export type Place = Pick<Position, "latitude" | "longitude">;

/** The smallest box that holds all points, across the antimeridian if that is smaller; undefined for none. */
export function bounds(places: Iterable<Place>): Box | undefined {
  const longitudes: number[] = [];
  let [south, north] = [90, -90];
  for (const { latitude, longitude } of places) {
    longitudes.push(longitude);
    south = Math.min(south, latitude);
    north = Math.max(north, latitude);
  }
  if (longitudes.length === 0) return undefined;
  const sorted = Float64Array.from(longitudes).sort();
  // All around but for the widest gap between two neighbours, of whom the first and the last are neighbours too.
  let [west, east] = [sorted[0]!, sorted[sorted.length - 1]!];
  let widest = west + 360 - east;
  for (let i = 1; i < sorted.length; i++) {
    const gap = sorted[i]! - sorted[i - 1]!;
    if (gap <= widest) continue;
    widest = gap;
    [west, east] = [sorted[i]!, sorted[i - 1]!];
  }
  return [west, south, east, north];
}

/** A box around all boxes: the smallest, unless one of them goes around half of the world; undefined for none. */
export function around(boxes: readonly Box[]): Box | undefined {
  if (boxes.length === 1) return boxes[0];
  if (boxes.some((box) => width(box) >= 180)) return WORLD;
  return bounds(boxes.flatMap(([west, south, east, north]) => [{ longitude: west, latitude: south }, { longitude: east, latitude: north }]));
}
