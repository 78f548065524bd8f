// The smallest box around points.

import type { Box, Position } from "../../clients/js/src/index.ts";

/** The smallest box that holds all positions, across the antimeridian if that is smaller; undefined for none. */
export function bounds(positions: Iterable<Position>): Box | undefined {
  const longitudes: number[] = [];
  let [south, north] = [90, -90];
  for (const { latitude, longitude } of positions) {
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
