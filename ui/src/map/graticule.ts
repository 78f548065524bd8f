// Graticule: lines of longitude and latitude, finer the closer one looks. In a city they are all that the built-in map has.

import { latitudeOf, longitudeOf } from "./projection.ts";
import type { Camera } from "./projection.ts";

/** Degrees between two lines. */
const STEPS = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005];
/** Two lines are at least so far apart, CSS pixels. */
const APART = 70;
/** Lines are made for so many times the view, so that they are there already when it moves. */
const MARGIN = 3;

export interface Lines {
  type: "Feature";
  properties: Record<string, never>;
  geometry: { type: "MultiLineString"; coordinates: [number, number][][] };
}

export class Graticule {
  /** The lines as GeoJSON. */
  lines: Lines = feature([]);
  #step = 0;
  /** What the lines were made for: worlds from the west and north edge. */
  #west = 0;
  #east = 0;
  #north = 0;
  #south = 0;

  /** Makes lines for a view. Returns whether they are others than before. */
  see(camera: Camera): boolean {
    const step = stepOf(camera), reach = Math.max(camera.width, camera.height) / 2 / camera.scale;
    const isInside = camera.x - reach >= this.#west && camera.x + reach <= this.#east &&
      Math.max(0, camera.y - reach) >= this.#north && Math.min(1, camera.y + reach) <= this.#south;
    if (step === this.#step && isInside) return false;
    this.#step = step;
    const far = Math.max(reach, Math.min(0.5, reach * MARGIN));
    [this.#west, this.#east] = [camera.x - far, camera.x + far];
    [this.#north, this.#south] = [Math.max(0, camera.y - far), Math.min(1, camera.y + far)];
    this.lines = feature(this.#make(step));
    return true;
  }

  #make(step: number): [number, number][][] {
    const [north, south] = [latitudeOf(this.#north), latitudeOf(this.#south)];
    // Once around is enough.
    const whole = this.#east - this.#west >= 1;
    const west = whole ? -180 : longitudeOf(this.#west), east = whole ? 180 - step : longitudeOf(this.#east);
    const lines: [number, number][][] = [];
    for (let n = Math.ceil(west / step); n * step <= east; n++) lines.push([[n * step, south], [n * step, north]]);
    for (let n = Math.ceil(south / step); n * step <= north; n++) lines.push([[west, n * step], [whole ? 180 : east, n * step]]);
    return lines;
  }
}

/** Degrees between two lines of a view. */
export function stepOf(camera: Camera): number {
  const pixels = camera.scale / 360;
  return STEPS.findLast((step) => step * pixels >= APART) ?? STEPS[0]!;
}

function feature(coordinates: [number, number][][]): Lines {
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates } };
}
