// Tail: the trail of the selected device, as segments for the layer.

import { channels } from "../colors.ts";
import type { Color } from "../colors.ts";
import { SEGMENT } from "./layer.ts";
import type { Trail } from "./layer.ts";
import type { Point } from "./projection.ts";
import type { TrailPoint, TrailStore } from "./trail.ts";

export class Tail {
  readonly #store: TrailStore;
  #words = new Uint32Array(0);
  /** Segments between points that the device has passed. */
  #segments = 0;
  /** The last of them, and whether a gap leads from there to the newest fix. */
  #last: TrailPoint | undefined;
  #gap = false;

  constructor(store: TrailStore) {
    this.#store = store;
  }

  /** Takes the trail of a device from the store, also when it has grown. */
  select(id: string | undefined): void {
    const points = id === undefined ? [] : this.#store.points(id);
    // The device is still on its way to the newest point.
    const newest = points.pop();
    this.#gap = newest?.gap ?? false;
    this.#last = points.at(-1);
    this.#segments = Math.max(0, points.length - 1);
    this.#words = new Uint32Array((this.#segments + 1) * SEGMENT);
    for (let index = 0; index < this.#segments; index++) this.#set(index, points[index]!, points[index + 1]!, points[index + 1]!.gap);
  }

  /** The trail up to where the device is drawn. */
  upTo(place: Point, color: Color): Trail | undefined {
    if (this.#last === undefined) return undefined;
    this.#set(this.#segments, this.#last, place, this.#gap);
    const [red, green, blue] = channels(color);
    return { words: this.#words, segments: this.#segments + 1, color: [red / 255, green / 255, blue / 255] };
  }

  #set(index: number, from: Point, to: Point, gap: boolean): void {
    this.#words.set([from.x, from.y, to.x, to.y, Number(gap)], index * SEGMENT);
  }
}
