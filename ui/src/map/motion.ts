// Motion: how a device gets from one fix to the next on the screen, and which way it points.

import type { Position } from "../../../clients/js/src/index.ts";
import { X_UNITS, Y_UNITS } from "./projection.ts";

/** A device slides to its newest fix for at most so long, ms: what is drawn is never more behind. */
export const LONGEST_SLIDE = 10_000;

/** ... and at least so long, so that two fixes that come at once are not a jump. */
export const SHORTEST_SLIDE = 100;

/** What moves faster than this between two fixes has not moved, but jumped: metres per second. Airliners reach 300. */
export const FASTEST = 400;

/** What moves slower than this stands, metres per second: about the noise of a satellite receiver at rest. */
const SLOWEST = 0.5;

/** Two fixes within so many metres give no direction. */
const NOISE = 2;

/** How long a device takes to get to a fix that came so many ms after the one before: as long. */
export function slideOf(gap: number): number {
  return Math.min(LONGEST_SLIDE, Math.max(SHORTEST_SLIDE, gap));
}

/** Whether a way of so many metres in so many ms is none that a device can have gone. */
export function isJump(way: number, ms: number): boolean {
  // Timestamps are often in whole seconds.
  return way / Math.max(1, ms / 1000) > FASTEST;
}

/** How far along its slide a device is at `time`, 0 to 1. As in the shader. */
export function progress(start: number, duration: number, time: number): number {
  return duration > 0 ? Math.min(1, Math.max(0, (time - start) / duration)) : 1;
}

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
