// Picker: which device is under the pointer, and how large devices are drawn where there are many.

import type { DeviceBuffer } from "./buffer.ts";
import { PickGrid } from "./pick.ts";
import { projector } from "./projection.ts";
import type { Camera, Point } from "./projection.ts";

/** Devices this near to the pointer are meant, CSS pixels. A finger is less exact. */
const REACH = 14, TOUCH_REACH = 22;
/** The grid is good for so long, ms: until then devices are looked for a little farther away. */
const GRID_AGE = 250;
/** How many devices there are in view is looked up so often, ms. */
const SIZE_AGE = 1000;
/** Devices are as large as usual where they are on average so far from each other, CSS pixels; smaller where nearer. */
const ROOMY = 24;
const SMALLEST = 0.45;

export class Picker {
  readonly #buffer: DeviceBuffer;
  readonly #grid = new PickGrid();
  #camera: Camera | undefined;
  #built = -Infinity;
  #stale = true;
  #size = 1;
  #sized = -Infinity;
  readonly #point: Point = { x: 0, y: 0 };

  constructor(buffer: DeviceBuffer) {
    this.#buffer = buffer;
  }

  /** Devices have come, gone, or got new places to go to. */
  changed(): void {
    this.#stale = true;
  }

  /** The id of the device that is drawn nearest to a point of the view at `time`. */
  at(point: Point, touch: boolean, camera: Camera, time: number, still: boolean): string | undefined {
    const reach = touch ? TOUCH_REACH : REACH;
    if (this.#stale || this.#camera !== camera || time - this.#built > GRID_AGE) this.#build(camera, time, still);
    const moved = this.#buffer.fastest(time) * camera.scale * (time - this.#built);
    const slot = this.#grid.nearest(point.x, point.y, reach, moved, this.#places(camera, time, still));
    return slot === undefined ? undefined : this.#buffer.devices[slot]?.id;
  }

  /** How large devices are drawn, 1: as usual. */
  size(camera: Camera, time: number, still: boolean): number {
    if (time - this.#sized < SIZE_AGE) return this.#size;
    this.#sized = time;
    this.#build(camera, time, still);
    const apart = this.#grid.apart;
    this.#size = Math.min(1, Math.max(SMALLEST, Math.round((apart / ROOMY) * 20) / 20));
    return this.#size;
  }

  #build(camera: Camera, time: number, still: boolean): void {
    this.#grid.build(camera.width, camera.height, this.#buffer.end, this.#places(camera, time, still));
    this.#camera = camera;
    this.#built = time;
    this.#stale = false;
  }

  #places(camera: Camera, time: number, still: boolean): (slot: number) => Point | undefined {
    const project = projector(camera), point = this.#point, buffer = this.#buffer;
    return (slot) => {
      if (buffer.devices[slot] === undefined) return undefined;
      const place = buffer.place(slot, time, still, point);
      return project(place.x, place.y, point);
    };
  }
}
