// Which way a device points: an arrow, or a dot where it stands. One rule for the map, the list and the card.

import type { Position } from "../../clients/js/src/index.ts";
import type { Device } from "./device.ts";
import { eastward, metres, X_UNITS, xOf, Y_UNITS, yOf } from "./map/projection.ts";

/** What moves slower than this stands, metres per second: about the noise of a satellite receiver at rest. */
const SLOWEST = 0.5;

/** Two fixes within so many metres give no direction. */
const NOISE = 2;

/**
 * Which way a device points, in radians clockwise from north; undefined if it stands. It has come so many units of the
 * projection `across` and `down`, which are `way` metres, in `ms`; nothing is known of that where `way` is undefined.
 */
export function headingOf(position: Position, across: number, down: number, way: number | undefined, ms: number): number | undefined {
  const { heading, speed } = position;
  if (!(speed === undefined ? way !== undefined && way >= NOISE && way / Math.max(1, ms / 1000) > SLOWEST : speed > SLOWEST)) return undefined;
  if (heading !== undefined) return (heading * Math.PI) / 180;
  if (way === undefined || way < NOISE) return undefined;
  return Math.atan2(across / X_UNITS, -down / Y_UNITS);
}

/** The same of a device, by its last two fixes. */
export function headingOfDevice({ fix, before }: Pick<Device, "fix" | "before">): number | undefined {
  if (before === undefined) return headingOf(fix.position, 0, 0, undefined, 0);
  const x = xOf(fix.position.longitude), y = yOf(fix.position.latitude);
  const fromX = xOf(before.position.longitude), fromY = yOf(before.position.latitude);
  return headingOf(fix.position, eastward(fromX, x), y - fromY, metres(fromX, fromY, x, y), fix.at - before.at);
}
