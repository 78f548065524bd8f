// Projection: Web Mercator in whole numbers, and from there to pixels of the view. The same maths as in the shader.
//
// A float32 resolves the world to 2.4 m only. So places are whole numbers: x in 2^32 parts of the world (9 mm at the
// equator), y in 2^31 (19 mm). Differences of whole numbers are exact, also in a shader, and those of x wrap around
// where the world does: the shorter way over the antimeridian comes for nothing. y has one bit less as it must not wrap.

import type { Box } from "../../../clients/js/src/index.ts";
import type { View } from "../state.ts";

export const X_UNITS = 2 ** 32;
export const Y_UNITS = 2 ** 31;

/** Metres around the equator, of the sphere that Web Mercator takes the earth for. */
export const EQUATOR = 2 * Math.PI * 6_378_137;

/** Pixels that the world is wide at zoom 0: MapLibre's. */
const WORLD = 512;

/** Where the map looks, ready for maths. */
export interface Camera {
  /** Where the middle of the view is, in worlds from the west and north edge, 0 to 1. */
  readonly x: number;
  readonly y: number;
  /** CSS pixels that the world is wide. */
  readonly scale: number;
  /** Radians clockwise from north that are up. */
  readonly bearing: number;
  /** CSS pixels. */
  readonly width: number;
  readonly height: number;
}

/** A point in CSS pixels from the left and top edge of the view. */
export interface Point {
  x: number;
  y: number;
}

/** Degrees east as a whole number of 2^32 parts of the world. */
export function xOf(longitude: number): number {
  return Math.floor((longitude / 360 + 0.5) * X_UNITS) >>> 0;
}

/** Degrees north as a whole number of 2^31 parts of the world from its north edge; what is beyond the edges is on them. */
export function yOf(latitude: number): number {
  const sine = Math.sin((latitude * Math.PI) / 180);
  const y = 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
  return Math.floor(Math.min(Math.max(y, 0), 1 - 1 / Y_UNITS) * Y_UNITS);
}

/** The way back: degrees of a number of worlds from the west edge. */
export function longitudeOf(worlds: number): number {
  return (worlds - 0.5) * 360;
}

/** The way back: degrees of a number of worlds from the north edge. */
export function latitudeOf(worlds: number): number {
  return (Math.atan(Math.sinh(Math.PI * (1 - 2 * worlds))) * 180) / Math.PI;
}

/** The shorter way from one x to another, in units: negative is west. */
export function eastward(from: number, to: number): number {
  return (to - from) | 0;
}

/** Metres in one world's width at a y in units. */
export function worldMetres(y: number): number {
  // EQUATOR / cosh(...), by the function of the two that is quick.
  const grown = Math.exp(Math.PI * (1 - (2 * y) / Y_UNITS));
  return (2 * EQUATOR) / (grown + 1 / grown);
}

/** Metres between two places in units; right for short ways, as the scale is taken from the middle. */
export function metres(x1: number, y1: number, x2: number, y2: number): number {
  const across = eastward(x1, x2) / X_UNITS, down = (y2 - y1) / Y_UNITS;
  // Not Math.hypot, which takes ten times as long.
  return Math.sqrt(across * across + down * down) * worldMetres((y1 + y2) / 2);
}

/** The camera of a view on a map of so many pixels. */
export function cameraOf(view: View, width: number, height: number): Camera {
  return {
    x: view.longitude / 360 + 0.5 - Math.floor(view.longitude / 360 + 0.5),
    y: yOf(view.latitude) / Y_UNITS,
    scale: WORLD * 2 ** view.zoom, bearing: (view.bearing * Math.PI) / 180, width, height,
  };
}

/** Writes to `out` where a place in units is drawn. */
export type Project = (x: number, y: number, out: Point) => Point;

/** How a camera sees places; of their copies in other worlds, the one nearest to the middle. */
export function projector(camera: Camera): Project {
  const centre = camera.x * X_UNITS, whole = Math.floor(centre), rest = centre - whole;
  const cos = Math.cos(camera.bearing), sin = Math.sin(camera.bearing), { width, height, scale } = camera;
  return (x, y, out) => {
    const across = ((((x - whole) | 0) - rest) / X_UNITS) * scale, down = (y / Y_UNITS - camera.y) * scale;
    out.x = across * cos + down * sin + width / 2;
    out.y = -across * sin + down * cos + height / 2;
    return out;
  };
}

/** Half of what the view shows, in worlds; of a turned view, half of the upright box around it. */
function halves(camera: Camera): Point {
  const cos = Math.abs(Math.cos(camera.bearing)), sin = Math.abs(Math.sin(camera.bearing));
  return {
    x: (camera.width * cos + camera.height * sin) / 2 / camera.scale,
    y: (camera.width * sin + camera.height * cos) / 2 / camera.scale,
  };
}

/** How many copies of the world are needed on either side of the middle one, which reaches half a world each way. */
export function copies(camera: Camera): number {
  return Math.max(0, Math.ceil(halves(camera).x - 0.5));
}

/** What the view shows, as a box. Where it reaches the edge of the projection, it goes on to the pole. */
export function boxOf(camera: Camera): Box {
  const half = halves(camera);
  const north = camera.y - half.y, south = camera.y + half.y;
  const latitudes = [south >= 1 ? -90 : latitudeOf(south), north <= 0 ? 90 : latitudeOf(north)] as const;
  if (half.x >= 0.5) return [-180, latitudes[0], 180, latitudes[1]];
  const wrap = (worlds: number) => worlds - Math.floor(worlds);
  const west = longitudeOf(wrap(camera.x - half.x)), east = longitudeOf(wrap(camera.x + half.x));
  return [west, latitudes[0], east === -180 ? 180 : east, latitudes[1]];
}
