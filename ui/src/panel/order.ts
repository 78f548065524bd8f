// The order of the list: which devices are in it, and in which order. Made for 50,000 once a second.

import type { Box } from "../../../clients/js/src/index.ts";
import { width } from "../area.ts";
import type { Device } from "../device.ts";
import { nameOf } from "./look.ts";

export type Order = "age" | "distance" | "name";
export const ORDERS: readonly Order[] = ["age", "distance", "name"];

/** The mean radius of the earth, metres. */
const RADIUS = 6_371_008.8;

/** The middle of a box: longitude, latitude. */
export function middle(box: Box): readonly [number, number] {
  const [west, south, , north] = box, longitude = west + width(box) / 2;
  return [longitude > 180 ? longitude - 360 : longitude, (south + north) / 2];
}

/** Metres between two places, along the great circle (haversine). */
export function metresBetween(longitude1: number, latitude1: number, longitude2: number, latitude2: number): number {
  const radians = Math.PI / 180;
  const north = Math.sin(((latitude2 - latitude1) * radians) / 2), east = Math.sin(((longitude2 - longitude1) * radians) / 2);
  const part = north * north + Math.cos(latitude1 * radians) * Math.cos(latitude2 * radians) * east * east;
  return 2 * RADIUS * Math.asin(Math.min(1, Math.sqrt(part)));
}

/**
 * Sorts by a number, the smallest first; what is equal stays in its order. Numbers count as whole ones of at least 0; no number is 0.
 * Sorting numbers without a comparing function is several times faster, so each number carries its index in its low digits.
 */
export function sortByNumber<Item>(items: readonly Item[], key: (item: Item) => number): Item[] {
  const count = items.length, step = 2 ** Math.ceil(Math.log2(count + 1));
  const most = Math.floor(Number.MAX_SAFE_INTEGER / step) - 1;
  const keys = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    const value = Math.floor(key(items[index] as Item));
    keys[index] = (value > 0 ? Math.min(value, most) : 0) * step + index;
  }
  keys.sort();
  const sorted: Item[] = new Array(count);
  for (let index = 0; index < count; index++) sorted[index] = items[(keys[index] as number) % step] as Item;
  return sorted;
}

/** A device among those sorted by name. */
interface Named {
  readonly device: Device;
  name: string;
  /** The name as people sort: without regard to case, and 2 before 10. */
  key: string;
  /** The number of the sorting that it was last in. */
  sorting: number;
}

/** Sorts by name. Names change little, and what is almost sorted is sorted quickly: it starts from how they were last. */
class ByName {
  readonly #named = new WeakMap<Device, Named>();
  #last: Named[] = [];
  #sorting = 0;

  sort(devices: readonly Device[]): Device[] {
    const before = this.#sorting++, news: Named[] = [];
    for (const device of devices) {
      const named = this.#name(device);
      if (named.sorting !== before) news.push(named);
      named.sorting = this.#sorting;
    }
    this.#last = this.#last.filter(({ sorting }) => sorting === this.#sorting);
    this.#last.push(...news);
    this.#last.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.device.id < b.device.id ? -1 : 1));
    return this.#last.map(({ device }) => device);
  }

  #name(device: Device): Named {
    const name = nameOf(device);
    let named = this.#named.get(device);
    if (!named) this.#named.set(device, (named = { device, name: "", key: "", sorting: -1 }));
    if (named.name !== name) {
      named.name = name;
      named.key = name.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(16, "0"));
    }
    return named;
  }
}

/** Sorts devices, again and again. */
export class Sorter {
  readonly #byName = new ByName();

  /** `now` by the server's clock; `from`: where distances count from, longitude and latitude. */
  sort(devices: readonly Device[], order: Order, now: number, from: readonly [number, number]): Device[] {
    if (order === "age") return sortByNumber(devices, (device) => now - device.fix.at);
    if (order === "name") return this.#byName.sort(devices);
    const [longitude, latitude] = from;
    return sortByNumber(devices, ({ fix: { position } }) =>
      10 * metresBetween(longitude, latitude, position.longitude, position.latitude));
  }
}
