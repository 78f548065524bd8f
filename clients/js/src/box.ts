// Boxes: their topics, and what is inside.

import type { Box, Position } from "./types.ts";

/** The topic of a box. Throws a RangeError that says what is allowed if it is none. */
export function areaTopic(box: Box): string {
  const [west, south, east, north] = box;
  const within = (value: number, most: number) => Math.abs(value) <= most;
  if (box.length !== 4 || !within(west, 180) || !within(east, 180) || !within(south, 90) || !within(north, 90) || south > north) {
    throw RangeError(`not an area, [west, south, east, north] in degrees, south not above north: [${box}]`);
  }
  return `area:${box.join(",")}`;
}

/** The box of an `area:` topic; undefined for other topics. */
export function boxOf(topic: string): Box | undefined {
  if (!topic.startsWith("area:")) return undefined;
  const box = topic.slice(5).split(",").map(Number) as unknown as Box;
  areaTopic(box);
  return box;
}

/** Whether a position is inside, edges included (as the server sees it: docs/wire.md, "Areas"). */
export function isInside([west, south, east, north]: Box, { latitude, longitude }: Position): boolean {
  if (latitude < south || latitude > north) return false;
  // At a pole all meridians meet.
  if (Math.abs(latitude) === 90) return true;
  const between = (degrees: number) =>
    west <= east ? west <= degrees && degrees <= east : west <= degrees || degrees <= east;
  // 180 and -180 are the same meridian.
  return between(longitude) || (Math.abs(longitude) === 180 && between(-longitude));
}
