// PageState: what the page shows: view, selection, filters, looks. Kept in the URL, so that a link shows the same.

import { Emitter } from "./emitter.ts";
import type { Units } from "./config.ts";

/** Where the map looks. */
export interface View {
  readonly longitude: number;
  readonly latitude: number;
  readonly zoom: number;
  /** Degrees clockwise from north that are up. */
  readonly bearing: number;
}

export type Theme = "auto" | "light" | "dark";

/** Everything that a link restores. */
export interface Shown {
  /** Undefined until the map has been somewhere: then it fits the devices there are. */
  readonly view: View | undefined;
  /** The id of the device that is selected. */
  readonly selected: string | undefined;
  /** The map stays with the selected device. */
  readonly follow: boolean;
  /** The names of the events that were asked for, in this order (it gives them their colours). */
  readonly events: readonly string[];
  /** Devices of these events only. */
  readonly only: boolean;
  /** Without list and controls, for another page's frame. */
  readonly embed: boolean;
  readonly theme: Theme;
  /** Undefined: as the operator set. */
  readonly units: Units | undefined;
}

/** Most events that can be asked for at once. */
export const MOST_EVENTS = 16;

export class PageState extends Emitter<{ change: { now: Shown; before: Shown } }> {
  #shown: Shown;

  constructor(shown: Shown) {
    super();
    this.#shown = shown;
  }

  get shown(): Shown {
    return this.#shown;
  }

  /** Changes some of it and tells everyone who listens. */
  set(change: Partial<Shown>): void {
    const before = this.#shown;
    let now = { ...before, ...change };
    if (now.selected === undefined) now = { ...now, follow: false };
    if (now.events.length === 0) now = { ...now, only: false };
    if ((Object.keys(now) as (keyof Shown)[]).every((key) => now[key] === before[key])) return;
    this.#shown = now;
    this.emit("change", { now, before });
  }
}
