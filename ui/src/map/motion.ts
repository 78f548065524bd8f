// Motion: how a device gets from one fix to the next on the screen.

/** A device slides to its newest fix for at most so long, ms: what is drawn is never more behind. */
export const LONGEST_SLIDE = 10_000;

/** ... and at least so long, so that two fixes that come at once are not a jump. */
export const SHORTEST_SLIDE = 100;

/** What moves faster than this between two fixes has not moved, but jumped: metres per second. Airliners reach 300. */
export const FASTEST = 400;

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
