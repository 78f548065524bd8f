// Which area to subscribe to for what the map shows, and how often to be told.

import type { Box } from "../../clients/js/src/index.ts";

export const WORLD: Box = [-180, -90, 180, 90];

/** Of the view's width and height, on each side: so that the map can be moved a little without asking. */
export const MARGIN = 0.25;
/** Of the view's width and height: an area that is wider than this is too wide for it. */
const TOO_WIDE = 3;

/** How often a page that is hidden is told of devices, ms. */
export const HIDDEN_EVERY = 10_000;

/** Degrees from west to east. */
export function width([west, , east]: Box): number {
  return west <= east ? east - west : east - west + 360;
}

/** The box with a margin around it. */
export function grown(box: Box, margin = MARGIN): Box {
  const [west, south, east, north] = box;
  const [x, y] = [width(box) * margin, (north - south) * margin];
  const wrap = (longitude: number) => ((((longitude + 180) % 360) + 360) % 360) - 180;
  const round = (degrees: number) => Math.round(degrees * 1e5) / 1e5;
  const isAround = width(box) + 2 * x >= 360;
  return [
    isAround ? -180 : round(wrap(west - x)), Math.max(-90, round(south - y)),
    isAround ? 180 : round(wrap(east + x)), Math.min(90, round(north + y)),
  ];
}

/** Whether all of `inner` is in `outer`. */
function holds(outer: Box, inner: Box): boolean {
  if (inner[1] < outer[1] || inner[3] > outer[3]) return false;
  if (width(outer) >= 360) return true;
  const offset = (((inner[0] - outer[0]) % 360) + 360) % 360;
  return offset + width(inner) <= width(outer) + 1e-9;
}

/** Whether an area is right for a view: it has all of it (or of the part of it that it is for), and not much more. */
export function covers(area: Box, part: Box, view = part): boolean {
  return (
    holds(area, part) &&
    width(area) <= Math.max(TOO_WIDE * width(view), 0.001) &&
    area[3] - area[1] <= Math.max(TOO_WIDE * (view[3] - view[1]), 0.001)
  );
}

/** How often devices are to be told of at a zoom, in ms; undefined: each time. Far away, steps are smaller than a pixel. */
export function cadence(zoom: number, isHidden: boolean): number | undefined {
  if (isHidden) return HIDDEN_EVERY;
  if (zoom >= 14) return undefined;
  if (zoom >= 11) return 500;
  return zoom >= 7 ? 1_000 : 2_000;
}
