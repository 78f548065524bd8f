// Device: one device as the page knows it.

import type { Position } from "../../clients/js/src/index.ts";

/** Where a device was, and when. */
export interface Fix {
  readonly position: Position;
  /** When it was there, in ms since 1970 by the server's clock: its timestamp, but never later than it came. */
  readonly at: number;
  /** When the page learned of it, in ms by `performance.now()`. */
  readonly came: number;
}

/** One device; the same object for as long as it is known, changed in place. */
export interface Device {
  readonly id: string;
  /** Where it is now. */
  fix: Fix;
  /** Where it was before that; undefined if it has just been learned of. */
  before: Fix | undefined;
  /** The names of the events that the page asked for and that it takes part in. */
  readonly events: Set<string>;
}

/** How old what is known of a device is. */
export type Age = "fresh" | "stale" | "lost";
