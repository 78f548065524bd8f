// MapView: what the rest of the page needs of the map.

import type { Box } from "../../../clients/js/src/index.ts";
import type { Config, Units } from "../config.ts";
import type { Color } from "../colors.ts";
import type { Device } from "../device.ts";
import type { Emitter } from "../emitter.ts";
import type { View } from "../state.ts";

export interface MapEvents {
  /**
   * The view has changed: continuously while it moves. `byHand`: a person did it. While a device is followed, that is only
   * so of what leads away from it (dragging, arrow keys, a box to zoom to): zooming and turning keep it in the middle.
   */
  move: { byHand: boolean };
  /** It has come to rest. */
  moveend: { byHand: boolean };
  /** A click or tap: on a device, or on none. */
  click: { id: string | undefined };
  /** The pointer is over a device, or over none. */
  hover: { id: string | undefined };
  /** Something for people to know, such as a style that did not load; `undefined` takes it back. */
  notice: { text: string | undefined };
}

export interface MapOptions {
  readonly container: HTMLElement;
  readonly config: Config;
  /** Where to look first; undefined: the whole world. */
  readonly view: View | undefined;
  readonly dark: boolean;
  readonly units: Units;
  /** `prefers-reduced-motion`: devices jump, and so does the view. */
  readonly still: boolean;
  /** The server's time, ms since 1970. */
  readonly now: () => number;
  readonly color: (device: Device) => Color;
}

/** What the map is drawn with. Made by `openMap`, which throws `NoWebGL` where there is no WebGL2. */
export interface MapView extends Emitter<MapEvents> {
  view(): View;
  /** What is visible, as a box; of a turned map, the box around it. Never wider than the world. */
  box(): Box;
  /** Goes somewhere, smoothly unless `still`. */
  go(view: Partial<View>): void;
  /** Makes the view hold a box, which may cross the antimeridian; a single point is shown at zoom 15. */
  fit(box: Box): void;
  /** Devices to draw, new or changed (also in colour), and those to draw no longer. */
  update(changed: Iterable<Device>, gone: Iterable<string>): void;
  /** Marks one device, draws its trail and its circle of accuracy; undefined: none. */
  select(id: string | undefined): void;
  /** Keeps the view with the selected device, where it is drawn, until `follow(false)`. */
  follow(on: boolean): void;
  setDark(dark: boolean): void;
  setUnits(units: Units): void;
  setStill(still: boolean): void;
  /** All devices, for tests: their ids, and where each is drawn now, in CSS pixels of the container (also outside of it). */
  drawn(): Map<string, { x: number; y: number }>;
  close(): void;
}
